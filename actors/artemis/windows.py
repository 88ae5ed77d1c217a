"""The windows of time that a question speaks of, by its words; relative to when it was asked, never to a clock."""

import re
from datetime import datetime, timedelta

from msgspec import Struct

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
LONGEST = WEEK
_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": HOUR,
    "day": DAY,
    "week": WEEK,
}
_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10, "twelve": 12}
_NUMBER = rf"(\d{{1,5}}|{'|'.join(_NUMBERS)})"
_UNIT = r"(second|minute|hour|day|week)s?"
_LAST = re.compile(rf"\b(?:last|past|previous|within|in the last)\s+(?:{_NUMBER}\s+)?{_UNIT}\b")
_AGO = re.compile(rf"\b{_NUMBER}\s+{_UNIT}\s+ago\b")
_SINCE_TIME = re.compile(r"\bsince\s+(\d{1,2}):(\d{2})\b")
_COMPARES = re.compile(
    r"\b(?:slower|faster|regress\w*|than|compared?|versus|vs|changed?|worse|better|got|become|became|increas\w*)\b"
)


class Windows(Struct, frozen=True, kw_only=True):
    """[since, until) is asked about, and [before_since, before_until) to compare with. `said`: how the question says it."""

    since: datetime
    until: datetime
    before_since: datetime
    before_until: datetime
    compares: bool
    said: str


def windows(question: str, asked: datetime, *, default: timedelta = HOUR) -> Windows:
    """The window of the question, and the one before it: of the same length, or the other day that the question names.

    "today", and "since yesterday" where something is said to have changed: from midnight (UTC), against yesterday up to the same
    time of day. Without a word for one: `default`. A window is a week at most.
    """
    text = question.lower()
    midnight = asked.replace(hour=0, minute=0, second=0, microsecond=0)
    compares = _COMPARES.search(text) is not None
    since, until, said = asked - default, asked, f"last {_length(default)}"
    before: tuple[datetime, datetime] | None = None
    if found := _LAST.search(text):
        since = asked - _duration(found[1] or "a", found[2])
        said = f"last {_length(asked - since)}"
    elif found := _AGO.search(text):
        since = asked - _duration(found[1], found[2])
        said = f"last {_length(asked - since)}"
    elif found := _SINCE_TIME.search(text):
        hours, minutes = min(int(found[1]), 23), min(int(found[2]), 59)
        since = midnight + timedelta(hours=hours, minutes=minutes)
        since -= DAY if since >= asked else timedelta()
        said = f"since {hours:02}:{minutes:02}"
    elif "yesterday" in text and ("today" in text or compares):
        since, said = midnight, "today"
        before = midnight - DAY, asked - DAY
    elif "since yesterday" in text:
        since, said = midnight - DAY, "since yesterday"
    elif "yesterday" in text:
        since, until, said = midnight - DAY, midnight, "yesterday"
    elif "today" in text:
        since, said = midnight, "today"
        before = midnight - DAY, asked - DAY
    elif "this week" in text:
        since, said = midnight - timedelta(days=asked.weekday()), "this week"
    since = max(since, until - LONGEST)
    before = before or (since - (until - since), since)
    return Windows(
        since=since, until=until, before_since=before[0], before_until=before[1], compares=compares, said=said
    )


def _duration(number: str, unit: str) -> timedelta:
    return max(min(_UNITS[unit] * int(_NUMBERS.get(number, number)), LONGEST), timedelta(seconds=1))


def _length(duration: timedelta) -> str:
    for name in ("week", "day", "hour", "minute", "second"):
        if duration >= _UNITS[name] and duration % _UNITS[name] == timedelta():
            number = duration // _UNITS[name]
            return name if number == 1 else f"{number} {name}s"
    return f"{duration.total_seconds():g} seconds"
