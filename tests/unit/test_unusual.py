"""What stands out of series of figures: planted anomalies are found, noise raises no more alarms than is stated.

Simulated with fixed seeds; the same figures every time.
"""

import math

import numpy as np
import pytest
from numpy.random import Generator

from actors.artemis.tools.tails import limit
from actors.artemis.tools.unusual import FALSE_ALARMS, TESTS, Anomaly, How, Watched, judge, together

MINUTE_MS = 60_000
Values = np.ndarray[tuple[int], np.dtype[np.float64]]


def series(values: Values, name: str = "x", steady: float | None = None) -> Watched:
    at_ms = tuple(number * MINUTE_MS for number in range(len(values)))
    return Watched(name=name, at_ms=at_ms, values=tuple(values.tolist()), step_ms=MINUTE_MS, steady=steady)


def noise(kind: str, points: int, random: Generator) -> Values:
    if kind == "gaussian":
        return random.normal(100, 5, points)
    if kind.startswith("t of "):
        return 100 + 5 * random.standard_t(int(kind[5:]), points)
    if kind == "log-normal":
        return random.lognormal(3, 0.6, points)
    values = random.normal(size=points + 50)
    for at in range(1, points + 50):
        values[at] += 0.6 * values[at - 1]
    return 100 + values[50:]


@pytest.mark.parametrize("kind", ["gaussian", "log-normal", "correlated", "t of 5"])
def test_noise_raises_no_more_alarms_than_is_stated(kind: str) -> None:
    """Of 60 answers about six figures each; 9 alarms or more have a chance of 0.2 % where 5 % is true."""
    random = np.random.default_rng(7)
    alarms = sum(
        bool(judge([series(noise(kind, 80, random), f"{number}") for number in range(6)]).anomalies) for _ in range(60)
    )
    assert alarms < 9, FALSE_ALARMS


@pytest.mark.parametrize("freedom", [math.inf, 10, 5, 3])
@pytest.mark.parametrize("points", [60, 120])
def test_noise_of_heavy_tails_reaches_beyond_the_limit_no_more_often_than_is_stated(
    freedom: float, points: int
) -> None:
    """Of 400 series; 33 or more have a chance of 0.4 % where 5 % is true. The Gaussian limit is passed by a half of them at 3."""
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(400):
        values = random.normal(size=points) if math.isinf(freedom) else random.standard_t(freedom, points)
        distances = np.abs(values - np.median(values))
        distances /= 1.4826 * np.median(distances)
        alarms += bool((distances >= limit(distances, FALSE_ALARMS / TESTS)).any())
    assert alarms < 33


def test_what_is_near_is_none_and_several_do_not_hide_each_other() -> None:
    values = np.minimum(np.abs(np.random.default_rng(4).normal(size=400)), 3.2)
    assert limit(values, 0.05) == math.inf
    values[:4] = [20, 21, 22, 23]
    assert limit(values, 0.05) == 20
    for few in ([], [7.0], [0.0] * 30):
        assert limit(np.array(few), 0.05) == math.inf


@pytest.mark.parametrize(("how", "share"), [("point", 0.85), ("level", 0.95), ("drift", 0.8)])
def test_what_is_planted_is_found(how: How, share: float) -> None:
    random = np.random.default_rng(11)
    found = 0
    for _ in range(40):
        values = random.normal(100, 5, 120)
        match how:
            case "point":
                values[70] += 40
            case "level":
                values[70:] += 20
            case _:
                values[70:] += np.linspace(0, 25, 50)
        wanted = range(69, 72) if how == "point" else range(60, 120)
        anomalies = judge([series(values)]).anomalies
        found += any(one.at_ms // MINUTE_MS in wanted and how in (one.how, "drift") for one in anomalies)
    assert found >= 40 * share


def test_a_change_of_level_says_from_what_to_what_and_when() -> None:
    values = np.random.default_rng(3).normal(10, 0.5, 100)
    values[60:] += 5
    (found,) = judge([series(values)]).anomalies
    assert found.how == "level"
    assert abs(found.at_ms // MINUTE_MS - 60) <= 2
    assert (round(found.before), round(found.value)) == (10, 15)


def test_what_repeats_itself_by_the_hour_is_usual_and_what_breaks_it_is_not() -> None:
    random = np.random.default_rng(5)
    values = 50 + 20 * np.sin(np.arange(480) * 2 * math.pi / 60) + random.normal(0, 1, 480)
    assert judge([series(values)]).anomalies == ()
    values[200] = 33  # usual at another time of the hour; here it is 67
    assert 200 in [one.at_ms // MINUTE_MS for one in judge([series(values)]).anomalies]


def test_a_counter_is_judged_by_its_growth_and_what_hardly_moves_not_at_all() -> None:
    random = np.random.default_rng(2)
    growth = random.normal(100, 5, 80)
    growth[50] = 400
    judged = judge([series(np.cumsum(growth), "records"), series(np.zeros(80), "still"), series(growth[:9], "short")])
    (found,) = judged.anomalies
    assert (found.name, found.at_ms // MINUTE_MS, round(found.value)) == ("records, growth", 50, 400)
    assert (judged.judged, judged.still, judged.short) == (("records",), ("still",), ("short",))


def test_a_departure_from_what_always_should_be_is_told_once_each_time() -> None:
    well = np.ones(10)
    well[[3, 4, 8]] = 0
    found = judge([series(well, "health: ceo well", steady=1.0)]).anomalies
    assert [(one.at_ms // MINUTE_MS, one.value, one.how) for one in found] == [(3, 0, "departure"), (8, 0, "departure")]


def test_what_changes_at_the_same_time_is_told_together() -> None:
    def at(minute: int, sigmas: float) -> Anomaly:
        return Anomaly(name="x", at_ms=minute * MINUTE_MS, before=1, value=2, sigmas=sigmas, how="point")

    groups = together([at(9, 4), at(1, 5), at(2, 7), at(30, 6)], 2 * MINUTE_MS)
    assert [[one.sigmas for one in group] for group in groups] == [[7, 5], [4], [6]]
