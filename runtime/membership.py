"""Membership: which workers of a domain live, and which partitions of it each of them is to hold.

Workers tell each other by announcements that nobody stores. Their views may differ for a moment: then two workers think that a
partition is theirs, the broker's pin gives its messages to one of them, and compare-and-set on the log settles the rest.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from contracts import subjects
from contracts.domains import Domain
from runtime.limits import Limits
from runtime.ports import Rpc

WORKERS_MAX = 64  # of a domain; what more of them say is not listened to

_logger = logging.getLogger(__name__)


class Heartbeat(Struct, frozen=True):
    """What a worker says of itself. `hello`: the others answer at once."""

    worker: str
    partitions: tuple[int, ...] = ()
    hello: bool = False
    leaving: bool = False


_decoder = msgspec.json.Decoder(Heartbeat)


class _Member(Struct):
    partitions: frozenset[int]
    leaving: bool
    heard: float


def assignment(workers: Sequence[str], partitions: int = subjects.PARTITIONS) -> dict[int, str]:
    """Which worker is to hold each partition: rendezvous hashing with bounded loads, the same for whoever computes it.

    Nobody gets more than one partition above anybody else, and few partitions move when a worker comes or goes (D. Thaler and C.
    Ravishankar, 1998; V. Mirrokni et al., "Consistent hashing with bounded loads", 2018).
    """
    loads = dict.fromkeys(workers, 0)
    if not loads:
        return {}
    floor, spare = divmod(partitions, len(loads))
    found: dict[int, str] = {}
    for partition in range(partitions):
        room = [one for one, load in loads.items() if load < floor or (load == floor and spare)]
        best = max(room, key=lambda worker: _score(worker, partition))
        spare -= loads[best] == floor
        loads[best] += 1
        found[partition] = best
    return found


def _score(worker: str, partition: int) -> bytes:
    return hashlib.sha256(f"{worker}\0{partition}".encode()).digest()


class Membership:
    """One worker's part in its domain. `changed` is set whenever who lives or what others hold has changed."""

    def __init__(self, rpc: Rpc, domain: Domain, worker: str, limits: Limits) -> None:
        self.worker = worker
        self.changed = asyncio.Event()
        self._rpc = rpc
        self._subject = subjects.members(domain)
        self._limits = limits
        self._others: dict[str, _Member] = {}
        self._held: set[int] = set()
        self._leaving = False
        self._asked = asyncio.Event()
        self._heard_self = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the workers that live have had the time to say so."""
        self._heard_self = self._now()
        await self._rpc.listen(self._subject, self._on_heartbeat)
        await self._say(hello=True)
        await asyncio.sleep(self._limits.hello_s)
        self._task = asyncio.create_task(self._run(), name=f"membership {self.worker}")

    async def stop(self) -> None:
        """Say goodbye. Idempotent."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._held.clear()
        await self.leave()

    async def wait(self) -> None:
        """Raise what broke the heartbeats; else wait until `stop`."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def leave(self) -> None:
        """Tell the others to take over what this worker still holds as it lets go of it."""
        self._leaving = True
        await self._say()

    def mine(self) -> frozenset[int]:
        """The partitions that this worker is to hold."""
        if self._leaving:
            return frozenset()
        workers = sorted([self.worker, *(one for one, member in self._others.items() if not member.leaving)])
        return frozenset(partition for partition, worker in assignment(workers).items() if worker == self.worker)

    def held_elsewhere(self, partition: int) -> bool:
        """Whether a living worker still says that it holds the partition."""
        return any(partition in member.partitions for member in self._others.values())

    async def hold(self, partition: int) -> None:
        self._held.add(partition)
        await self._say()

    async def let_go(self, partition: int) -> None:
        self._held.discard(partition)
        await self._say()

    async def _run(self) -> None:
        while True:
            before = self._now()
            self._asked.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.heartbeat_s):
                    await self._asked.wait()
            await self._say()
            late_s = max(0.0, self._now() - before - self._limits.heartbeat_s)
            self._heard_self = min(self._now(), self._heard_self + late_s)
            self._forgive(self._limits.member_s_max if self._deaf() else late_s)
            self._bury_silent()

    def _forgive(self, seconds: float) -> None:
        """While we were paused, late or cut off we could hear nobody: that time says nothing about the others. The rest does."""
        for member in self._others.values():
            member.heard = min(self._now(), member.heard + seconds)

    def _deaf(self) -> bool:
        return self._now() - self._heard_self > 2 * self._limits.heartbeat_s

    def _bury_silent(self) -> None:
        for worker, member in list(self._others.items()):
            if self._now() - member.heard > self._limits.member_s_max:
                _logger.warning("worker %s is silent: its partitions are taken over", worker)
                del self._others[worker]
                self.changed.set()

    async def _say(self, *, hello: bool = False) -> None:
        beat = Heartbeat(self.worker, tuple(sorted(self._held)), hello, self._leaving)
        await self._rpc.announce(self._subject, msgspec.json.encode(beat))

    def _on_heartbeat(self, _subject: str, body: bytes) -> None:
        beat = _decoder.decode(body)
        if beat.worker == self.worker:
            self._heard_self = self._now()
            return
        if beat.leaving and not beat.partitions:
            if self._others.pop(beat.worker, None) is not None:
                self.changed.set()
            return
        known = self._others.get(beat.worker)
        partitions = frozenset(beat.partitions)
        if known is None and len(self._others) >= WORKERS_MAX:
            return
        if known is None or (known.partitions, known.leaving) != (partitions, beat.leaving):
            self.changed.set()
        self._others[beat.worker] = _Member(partitions, beat.leaving, self._now())
        if beat.hello:
            self._asked.set()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
