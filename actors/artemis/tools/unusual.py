"""What of a series of figures stands out, with the method named: single points, changes of level, drifts.

One after the other: growing counters become growth; a skewed positive series becomes its logarithm; what repeats itself by day
or by hour is taken out (STL, robust) where at least four periods are there; changes of level are found by the CUSUM test of a
mean on whitened values, again in the parts; then single points by their distance from their level in robust standard deviations
(median and MAD) against a tail as heavy as the other values have (`tails`), and drifts by an EWMA chart (weight 0.2) of whitened
values. Whitened: less what a value owes to the one before, as an AR(1) process estimated from differences, which a change of
level hardly touches.

Every limit follows from one number: `FALSE_ALARMS` (5 %) is the chance that an answer about nothing but noise holds an alarm,
shared out by Bonferroni over series, tests and points. tests/unit/test_unusual.py measures it for Gaussian, log-normal and AR(1)
noise and for Student's t with 5 and 3 degrees of freedom; the table is in docs/adr/0041.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from actors.artemis.tools.tails import limit

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

FALSE_ALARMS = 0.05
TESTS = 3
POINTS_MIN = 24
LEVEL_POINTS_MIN = 8  # of each side of a change
LEVELS_MAX = 5
PERIODS_MIN = 4
SEASONAL_LIMIT = (
    1.25  # times as wide are the limits of what a season was taken out of: its form was fitted to the same values
)
REPEATS_FROM = 0.6  # correlation of a period with the next, from which it is said to repeat itself
PERIODIC = 10_001  # of STL: the periods are smoothed over so many, that is over all: one form for each
EWMA_WEIGHT = 0.2
CORRELATION_MAX = 0.95
SIGMA_SHARE_MIN = 0.01  # of the usual value: what varies less is taken to vary so much, else every trifle stands out
SIGMAS_MIN = 1.0  # a smaller change of level is none worth telling

How = Literal["point", "level", "drift", "departure"]
METHODS: dict[How, str] = {
    "point": "robust z-score (median and MAD) against a Student's t tail fitted to the other values",
    "level": "CUSUM test of the mean, AR(1) whitened",
    "drift": "EWMA chart, weight 0.2, AR(1) whitened",
    "departure": "departure from a constant",
}


class Watched(Struct, frozen=True, kw_only=True):
    """A series to be judged: `at_ms` are its points' times, `step_ms` their distance.

    `steady`: what it should always be, such as 0 slow consumers: then every other value is told, whatever its spread.
    """

    name: str
    at_ms: tuple[int, ...]
    values: tuple[float, ...]
    step_ms: int
    steady: float | None = None


class Anomaly(Struct, frozen=True, kw_only=True):
    """One thing that stands out: where, from what to what, how far in robust standard deviations, how it was found.

    `sigmas` None: it should never be so. `before` is the usual value (a level's median), `value` the point's or the new level's.
    """

    name: str
    at_ms: int
    before: float
    value: float
    sigmas: float | None
    how: How


class Judged(Struct, frozen=True):
    """What stands out, by time; which series were judged, and which were not since they hardly move or are too short."""

    anomalies: tuple[Anomaly, ...]
    judged: tuple[str, ...]
    still: tuple[str, ...]
    short: tuple[str, ...]


def judge(watched: Sequence[Watched]) -> Judged:
    """All series together: the chance of a false alarm is that of the whole answer."""
    steady = [one for one in watched if one.steady is not None]
    rest = [one for one in watched if one.steady is None]
    short = [one.name for one in rest if len(one.values) < POINTS_MIN]
    prepared = [(one, series) for one in rest if len(one.values) >= POINTS_MIN and (series := _prepared(one))]
    alpha = FALSE_ALARMS / (TESTS * max(len(prepared), 1))
    found = [anomaly for one in steady for anomaly in _departures(one)]
    for _, series in prepared:
        found += _anomalies(series, alpha)
    moving = [one.name for one, _ in prepared]
    known = {*moving, *short}
    return Judged(
        tuple(sorted(found, key=lambda one: (one.at_ms, one.name))),
        (*(one.name for one in steady), *moving),
        tuple(one.name for one in rest if one.name not in known),
        tuple(short),
    )


def together(anomalies: Sequence[Anomaly], within_ms: int) -> list[list[Anomaly]]:
    """In order of time, those that follow each other within so many milliseconds in one group; the largest first in it."""
    groups: list[list[Anomaly]] = []
    for one in sorted(anomalies, key=lambda one: one.at_ms):
        if groups and one.at_ms - groups[-1][-1].at_ms <= within_ms:
            groups[-1].append(one)
        else:
            groups.append([one])
    return [sorted(group, key=first) for group in groups]


def first(one: Anomaly) -> float:
    """What should never be comes before what is rare."""
    return -(math.inf if one.sigmas is None else one.sigmas)


class _Series(Struct, frozen=True):
    """`values` as they are judged, with their times; `logarithm`: how a level is said again in the series' own unit."""

    name: str
    at_ms: tuple[int, ...]
    values: Any  # of `Floats`, whose library is loaded with the first series
    seasonal: bool
    logarithm: bool


def _prepared(one: Watched) -> _Series | None:
    """None: it does not move, or so seldom that nothing can be said of how it moves."""
    import numpy as np

    values = np.asarray(one.values, dtype=float)
    steps = np.diff(values)
    growth = bool((steps >= 0).all()) and bool((steps > 0).any())
    if growth:
        values = steps
    if _sigma(values) == 0:
        return None
    logarithm = _skewed(values)
    if logarithm:
        values = np.log(values)
    name, at_ms = (f"{one.name}, growth", one.at_ms[1:]) if growth else (one.name, one.at_ms)
    return _Series(name, at_ms, *_deseasoned(values, one.step_ms), logarithm)


def _skewed(values: "Floats") -> bool:
    """Positive, and longer to the right: seconds, sizes."""
    import numpy as np

    if values.min() <= 0 or values.max() / values.min() < 2:
        return False
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    return bool(high - middle > 1.3 * (middle - low))


def _deseasoned(values: "Floats", step_ms: int) -> "tuple[Floats, bool]":
    """Less what repeats itself by day, else by hour, where enough periods are there and each resembles the next."""
    import numpy as np
    from statsmodels.tsa.seasonal import STL

    for period_ms in (86_400_000, 3_600_000):
        period = round(period_ms / step_ms)
        if period >= 4 and len(values) >= PERIODS_MIN * period:
            if not np.corrcoef(values[:-period], values[period:])[0, 1] >= REPEATS_FROM:
                continue
            seasonal = STL(values, period=period, robust=True, seasonal=PERIODIC, seasonal_deg=0).fit().seasonal
            return np.asarray(values - seasonal), True
    return values, False


def _sigma(values: "Floats") -> float:
    """The standard deviation as the median absolute deviation estimates it; 0 where half of the values are equal."""
    import numpy as np

    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _spread(values: "Floats") -> float:
    """The standard deviation of what lies within four robust ones of the median: nearer than `_sigma`, and as little deceived."""
    import numpy as np

    middle, sigma = np.median(values), _sigma(values)
    return float(np.std(np.clip(values, middle - 4 * sigma, middle + 4 * sigma)))


def _whitened(values: "Floats") -> "Floats":
    """Less what each owes to the one before, and one standard error more: where it is not sure, it is taken for owed."""
    import numpy as np

    one, two = _spread(np.diff(values)), _spread(values[2:] - values[:-2])
    owed = (two / one) ** 2 - 1 + 1 / math.sqrt(len(values)) if one > 0 else 0.0
    owed = min(max(owed, 0.0), CORRELATION_MAX)
    white = values[1:] - owed * values[:-1]
    return np.concatenate([white[:1], white])


def _anomalies(series: _Series, alpha: float) -> list[Anomaly]:
    import numpy as np
    from scipy.stats import norm

    values = series.values
    starts = [0, *_levels(_whitened(values), values, alpha), len(values)]
    parts = [values[start:end] for start, end in pairwise(starts)]
    levels = [float(np.median(part)) for part in parts]
    rest = np.concatenate([part - level for part, level in zip(parts, levels, strict=True)])
    sigma = _sigma(rest)
    if sigma == 0:
        return []
    sigma = max(sigma, SIGMA_SHARE_MIN * (1 if series.logarithm else abs(float(np.median(values)))))
    own = [_own(level, series) for level in levels]
    found = [
        _anomaly(series, start, (own[at], own[at + 1]), abs(levels[at + 1] - levels[at]) / sigma, "level")
        for at, start in enumerate(starts[1:-1])
    ]
    which = np.searchsorted(starts[1:-1], np.arange(len(values)), side="right")
    z = np.abs(rest) / sigma
    wider = SEASONAL_LIMIT if series.seasonal else 1.0
    for at in np.flatnonzero(z / wider >= limit(z / wider, alpha)).tolist():
        value = _own(float(values[at]), series)
        found.append(_anomaly(series, at, (own[which[at]], value), float(z[at]), "point"))
    chart = _small(float(norm.isf(alpha / (2 * len(values)))), len(values)) * wider
    return found + _drifts(series, (rest, [own[at] for at in which]), chart)


def _drifts(series: _Series, rest: "tuple[Floats, list[float]]", chart: float) -> list[Anomaly]:
    """Where the moving average leaves its limits, once each time; single points are cut down to what is usual first."""
    import numpy as np

    values, usual = rest
    white = _whitened(values)
    sigma = _sigma(white)
    if sigma == 0:
        return []
    cut = np.clip((white - np.median(white)) / sigma, -3.0, 3.0)
    cut /= max(float(np.std(cut)), 1.0)  # Heavy tails are wider than the MAD says, cut down, too.
    found: list[Anomaly] = []
    average, outside = 0.0, False
    for at, value in enumerate(cut):
        average += EWMA_WEIGHT * (float(value) - average)
        spread = math.sqrt(EWMA_WEIGHT / (2 - EWMA_WEIGHT) * (1 - (1 - EWMA_WEIGHT) ** (2 * (at + 1))))
        beyond = abs(average) / spread > chart
        if beyond and not outside:
            reached = _own(float(series.values[at]), series)
            found.append(_anomaly(series, at, (usual[at], reached), abs(average) / spread, "drift"))
        outside = beyond
    return found


def _small(limit: float, points: int) -> float:
    """A limit of normal values where the spread itself is estimated by the MAD of so many: Student's t with 0.37 n degrees."""
    from scipy.stats import norm, t

    return float(t.isf(norm.sf(limit), max(0.37 * points, 3.0)))


def _levels(white: "Floats", values: "Floats", alpha: float) -> list[int]:
    """Where the level changes, in order: the most certain place first, then the parts, until none is certain or worth telling."""
    found: list[int] = []
    waiting = [(0, len(white))]
    while waiting and len(found) < LEVELS_MAX:
        start, end = waiting.pop(0)
        place = _level(white[start:end], alpha)
        if place is None or not _worth_telling(values[start:end], place):
            continue
        found.append(start + place)
        waiting += [(start, start + place), (start + place, end)]
    return sorted(found)


def _level(white: "Floats", alpha: float) -> int | None:
    import numpy as np
    from statsmodels.stats.diagnostic import breaks_cusumolsresid

    if len(white) < 2 * LEVEL_POINTS_MIN or _sigma(white) == 0:
        return None
    low, high = np.median(white) - 4 * _sigma(white), np.median(white) + 4 * _sigma(white)
    rest = np.clip(white, low, high)
    rest = rest - rest.mean()
    _, p, _ = breaks_cusumolsresid(rest, ddof=1)
    place = int(np.argmax(np.abs(np.cumsum(rest)))) + 1
    inside = LEVEL_POINTS_MIN <= place <= len(white) - LEVEL_POINTS_MIN
    return place if p < alpha and inside else None


def _worth_telling(values: "Floats", place: int) -> bool:
    import numpy as np

    before, after = values[:place], values[place:]
    within = _sigma(np.concatenate([before - np.median(before), after - np.median(after)]))
    return bool(abs(np.median(after) - np.median(before)) >= SIGMAS_MIN * within)


def _own(value: float, series: _Series) -> float:
    return math.exp(value) if series.logarithm else value


def _anomaly(series: _Series, at: int, change: tuple[float, float], sigmas: float, how: How) -> Anomaly:
    before, value = change
    return Anomaly(
        name=series.name, at_ms=series.at_ms[at], before=before, value=value, sigmas=round(sigmas, 1), how=how
    )


def _departures(one: Watched) -> list[Anomaly]:
    """Each time that it leaves what it should be; the furthest value of that time."""
    found: list[Anomaly] = []
    away = False
    usual = one.steady or 0.0
    for at_ms, value in zip(one.at_ms, one.values, strict=True):
        if value != usual and not away:
            found.append(Anomaly(name=one.name, at_ms=at_ms, before=usual, value=value, sigmas=None, how="departure"))
        away = value != usual
    return found
