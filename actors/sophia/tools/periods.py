"""The period that a question names, as `in November 2026`, `in Q3 2026` or `during 2025`: from its first day to its last."""

import calendar
import re
from collections.abc import Iterable
from datetime import date, timedelta

from msgspec import Struct
from msgspec.structs import replace

from actors.sophia.tools.conditions import Condition, Reading

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_PERIOD = re.compile(
    rf"\b(?:in|during)\s+(?:(?P<month>{'|'.join(_MONTHS)})\s+|Q(?P<quarter>[1-4])\s+)?(?P<year>20\d\d)\b", re.IGNORECASE
)


class Period(Struct, frozen=True):
    """`said`: the question's words; `rest`: the question without them."""

    first: date
    last: date
    said: str
    rest: str

    def has(self, day: date | None) -> bool:
        return day is not None and self.first <= day <= self.last

    def limiting(self, reading: Reading, verb: str, days: Iterable[date | None]) -> Reading:
        """The reading with one more condition: of each row the day on which it did what the verb says is in the period."""
        one = Condition(verb, f"{verb} {self.said}", self.said, tuple(map(self.has, days)))
        return replace(reading, conditions=(*reading.conditions, one))


def period(question: str) -> Period | None:
    """The first that it names; None where it names none."""
    found = _PERIOD.search(question)
    if found is None:
        return None
    year, months, start = int(found["year"]), 12, 1
    if found["month"]:
        months, start = 1, _MONTHS[found["month"].lower()]
    elif found["quarter"]:
        months, start = 3, 3 * int(found["quarter"]) - 2
    after = date(year + (start + months > 12), (start + months - 1) % 12 + 1, 1)
    rest = f"{question[: found.start()]} {question[found.end() :]}"
    return Period(date(year, start, 1), after - timedelta(days=1), found[0], rest)
