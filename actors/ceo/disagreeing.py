"""Whether two sources disagree: what two sentences about the same say cannot both be true; pure, and the same either way round.

Unlike `comparing`, where one wants and the other one binds, neither is asked to keep what the other says. By the first of these
that speaks to both:

* figures of the same unit: no two of them meet. A limit (`at most`, `at least`) meets what keeps it, a figure the one that it
  rounds to. Figures of times that have no day in common are of two things.
* days to come: no two of them meet; `by` and `before` are all days up to it, `not before` and `after` all from it. What is past
  may have been twice.
* ways: both point to one axis (`stance` has them), one to each pole; a forbidding word turns it round.
* `only through X`, and the other `through` something else.
* one forbids and the other does not. What is forbidden in one case only (`outside`, `without`, `unless`, `before` …) meets what
  names that case, too.
"""

import re
from datetime import date
from itertools import product
from math import inf

from actors.ceo.comparing import exclusive, meets
from actors.ceo.figures import Bounded, Dated
from actors.ceo.stance import Stance, overlap

SAME_TERMS_FROM = 0.6
SAME_TERMS_MIN = 2
CONVERTED = 1e-3
"""So far apart a figure is from itself in another unit: 12 months are 365.28 days, a year has 365.25."""

_DECIMALS = re.compile(r"\d[\d,]*(?:\.(\d+))?")
Span = tuple[float, float]


def disagree(one: Stance, other: Stance, today: date) -> bool:
    if overlap(one.terms, other.terms) < SAME_TERMS_FROM or len(one.terms & other.terms) < SAME_TERMS_MIN:
        return False
    figures = [(mine, its) for mine, its in product(one.figures, other.figures) if mine.comparable(its)]
    times = list(product(one.dates, other.dates))
    if times and not any(_meet(_of(mine), _of(its)) for mine, its in times) and figures:
        return False
    if figures and not any(_agree(mine, its) for mine, its in figures):
        return True
    ahead = bool(times) and all(day.last >= today for pair in times for day in pair)
    if ahead and not any(_meet(_allowed(mine, one), _allowed(its, other)) for mine, its in times):
        return not _on_a_day(one) and not _on_a_day(other)
    bound = any(_turned(day, said) for said in (one, other) for day in said.dates)
    differ = bool(one.forbids) != bool(other.forbids) and not (ahead and bound)
    if differ and not meets(one, other):
        return False
    ways = [
        (mine.pole != its.pole)
        != (differ and one.turns(mine.axis, one.forbids) != other.turns(its.axis, other.forbids))
        for mine, its in product(one.directions, other.directions)
        if mine.axis == its.axis
    ]
    if ways:
        return any(ways)
    if any(found is not None and found[0] == "conflicting" for found in (exclusive(one, other), exclusive(other, one))):
        return True
    return differ and not figures


def _agree(one: Bounded, other: Bounded) -> bool:
    if one.bound == other.bound == "none":
        apart = abs(one.value - other.value)
        return apart <= max(_step(one) / 2, _step(other) / 2, CONVERTED * max(abs(one.value), abs(other.value)))
    return _meet(_amounts(one), _amounts(other))


def _amounts(one: Bounded) -> Span:
    return (one.value if one.bound != "max" else -inf, one.value if one.bound != "min" else inf)


def _step(one: Bounded) -> float:
    """What the last digit of a figure stands for. Of a word, and of whole days or hours, nothing: these are not rounded."""
    written = _DECIMALS.search(one.phrase)
    if written is None or (one.unit == "days" and not written[1]):
        return 0.0
    number = float(written.group().replace(",", ""))
    return (one.value / number if number else 1.0) / 10.0 ** len(written[1] or "")


def _of(one: Dated) -> Span:
    """The days that something is told of."""
    return one.first.toordinal(), inf if one.when == "from" else one.last.toordinal()


def _allowed(one: Dated, said: Stance) -> Span:
    """The days on which something may be. Until when something lasts is none of them."""
    if one.when == "from" or _turned(one, said):
        return one.first.toordinal(), inf
    if one.when == "before":
        return -inf, one.first.toordinal() - 1
    if one.when == "until":
        return -inf, inf
    return -inf if one.when == "by" else one.first.toordinal(), one.last.toordinal()


def _turned(one: Dated, said: Stance) -> bool:
    """Whether before that day something is forbidden, so that after it it is not."""
    return bool(said.forbids) and one.when in ("before", "until")


def _on_a_day(said: Stance) -> bool:
    """Whether something is forbidden on a day: it may be on any other."""
    return bool(said.forbids) and not any(_turned(one, said) for one in said.dates)


def _meet(one: Span, other: Span) -> bool:
    return max(one[0], other[0]) <= min(one[1], other[1])
