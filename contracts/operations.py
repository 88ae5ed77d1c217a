"""How long our own operations took in a window of time, by operation only: nothing of who asked, or for what."""

from datetime import datetime

from msgspec import Struct


class Operation(Struct, frozen=True, kw_only=True):
    """One kind of work of one role: how often it was done and failed, and how long it took.

    `ms` are durations, of at most `DURATIONS_MAX` evenly chosen ones; `self_ms` is the time of all that no operation inside took.
    """

    service: str
    name: str
    count: int
    failed: int
    total_ms: float
    self_ms: float
    ms: tuple[float, ...]


class Step(Struct, frozen=True):
    """A part of a run's critical path: the operation that the run waited for, and for how long."""

    service: str
    name: str
    ms: float


class SlowRun(Struct, frozen=True, kw_only=True):
    """One of the slowest runs of the window: how long any span of it was open, what it waited for (in order), how many spans.

    Time in which none was open is left out: then it waited for somebody, or for a process that was away.
    """

    ms: float
    spans: int
    path: tuple[Step, ...]


class Operations(Struct, frozen=True, kw_only=True):
    """All of a window. `complete_until`: up to when spans were read; before `until` when there were too many."""

    since: datetime
    until: datetime
    complete_until: datetime
    spans: int
    runs: int
    operations: tuple[Operation, ...]
    slowest: tuple[SlowRun, ...] = ()
