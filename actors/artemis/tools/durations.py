"""Statistics of durations: quantiles with intervals, and whether an operation became slower from one window to another."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from actors.holm import holm
from contracts.operations import Operation

QUANTILES = (0.5, 0.95, 0.99)
CONFIDENCE = 0.95
SAMPLES_MIN = 20  # of each window, before two are compared
RATIO_MIN = 1.1  # of the medians: less is no change worth telling, however certain
RESAMPLES = 999
RESAMPLED_MAX = 1_000  # durations of each window that are resampled, evenly chosen
SEED = 20_261_129


class Quantile(Struct, frozen=True):
    """A quantile with its 95 % interval (binomial; whatever the durations' distribution is): three of the measured durations.

    The quantile is the smallest that the share q does not exceed: one between two would not have to lie in the interval. A bound
    is None where there are too few durations for one.
    """

    q: float
    ms: float
    low: float | None
    high: float | None


class Change(Struct, frozen=True, kw_only=True):
    """One operation in two windows. `p` is that of the Mann–Whitney U test, `adjusted` Holm's over all compared ones.

    `larger` is the chance that a duration of the later window is longer than one of the earlier (0.5: no difference), `low`
    and `high` the 95 % interval of the difference of the medians by bootstrap (0 where `adjusted` is not below 0.05);
    `failed_adjusted` is p of Fisher's exact test of the failed shares, Holm's too.
    """

    service: str
    name: str
    before: int
    after: int
    before_ms: float
    after_ms: float
    p: float
    adjusted: float
    larger: float
    low: float
    high: float
    failed_before: int
    failed_after: int
    failed_adjusted: float

    @property
    def slower(self) -> bool:
        return self.adjusted < 1 - CONFIDENCE and self.after_ms >= RATIO_MIN * self.before_ms and self.low > 0

    @property
    def faster(self) -> bool:
        return self.adjusted < 1 - CONFIDENCE and self.before_ms >= RATIO_MIN * self.after_ms and self.high < 0

    @property
    def fails_more(self) -> bool:
        return (
            self.failed_adjusted < 1 - CONFIDENCE and self.failed_after * self.before > self.failed_before * self.after
        )


class Compared(Struct, frozen=True):
    """Changes, the largest first, and the operations of both windows that have too few durations to be compared."""

    changes: tuple[Change, ...]
    too_few: tuple[str, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]


def quantiles(ms: Sequence[float]) -> tuple[Quantile, ...]:
    """p50, p95 and p99."""
    import numpy as np
    from scipy.stats import quantile_test

    found: list[Quantile] = []
    for q in QUANTILES:
        value = float(np.quantile(ms, q, method="inverted_cdf"))
        interval: Any = quantile_test(list(ms), q=value, p=q).confidence_interval(CONFIDENCE)
        found.append(Quantile(q, round(value, 3), _bound(interval.low), _bound(interval.high)))
    return tuple(found)


def _bound(value: float) -> float | None:
    return round(float(value), 3) if value == value else None  # noqa: PLR0124 - not a number where there is no bound


def compare(before: Sequence[Operation], after: Sequence[Operation]) -> Compared:
    """Every operation that both windows have often enough."""
    earlier, later = ({(one.service, one.name): one for one in some} for some in (before, after))
    both = [key for key in earlier if key in later]
    enough = [key for key in both if min(len(earlier[key].ms), len(later[key].ms)) >= SAMPLES_MIN]
    pairs = [(earlier[key], later[key]) for key in enough]
    tests = [_tested(*pair) for pair in pairs]
    adjusted = holm([p for p, _, _ in tests])
    failed = holm([p for _, _, p in tests])
    changes = [
        _change(pair, test, own, failing)
        for pair, test, own, failing in zip(pairs, tests, adjusted, failed, strict=True)
    ]
    return Compared(
        tuple(sorted(changes, key=lambda one: -abs(one.after_ms - one.before_ms) * one.after)),
        tuple(" ".join(key) for key in both if key not in set(enough)),
        tuple(" ".join(key) for key in earlier if key not in later),
        tuple(" ".join(key) for key in later if key not in earlier),
    )


def _tested(before: Operation, after: Operation) -> tuple[float, float, float]:
    """p of the durations, the chance that a later one is longer, p of the failed shares."""
    import numpy as np
    from scipy.stats import fisher_exact, mannwhitneyu

    test = mannwhitneyu(after.ms, before.ms, alternative="two-sided", method="asymptotic")
    larger = float(test.statistic) / (len(after.ms) * len(before.ms))
    failed = fisher_exact(np.array([[one.failed, one.count - one.failed] for one in (after, before)]))
    return float(test.pvalue), larger, float(failed.pvalue)


def _change(
    pair: tuple[Operation, Operation], test: tuple[float, float, float], adjusted: float, failed: float
) -> Change:
    import numpy as np

    before, after = pair
    medians = float(np.median(before.ms)), float(np.median(after.ms))
    low, high = difference(before.ms, after.ms) if adjusted < 1 - CONFIDENCE else (0.0, 0.0)
    return Change(
        service=before.service,
        name=before.name,
        before=before.count,
        after=after.count,
        before_ms=round(medians[0], 3),
        after_ms=round(medians[1], 3),
        p=test[0],
        adjusted=adjusted,
        larger=round(test[1], 3),
        low=low,
        high=high,
        failed_before=before.failed,
        failed_after=after.failed,
        failed_adjusted=failed,
    )


def difference(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the difference of the medians, by percentile bootstrap (999 resamples, always the same)."""
    import numpy as np
    from scipy.stats import bootstrap

    def medians(one: Any, other: Any, axis: int) -> Any:
        return np.median(other, axis=axis) - np.median(one, axis=axis)

    found: Any = bootstrap(
        (thinned(before), thinned(after)),
        medians,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(SEED),
    )
    interval = found.confidence_interval
    return round(float(interval.low), 3), round(float(interval.high), 3)


def thinned(values: Sequence[float]) -> list[float]:
    """At most so many, evenly chosen."""
    return list(values[:: -(-len(values) // RESAMPLED_MAX)])
