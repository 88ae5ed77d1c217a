"""Timers on JetStream's message schedules.

A timer is one message of the domain's timer stream, on a subject of its own. The server stores what is due on a `due` subject
of the same stream, and the inbox stream sources that as an ordinary message of the actor's inbox. ADR 18 says why.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record, to_headers
from contracts.subjects import ActorRef
from runtime.errors import OutcomeError, UnavailableError
from runtime.limits import Limits
from runtime.ports import Timer
from runtime.schedule import Cron, Every, When, check, firing_id

PAGE = 500
DUE_S_MAX = 7 * 86_400
"""How long what one timer fired waits for room in the inbox: as long as an inbox message waits to be handled."""
RECURRING_DUE_S_MAX = 86_400
RECURRING_DUE_PERIODS = 60
FILL_MAX = 0.5
"""How full of timers the stream may get. It drops the oldest when full, so it never must be: the other half is what is due."""

_ENDED = "purge"


class _State(Struct):
    bytes: int = 0
    subjects: dict[str, int] | None = None


class _Config(Struct):
    max_bytes: int = -1


class _Info(Struct):
    state: _State
    config: _Config


class _Get(Struct):
    seq: int
    batch: int
    next_by_subj: str


class JetStreamTimers:
    """Timers; the streams must exist (`ensure_streams`). They fire up to 0.3 s late."""

    def __init__(
        self,
        broker: Broker,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        actor_max: int = Limits().timers_actor_max,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._actor_max = actor_max

    async def set(self, target: ActorRef, name: str, record: Record, when: When) -> None:
        check(name, when, self._clock())
        subject = subjects.timer(target, name)
        await self._admit(target, subject)
        headers = to_headers(record.envelope)
        # No Nats-Msg-Id: it would refuse a timer that is set, cancelled and set again.
        headers["Nats-Schedule"] = _text(when)
        headers["Nats-Schedule-Target"] = subjects.due(target)
        headers["Nats-Schedule-TTL"] = f"{_due_s_max(when)}s"
        await self._broker.store(subject, record.body, headers)

    async def cancel(self, target: ActorRef, name: str) -> None:
        check(name, self._clock(), self._clock())
        stream = subjects.timer_stream(target.domain)
        await self._broker.api(f"STREAM.PURGE.{stream}", {"filter": subjects.timer(target, name)}, _Nothing)

    async def list(self, domain: Domain, *, limit: int = 1_000) -> list[Timer]:
        found: list[Timer] = []
        after = 0
        while len(found) < limit:
            get = _Get(after + 1, min(PAGE, limit - len(found)), subjects.lane_filter(domain, "tmr"))
            subject = f"$JS.API.DIRECT.GET.{subjects.timer_stream(domain)}"
            *parts, _ = await self._broker.collect(subject, msgspec.json.encode(get))
            if not parts:
                break
            found += [_timer(part.headers or {}) for part in parts]
            after = int((parts[-1].headers or {})["Nats-Sequence"])
        return found

    async def _admit(self, target: ActorRef, subject: str) -> None:
        """Raises OutcomeError where the actor has too many timers, UnavailableError where all have."""
        stream = subjects.timer_stream(target.domain)
        request = {"subjects_filter": subjects.timer(target, "*")}
        info = await self._broker.api(f"STREAM.INFO.{stream}", request, _Info)
        mine = info.state.subjects or {}
        if len(mine) >= self._actor_max and subject not in mine:
            raise OutcomeError(f"{target} has {len(mine)} timers already; {self._actor_max} are allowed")
        if 0 < info.config.max_bytes * FILL_MAX < info.state.bytes:
            raise UnavailableError("timers", f"{stream} is full", 60)


class _Nothing(Struct):
    """Of the answer only its success counts."""


def fired_id(headers: Mapping[str, str]) -> str | None:
    """The message id of what a recurring timer fired, from all headers of the inbox message; None for every other message."""
    following = headers.get("Nats-Schedule-Next")
    if following is None or following == _ENDED:
        return None
    return firing_id(headers["Diarchy-Id"], following)


def _due_s_max(when: When) -> int:
    """Of a recurring timer much less is kept: there is a next time, and what is kept must not fill the stream."""
    if isinstance(when, datetime):
        return DUE_S_MAX
    period_s = when.seconds if isinstance(when, Every) else RECURRING_DUE_S_MAX
    return min(RECURRING_DUE_PERIODS * period_s, RECURRING_DUE_S_MAX)


def _text(when: When) -> str:
    if isinstance(when, datetime):
        return f"@at {when.astimezone(UTC).isoformat(timespec='microseconds').removesuffix('+00:00')}Z"
    return f"@every {when.seconds}s" if isinstance(when, Every) else when.expression


def _when(text: str) -> When:
    kind, _, rest = text.partition(" ")
    if kind == "@at":
        return datetime.fromisoformat(rest)
    return Every(int(rest.removesuffix("s"))) if kind == "@every" else Cron(text)


def _timer(headers: Mapping[str, str]) -> Timer:
    target, name = subjects.parse_timer(headers["Nats-Subject"])
    since = datetime.fromisoformat(headers["Nats-Time-Stamp"])
    return Timer(target, name, headers["Diarchy-Type"], _when(headers["Nats-Schedule"]), since)
