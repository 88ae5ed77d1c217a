"""Figures and dates of a sentence with their bounds: `at most 500,000 EUR`, `before 2028`, `by the end of March 2027`; pure."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Literal

from msgspec import Struct

from runtime.text import NUMBER, STOP_WORDS, stem, words

Bound = Literal["max", "min", "none"]
When = Literal["by", "before", "until", "from", "at"]

_WORDED = {
    word: float(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905 - shorter
    )
}
_MAX = (
    r"at most|no more than|(?:not|never|nobody|no one) (?:\w+ )?(?:more|longer|higher|greater|larger|later) than"
    r"|(?:not|never) (?:exceed|(?:\w+ )?(?:beyond|above|over))"
    r"|no longer than|no higher than"
    r"|(?:a )?maximum (?:of|is)|maximum|max\.?|capped at|(?:a )?cap of|limited to|(?:a )?limit of|within|less than|fewer than"
    r"|below|under|up to|smaller than|shorter than|cheaper than"
)
_MIN = (
    r"at least|no less than|no fewer than|not less than|(?:a )?minimum (?:of|is)|minimum|more than"
    r"|longer than|larger than|greater than|higher than|above|over"
)
_FIGURE = re.compile(
    rf"(?P<phrase>(?:\b(?:must|may|shall|will|can|do|does)\s+)?(?:(?P<max>\b(?:{_MAX}))|(?P<min>\b(?:{_MIN})))?\s*"
    rf"(?P<before>€|\$|£|\bEUR\s|\bUSD\s|\bGBP\s|\bCHF\s)?(?<![\w.,])(?P<number>{NUMBER}|\b(?:{'|'.join(_WORDED)})\b)(?![\d,]*\d)"
    r"[\s-]?(?P<scale>thousand|million|billion|bn\b|m\b|k\b)?\s?(?P<unit>%|€|\$|£|[A-Za-z][\w-]*(?:\s+[A-Za-z][\w-]*){0,3})?)",
    re.IGNORECASE,
)
_SCALES = {"thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9}
_MONEY = {
    "€": "eur",
    "eur": "eur",
    "euro": "eur",
    "euros": "eur",
    "$": "usd",
    "usd": "usd",
    "dollars": "usd",
    "dollar": "usd",
}
_MONEY |= {"£": "gbp", "gbp": "gbp", "pounds": "gbp", "chf": "chf"}
_DAYS = {
    "ms": 1 / 86_400_000,
    "millisecond": 1 / 86_400_000,
    "sec": 1 / 86_400,
    "min": 1 / 1_440,
    "hr": 1 / 24,
    "second": 1 / 86_400,
    "minute": 1 / 1_440,
    "hour": 1 / 24,
    "day": 1.0,
    "week": 7.0,
    "month": 30.44,
    "year": 365.25,
}
_BYTES = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "pb": 1e15}
_LATEST = re.compile(r"[^.,;:\d]{0,20}?\b(?:at the latest|at most|or less)\b(?!\s*[\d€$£])", re.IGNORECASE)
_GONE = re.compile(r"\b(?:delet|eras|purg|destroy)\w*\b[^.,;:]{0,30}?\b(?:after|within)\s*$", re.IGNORECASE)
_OWED = re.compile(
    r"^[^.;:!?]*?(?:\b(?:needs?|requires?|must|shall|ha(?:s|ve) to|(?:is|are) subject to|go(?:es)? to)\s|\bwithout\b|\bunless\b)"
    r"(?P<duty>[^.;!?]{1,80})",
    re.IGNORECASE,
)
"""Behind a figure that a thing is above: what has to be done then."""

_OF = re.compile(
    r"(?:\s+(?:an?|per|each|every)\s+\w+)?\s+(?:of|in|at|on|(?P<event>after|from|since|upon))\s+(?P<what>(?:[^\W\d][\w-]*\s*){1,3})",
    re.IGNORECASE,
)
_PERCENT = frozenset({"%", "percent", "per"})

MONTHS = ("january february march april may june july august september october november december").split()  # noqa: SIM905 - a word a line would be pages
_DATE = re.compile(
    r"(?P<word>\b(?:not before|before|until|by|due(?: by| on| in)?|no later than|not earlier than|from|after|since|in|for)\s+)?"
    r"(?P<end>(?:the\s+)?(?:end|close)\s+of\s+)?(?:the\s+)?"
    rf"(?:(?P<iso>20\d\d-\d\d-\d\d)|(?P<part>[QH][1-4])\s(?:of\s)?(?P<py>20\d\d)"
    rf"|(?:(?P<day>\d{{1,2}})\s)?(?P<month>{'|'.join(MONTHS)})\s(?:(?P<day2>\d{{1,2}}),\s)?(?P<my>20\d\d)"
    r"|(?<![\d,.€$£-])(?P<year>20\d\d)(?![\d,.%-]*\d|\s?(?:EUR|USD|€|%))|(?P<relative>this|next)\s(?P<span>year|quarter|month))"
    r"(?P<latest>\s+at the latest)?",
    re.IGNORECASE,
)
_INTENT = re.compile(
    r"\b(?:must|shall|will|should|may|needs?|has to|have to|is to|are to|plan\w*|due)\b", re.IGNORECASE
)
_CLOSES = re.compile(r"\s*(?:$|[.,;:!?)]|(?:and|for|at|with|in|to|so|or|but|as)\b)", re.IGNORECASE)
_WHEN: dict[str, When] = {
    "before": "before",
    "until": "until",
    "not before": "from",
    "not earlier than": "from",
    "from": "from",
}
_WHEN |= {"after": "from", "since": "from", "in": "at", "for": "at", "": "at"}


_MEASURES = re.compile(rf"\b(?:(?:month|year)ly|{_MAX}|{_MIN}|(?:{'|'.join((*_DAYS, *_BYTES))})s?)\b", re.IGNORECASE)


def unmeasured(text: str) -> str:
    """A text without dates, bounds, and units of time and bytes: what is measured says of what it is."""
    return _MEASURES.sub(" ", _DATE.sub(" ", text))


class Bounded(Struct, frozen=True, kw_only=True):
    """A figure as written (`phrase`), its value in its `unit` (a currency, `%`, `days`; of counts empty: then `nouns` say of
    what), and whether it is the most or the least that is allowed. `of` is what a time or a share is of, where that stands behind
    it: days of holiday are no days in the office. `duty` is what has to be done above it: then it is no limit.
    `gone`: a thing is deleted after that time."""

    phrase: str
    bound: Bound
    value: float
    unit: str
    nouns: frozenset[str] = frozenset()
    of: frozenset[str] = frozenset()
    duty: frozenset[str] = frozenset()
    gone: bool = False

    def comparable(self, other: "Bounded") -> bool:
        if self.of and other.of and not self.of & other.of:
            return False
        return self.unit == other.unit and (self.unit != "" or bool(self.nouns & other.nouns))


class Dated(Struct, frozen=True, kw_only=True):
    """A time as written, from its first to its last day; it is a last day, the one before or until which, from which, or when.

    `due`: that time is set for something: a word of intent stands before it, or nothing that it only describes behind it.
    `past`: it is over, or began with a `since`: nothing is set for it.
    """

    phrase: str
    when: When
    first: date
    last: date
    due: bool = True
    past: bool = False

    @property
    def earliest(self) -> bool:
        """Whether it says only before when something is not done."""
        return self.phrase.lower().startswith("not ")

    @property
    def deadline(self) -> date | None:
        """The last day on which it may be done, where a last day is set."""
        if self.when == "before" and self.due:
            return self.first - timedelta(days=1)
        return self.last if self.when == "by" else None

    def kept(self, deadline: date) -> bool:
        """Whether no day of this time is after the deadline."""
        return (self.first - timedelta(days=1) if self.when == "before" else self.last) <= deadline

    def later(self, deadline: date) -> bool:
        """Whether this time is, or allows, a day after the deadline. `By September` may mean its beginning."""
        latest = self.first - timedelta(days=1) if self.when == "before" else self.first
        return latest > deadline


def bounded(text: str) -> Iterator[Bounded]:
    """The figures of a text in order, without years and dates."""
    for found in _FIGURE.finditer(_DATE.sub(lambda match: "·" * len(match.group()), text)):
        phrase = text[found.start("phrase") : found.end("phrase")]
        number = found["number"].lower()
        value = _WORDED.get(number, -1.0) if number in _WORDED else float(number.replace(",", ""))
        value *= _SCALES.get((found["scale"] or "").lower(), 1.0)
        unit, factor, nouns = _unit((found["before"] or "").strip().lower(), (found["unit"] or "").lower())
        if unit or nouns:
            gone = unit == "days" and bool(_GONE.search(text[: found.start("number")]))
            owed = _OWED.match(text[found.end("number") :]) if found["min"] else None
            latest = found["max"] or (not found["min"] and _LATEST.match(text[found.end("number") :]))
            bound: Bound = "max" if latest else "min" if found["min"] and not owed else "none"
            yield Bounded(
                phrase=phrase.strip(),
                bound=bound,
                value=value * factor,
                unit=unit,
                nouns=nouns,
                of=_of(text[found.start("unit") :], gone) if unit in ("days", "%") else frozenset(),
                duty=frozenset(words(owed["duty"])) if owed else frozenset(),
                gone=gone,
            )


def _of(behind: str, gone: bool) -> frozenset[str]:
    """What stands behind the unit, up to three words; of what is deleted also from when on the time counts."""
    found = _OF.match(behind[len((behind.split() or [""])[0]) :])
    if found is None or (found["event"] and not gone):
        return frozenset()
    return frozenset(words(found["what"])) - {stem(word) for word in ("time", "cases", "latest", "most")}


def _unit(before: str, behind: str) -> tuple[str, float, frozenset[str]]:
    if before in _MONEY:
        return _MONEY[before], 1.0, frozenset()
    listed = behind.split()
    first = listed[0] if listed else ""
    if first in _MONEY:
        return _MONEY[first], 1.0, frozenset()
    if first in _PERCENT:
        return "%", 1.0, frozenset()
    if (unit := first if first in _DAYS else first.removesuffix("s")) in _DAYS:
        return "days", _DAYS[unit], frozenset()
    if first in _BYTES:
        return "bytes", _BYTES[first], frozenset()
    nouns: list[str] = []
    for word in listed:
        if word in STOP_WORDS:
            break
        nouns += [stem(part) for part in word.split("-")]
    return "", 1.0, frozenset(nouns) - {"new"}


def dates(text: str, today: date) -> Iterator[Dated]:
    """The times a text names, in order; a year needs to begin with 20."""
    for found in _DATE.finditer(text):
        try:
            first, last = _days(found, today)
        except ValueError:  # no such day
            continue
        word = " ".join((found["word"] or "").lower().split())
        when = "by" if found["latest"] else _WHEN.get(word, "by")
        if found["end"]:
            first = last
        due = bool(_INTENT.search(text[: found.start()]) or _CLOSES.match(text[found.end() :]))
        past = last < today or word == "since"
        yield Dated(phrase=found.group().strip(), when=when, first=first, last=last, due=due, past=past)


def _days(found: re.Match[str], today: date) -> tuple[date, date]:
    if found["iso"]:
        return (day := date.fromisoformat(found["iso"])), day
    if found["part"]:
        year, number = int(found["py"]), int(found["part"][1])
        months = 3 if found["part"][0].upper() == "Q" else 6
        return _months(year, (number - 1) * months + 1, months)
    if found["month"]:
        year, month = int(found["my"]), MONTHS.index(found["month"].lower()) + 1
        if (named := found["day"] or found["day2"]) is None:
            return _months(year, month, 1)
        return (exact := date(year, month, int(named))), exact
    if found["year"]:
        return _months(int(found["year"]), 1, 12)
    return _relative(found["relative"].lower() == "next", found["span"].lower(), today)


def _relative(following: bool, span: str, today: date) -> tuple[date, date]:
    months = {"year": 12, "quarter": 3, "month": 1}[span]
    begins = (today.month - 1) // months * months + 1 + (months if following else 0)
    return _months(today.year, begins, months)


def _months(year: int, month: int, months: int) -> tuple[date, date]:
    """From the first day of a month, counted on beyond December, so many months. Raises ValueError where there is no such."""
    beyond = month - 1 + months
    first = date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)
    return first, date(year + beyond // 12, beyond % 12 + 1, 1) - timedelta(days=1)
