"""When a timer fires: once at a moment, every so many seconds, or as a cron expression says. All in UTC."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from contracts.ids import derived_id
from contracts.subjects import ID_CHARS_MAX
from runtime.errors import OutcomeError

HORIZON_S_MAX = 10 * 366 * 86_400
EVERY_S_MAX = 366 * 86_400
CRON_CHARS_MAX = 200
CRON_YEARS_MAX = 5  # an expression without a moment in so many years is refused: it may never have one

_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{ID_CHARS_MAX}}}")


class Every(Struct, frozen=True, tag="every"):
    """Again and again, `seconds` apart (1 to a year); the first time after `seconds`. Raises ValueError."""

    seconds: int

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= EVERY_S_MAX:
            raise ValueError(f"every {self.seconds} seconds: must be 1 to {EVERY_S_MAX} seconds")


class Cron(Struct, frozen=True, tag="cron"):
    """Second, minute, hour, day of month, month, day of week: `0 30 8 * * mon-fri` is 08:30:00 UTC on working days.

    Each but the first is `*`, a number, `a-b`, `a-b/step`, `*/step`, or several of them with commas; months and days of the
    week may be named by three letters, Sunday is 0. The second is one number: `Every` is for what comes more often than once
    a minute. Where both days are restricted, either suffices, as everywhere. Raises ValueError that names the field.
    """

    expression: str

    def __post_init__(self) -> None:
        _parsed(self.expression)


Repeating = Every | Cron
When = datetime | Every | Cron


def check(name: str, when: When, now: datetime) -> None:
    """Raises OutcomeError for a name that is no token, a moment without a time zone, or one beyond the horizon."""
    if not _NAME.fullmatch(name):
        raise OutcomeError(f"timer name {name[:40]!r} must be 1 to {ID_CHARS_MAX} characters of A-Z a-z 0-9 _ -")
    if not isinstance(when, datetime):
        return
    if when.tzinfo is None:
        raise OutcomeError(f"timer {name}: {when.isoformat()} has no time zone")
    if (when - now).total_seconds() > HORIZON_S_MAX:
        raise OutcomeError(f"timer {name}: {when.isoformat()} is more than {HORIZON_S_MAX} seconds away")


def next_after(when: Repeating, moment: datetime) -> datetime:
    """The first time above `moment`; an `Every` counts from it."""
    if isinstance(when, Every):
        return moment + timedelta(seconds=when.seconds)
    found = _next(_parsed(when.expression), moment.astimezone(UTC))
    if found is None:  # the parser has seen one, so only at the end of the calendar
        raise OutcomeError(f"cron {when.expression!r} has no moment after {moment.isoformat()}")
    return found


def firing_id(record: str, following: str) -> str:
    """The id of one firing of a recurring timer: of the id of what it repeats, and when it fires the next time.

    Stable over redelivery, and over a timer that is set again by a rerun.
    """
    return derived_id(record, "fired", following)


class _Field(Struct, frozen=True):
    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)


class _Times(Struct, frozen=True):
    """A parsed expression: the numbers of each field, and whether either day is free."""

    seconds: Sequence[int]
    minutes: Sequence[int]
    hours: Sequence[int]
    days: Sequence[int]
    months: Sequence[int]
    weekdays: Sequence[int]
    day_free: bool

    def has(self, day: datetime) -> bool:
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and ((of_month and of_week) if self.day_free else (of_month or of_week))


@lru_cache(maxsize=1_000)
def _parsed(expression: str) -> _Times:
    fields = expression.split()
    if len(expression) > CRON_CHARS_MAX or len(fields) != len(_FIELDS):
        raise ValueError(f"cron {expression[:CRON_CHARS_MAX]!r}: must be six fields in {CRON_CHARS_MAX} characters")
    if not re.fullmatch(r"[0-9]{1,2}", fields[0]):
        raise ValueError(f"cron second {fields[0]!r}: must be one number; Every is for more often than once a minute")
    seconds, minutes, hours, days, months, weekdays = map(_numbers, fields, _FIELDS)
    free = any(re.search(r"(^|,)[*?](/0*1)?(,|$)", fields[one]) for one in (3, 5))
    times = _Times(seconds, minutes, hours, days, months, weekdays, free)
    if _next(times, datetime.now(UTC)) is None:
        raise ValueError(f"cron {expression!r}: has no moment in the next {CRON_YEARS_MAX} years")
    return times


def _numbers(text: str, field: _Field) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if first in ("*", "?") and not dash:
            low, high = field.lowest, field.highest
        else:
            low = _number(first, field)
            high = _number(last, field) if dash else (field.highest if slash else low)
        if low > high:
            raise ValueError(f"cron {field.name} {part!r}: begins after its end")
        if slash and not (re.fullmatch(r"[0-9]{1,4}", step) and int(step)):
            raise ValueError(f"cron {field.name} {part!r}: the step must be a number above 0")
        found.update(range(low, high + 1, int(step) if slash else 1))
    return tuple(sorted(found))


def _number(text: str, field: _Field) -> int:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.lowest
    if not re.fullmatch(r"[0-9]{1,4}", text) or not field.lowest <= int(text) <= field.highest:
        known = f" or {', '.join(field.names)}" if field.names else ""
        raise ValueError(f"cron {field.name} {text[:20]!r}: must be {field.lowest} to {field.highest}{known}")
    return int(text)


def _next(times: _Times, moment: datetime) -> datetime | None:
    start = moment.replace(microsecond=0) + timedelta(seconds=1)
    day = start.replace(hour=0, minute=0, second=0)
    while day.year <= start.year + CRON_YEARS_MAX:
        if times.has(day):
            earliest = (start.hour, start.minute, start.second) if day.date() == start.date() else (0, 0, 0)
            for hour in times.hours:
                for minute in times.minutes:
                    for second in times.seconds:
                        if (hour, minute, second) >= earliest:
                            return day.replace(hour=hour, minute=minute, second=second)
        day += timedelta(days=1)
    return None
