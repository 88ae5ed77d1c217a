"""A whole stack whose domain workers die after effects (see dying_worker) once the marker folder holds `armed`.

    python -m tests.faults.dying_stack DATA MARKERS

Prints the gateway's URL once it serves, then for each line it reads whatever is the process id of the role that it names.
"""

import asyncio
import sys

from deploy.embedded.supervisor import ROLES, Role, Supervisor, standard_roles
from deploy.settings import load
from deploy.stack import prepared, url_of

DYING = ("sophia", "artemis", "ceo")


async def main(data: str, markers: str) -> None:
    roles = standard_roles([name for name in ROLES if name not in DYING])
    roles += [Role(name, (sys.executable, "-m", "tests.faults.dying_worker", name, markers)) for name in DYING]
    # Who dies after each effect is no worse for it: else the restarts would wait ever longer, up to 5 s each.
    supervisor = Supervisor(prepared(load(data=data), 0), roles, healthy_s=0)
    await supervisor.start()
    print(url_of(supervisor.settings), flush=True)
    try:
        while role := await asyncio.to_thread(sys.stdin.readline):
            print(supervisor.pid(role.strip()), flush=True)
    finally:
        await supervisor.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
