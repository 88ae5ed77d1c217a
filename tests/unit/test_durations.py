"""Statistics of durations, against figures computed another way; regressions that are planted are found, others are not."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from actors.artemis.tools.durations import Change, compare, difference, quantiles
from actors.artemis.tools.performance_analysis import TIMED_MAX, of_spans
from contracts.operations import Operation, Operations


def operation(
    ms: "np.ndarray[tuple[int], np.dtype[np.float64]] | list[float]", name: str = "handle", failed: int = 0
) -> Operation:
    values = tuple(float(one) for one in ms)
    return Operation(
        service="sophia",
        name=name,
        count=len(values),
        failed=failed,
        total_ms=sum(values),
        self_ms=sum(values),
        ms=values,
    )


def test_quantiles_have_the_interval_of_order_statistics() -> None:
    """Of 1 … 100: the smallest and largest ranks whose binomial probability leaves 2.5 % on either side."""
    median, high, _ = quantiles([float(number) for number in range(1, 101)])
    ranks = stats.binom(100, 0.5)
    low = max(rank for rank in range(1, 101) if ranks.cdf(rank - 1) <= 0.025)
    top = min(rank for rank in range(1, 101) if ranks.cdf(rank - 1) >= 0.975)
    assert (median.ms, median.low, median.high) == (50, low, top)
    assert high.ms == 95


def test_too_few_durations_have_no_upper_bound() -> None:
    assert quantiles([1.0, 2.0, 3.0])[2].high is None


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=60))
def test_an_interval_holds_its_estimate(ms: list[float]) -> None:
    for one in quantiles(ms):
        assert one.low is None or one.low <= one.ms
        assert one.high is None or one.ms <= one.high


def test_of_two_durations_the_estimate_is_the_bound() -> None:
    *_, last = quantiles([2_155.0, 3_341.7])
    assert (last.ms, last.low, last.high) == (3_341.7, 3_341.7, None)


def test_intervals_of_the_median_hold_it_as_often_as_they_say() -> None:
    random = np.random.default_rng(17)
    held = 0
    for _ in range(200):
        (median, *_) = quantiles(random.lognormal(2, 0.7, 60).tolist())
        assert median.low is not None
        assert median.high is not None
        held += median.low <= np.exp(2) <= median.high
    assert held >= 181  # a chance of 1 % to be fewer where 95 % is true


def test_a_planted_regression_is_found_with_its_size_and_the_others_are_not() -> None:
    random = np.random.default_rng(23)
    names = [f"op {number}" for number in range(12)]
    before = [operation(random.lognormal(3, 0.5, 150), name) for name in names]
    after = [operation(random.lognormal(3 + 0.4 * (name == "op 7"), 0.5, 150), name) for name in names]
    (found,) = [one for one in compare(before, after).changes if one.slower or one.faster]
    assert found.name == "op 7"
    pairs = [(one.ms, other.ms) for one, other in zip(before, after, strict=True)]
    p = sorted(stats.mannwhitneyu(later, earlier, method="asymptotic").pvalue for earlier, later in pairs)
    assert found.p == pytest.approx(p[0])
    assert found.adjusted == pytest.approx(min(1, 12 * p[0]))
    assert found.larger == pytest.approx(stats.norm.cdf(0.4 / (0.5 * np.sqrt(2))), abs=0.1)
    assert found.low < (np.exp(3.4) - np.exp(3)) < found.high


def test_two_windows_alike_show_a_change_no_more_often_than_is_stated() -> None:
    """Of 40 comparisons of ten operations each; 7 or more have a chance of 0.3 % where 5 % is true."""
    random = np.random.default_rng(29)

    def window() -> list[Operation]:
        return [operation(random.lognormal(3, 0.5, 60), str(number)) for number in range(10)]

    wrong = sum(any(one.slower or one.faster for one in compare(window(), window()).changes) for _ in range(40))
    assert wrong < 7


def test_a_certain_change_that_is_too_small_is_not_told_and_a_failing_operation_is() -> None:
    random = np.random.default_rng(31)
    base = random.lognormal(3, 0.02, 1_000)
    small, failing = operation(base * 1.03, "small"), operation(base, "failing", failed=60)
    changes = {
        one.name: one
        for one in compare([operation(base, "small"), operation(base, "failing")], [small, failing]).changes
    }
    assert changes["small"].adjusted < 1e-6
    assert not changes["small"].slower
    assert changes["failing"].fails_more
    assert not changes["small"].fails_more


def test_what_cannot_be_compared_is_said() -> None:
    few, many = operation([1.0] * 5, "few"), operation(list(range(30)), "gone")
    compared = compare([few, many], [few, operation(list(range(30)), "new")])
    assert (compared.changes, compared.too_few) == ((), ("sophia few",))
    assert (compared.only_before, compared.only_after) == (("sophia gone",), ("sophia new",))


def test_the_interval_is_the_same_each_time() -> None:
    random = np.random.default_rng(37)
    one, other = random.exponential(5, 80).tolist(), random.exponential(9, 50).tolist()
    assert difference(one, other) == difference(one, other)
    assert isinstance(compare([operation(one)], [operation(other)]).changes[0], Change)


def test_the_slowest_operations_are_told_in_order_however_seldom_they_were_done() -> None:
    often = [operation([float(number + 1)] * 30, f"often{number}") for number in range(TIMED_MAX)]
    rare = operation([900.0, 1_000.0, 1_100.0], "rare")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    window = Operations(since=at, until=at, complete_until=at, spans=9, runs=3, operations=(*often, rare))
    (told,) = [one for one in of_spans(window, None, "last hour").findings if one.startswith("Slowest")]
    assert told.startswith("Slowest operations by median: 1. sophia rare, n = 3, p50 1,000 ms")
    places = [
        told.index(f"{at}. sophia {name}, n = ") for at, name in enumerate(("rare", "often39", "often38"), start=1)
    ]
    assert places == sorted(places)
