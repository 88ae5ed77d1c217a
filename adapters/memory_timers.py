"""Timers in memory, on whatever clock and event loop they are given: a simulated week takes no time."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from adapters.memory import MemoryBroker
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record
from contracts.subjects import ActorRef
from runtime.errors import OutcomeError
from runtime.limits import Limits
from runtime.ports import Timer
from runtime.schedule import When, check, firing_id, next_after

WAKE_S_MAX = 86_400.0  # a clock may be set: look again after a day at the latest


class _Set(Struct, frozen=True):
    record: Record
    when: When
    due: datetime
    since: datetime


class MemoryTimers:
    """Timers of one MemoryBroker. They fire by themselves on the running loop, and whenever `fire` is called."""

    def __init__(
        self,
        broker: MemoryBroker,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        actor_max: int = Limits().timers_actor_max,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._actor_max = actor_max
        self._timers: dict[tuple[ActorRef, str], _Set] = {}
        self._wake: asyncio.TimerHandle | None = None

    async def set(self, target: ActorRef, name: str, record: Record, when: When) -> None:
        now = self._clock()
        check(name, when, now)
        of_target = sum(actor == target and other != name for actor, other in self._timers)
        if of_target >= self._actor_max:
            raise OutcomeError(f"{target} has {of_target} timers already; {self._actor_max} are allowed")
        due = when if isinstance(when, datetime) else next_after(when, now)
        self._timers[target, name] = _Set(record, when, due, now)
        self._sleep()

    async def cancel(self, target: ActorRef, name: str) -> None:
        check(name, self._clock(), self._clock())
        self._timers.pop((target, name), None)

    async def list(self, domain: Domain, *, limit: int = 1_000) -> list[Timer]:
        found = [
            Timer(target, name, one.record.envelope.type, one.when, one.since)
            for (target, name), one in self._timers.items()
            if target.domain is domain
        ]
        return sorted(found, key=lambda timer: timer.since)[:limit]

    def fire(self) -> None:
        """Send what is due by the clock. Of a recurring timer that missed several times, once."""
        now = self._clock()
        due = [key for key, one in self._timers.items() if one.due <= now]
        for key in sorted(due, key=lambda one: self._timers[one].due):
            one = self._timers.pop(key)
            record = one.record
            if not isinstance(one.when, datetime):
                following = next_after(one.when, one.due)
                following = following if following > now else next_after(one.when, now)
                self._timers[key] = msgspec.structs.replace(one, due=following)
                identity = firing_id(record.envelope.id, following.isoformat())
                record = Record(msgspec.structs.replace(record.envelope, id=identity), record.body)
            target, _ = key
            self._broker.inboxes[target.domain].add(subjects.inbox(target), record.body, record)

    def _sleep(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if self._timers:
            first = min(one.due for one in self._timers.values())
            wait_s = min(max(0.0, (first - self._clock()).total_seconds()), WAKE_S_MAX)
            self._wake = asyncio.get_running_loop().call_later(wait_s, self._on_wake)

    def _on_wake(self) -> None:
        self.fire()
        self._sleep()
