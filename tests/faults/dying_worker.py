"""A domain's worker that kills itself (SIGKILL) right after an effect's journal entry was acknowledged, once an effect.

    python -m tests.faults.dying_worker ROLE FOLDER

It does so only while FOLDER holds a file `armed`. Each death leaves a file there named after the effect, so that the
restarted worker lives past it.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import uvloop

from adapters.jetstream import Broker
from adapters.jetstream_log import JetStreamLog
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record, Stored
from contracts.kernel import EffectRecorded
from contracts.subjects import Lane
from deploy.roles import run_roles
from deploy.settings import load
from runtime.ports import EventLog, Watch

DIES_IN = ("analysis", "collaboration")


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


if __name__ == "__main__":
    role, folder = sys.argv[1], Path(sys.argv[2])

    def dying(broker: Broker) -> EventLog:
        return DyingLog(JetStreamLog(broker), folder)

    uvloop.run(run_roles([role], load(), log=dying))
