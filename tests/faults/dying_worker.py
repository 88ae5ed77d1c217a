"""A domain's worker that kills itself (SIGKILL) right after an effect's journal entry was acknowledged, once an effect.

    python -m tests.faults.dying_worker ROLE FOLDER

It does so only while FOLDER holds a file `armed`. Each death leaves a file there named after the effect, so that the
restarted worker lives past it. `FOLDER/../tools` gets a line for each tool that is begun, whoever dies then.
"""

import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import ClassVar

import anyio
import h11
import httpcore
import msgspec
import uvloop
from msgspec import Struct
from msgspec.structs import replace

from adapters import embedding_rpc, extractive_chat, openai_chat, postgres, retrieval, sandbox, sandbox_lock
from adapters.jetstream_log import JetStreamLog
from adapters.sandbox import Sandbox
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record, Stored
from contracts.kernel import EffectRecorded
from contracts.subjects import Lane
from deploy import providers
from deploy.roles import run_roles
from deploy.settings import load
from runtime.ports import EventLog, Tool, Watch
from runtime.tool_runner import Blob

IMPORTED = (anyio, embedding_rpc, extractive_chat, h11, httpcore, openai_chat, postgres, providers, retrieval)
"""What a worker imports late."""
DIES_IN = ("analysis", "collaboration", "conversation")


class DyingLog:
    """An EventLog that does not outlive an effect it has not died after before."""

    def __init__(self, log: EventLog, folder: Path) -> None:
        self._log = log
        self._folder = folder

    async def append(self, subject: str, records: Sequence[Record], *, expected: int) -> int:
        sequence = await self._log.append(subject, records, expected=expected)
        address = subjects.parse(subject)
        if address.lane == "run" and address.actor.kind in DIES_IN and (self._folder / "armed").exists():
            for record in records:
                effect = msgspec.json.decode(record.body, type=EffectRecorded)
                name = (
                    f"{address.actor.domain.value}-{address.actor.id}-{address.reaction}-{effect.effect}-{effect.name}"
                )
                marker = self._folder / name.replace(" ", "_")
                if not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
        return sequence

    async def read(self, subject: str, *, after: int = 0, limit: int | None = None) -> list[Stored]:
        return await self._log.read(subject, after=after, limit=limit)

    async def at(self, domain: Domain, sequence: int) -> Stored | None:
        return await self._log.at(domain, sequence)

    def follow(self, domain: Domain, lanes: Sequence[Lane], *, after: int) -> AsyncIterator[Sequence[Stored]]:
        return self._log.follow(domain, lanes, after=after)

    async def last(self, domain: Domain) -> int:
        return await self._log.last(domain)

    async def wait(self, subject: str, *, after: int, timeout_s: float) -> bool:
        return await self._log.wait(subject, after=after, timeout_s=timeout_s)

    async def watch(self, subject: str, *, after: int, from_now: bool = False) -> Watch:
        return await self._log.watch(subject, after=after, from_now=from_now)


class CountedSandbox(Sandbox):
    """Says of each tool, before it begins, that it does."""

    begun: ClassVar[Path]

    async def run(self, tool: Tool, arguments: Struct, blob: Blob, s_max: float) -> Struct:
        line = f"{tool.name} {hashlib.sha256(msgspec.json.encode(arguments)).hexdigest()}\n"
        descriptor = os.open(self.begun, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
        os.close(descriptor)
        return await super().run(tool, arguments, blob, s_max)


def main(role: str, folder: Path) -> int:
    """Fork a worker, and another one each time it kills itself: what both import is there already."""
    CountedSandbox.begun = folder.parent / "tools"
    sandbox.Sandbox = CountedSandbox  # type: ignore[misc]  # the role takes what stands there
    settings = load()
    while True:
        pid = os.fork()
        if not pid:
            sandbox_lock.die_with_parent()
            uvloop.run(run_roles([role], settings, log=lambda broker: DyingLog(JetStreamLog(broker), folder)))
            os._exit(0)
        signal.signal(signal.SIGTERM, lambda *_, pid=pid: os.kill(pid, signal.SIGTERM))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if code != -signal.SIGKILL:
            return code
        settings = replace(settings, ready_fd=-1)  # That it is ready was said.


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
