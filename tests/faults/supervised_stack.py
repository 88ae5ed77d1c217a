"""A whole stack in a process of its own, to be killed: prints the process ids of all its parts once they are ready."""

import asyncio
import sys

from deploy.embedded.supervisor import Role, Supervisor
from deploy.settings import load


async def main(folder: str) -> None:
    role = Role("sophia", (sys.executable, "-m", "tests.faults.role_process", "stubborn"))
    supervisor = Supervisor(load(environment={}, data=folder), [role])
    await supervisor.start()
    print(*(supervisor.pid(name) for name in ("nats", "postgres", "sophia")), flush=True)
    await supervisor.failed()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
