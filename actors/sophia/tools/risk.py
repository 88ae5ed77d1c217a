"""Who leaves more often than the rest: rates a segment, lift, and the segments that matter after allowing for chance.

Of each segment: the Wilson 95 % interval of its rate, the lift over all customers, the relative risk against all others with its
95 % interval (Katz's, of the logarithm), and a test against the others: chi-square without correction, Fisher's exact test where
fewer than five would be expected in a cell. The p-values of all segments together are adjusted as Benjamini and Hochberg do
(`q`): among those with q below 0.05 about one in twenty is chance. statsmodels and scipy compute.

Ranking is by the lower end of the Wilson interval, so that a group of five customers of whom four left does not win over one of
three thousand.
"""

import re
import statistics
from collections.abc import Iterable, Sequence
from itertools import combinations

from msgspec import Struct
from msgspec.structs import replace

from actors.tables import Column, Table, figure

Q_MAX = 0.05
EXPECTED_MIN = 5.0
GROUP_ROWS_MIN = 20
VALUES_MAX = 20
PAIR_COLUMNS_MAX = 8
BANDS = 4
TENURE_EDGES_MONTHS = (12.0, 24.0, 48.0)


class Factor(Struct, frozen=True):
    """A way to divide the customers: a column's values, or bands of a number; `labels` has one a row ("" = missing)."""

    column: str
    labels: tuple[str, ...]
    joint: str = " = "


class Segment(Struct, frozen=True, kw_only=True):
    """One group: how many customers, how many of them left, the rate with its Wilson bounds, and lift over the whole.

    `ratio` is the rate over that of all others, with its bounds: None where none of the others, or none of it, left. `q` is the
    adjusted p-value of `test`; 1 where nothing can be tested.
    """

    name: str
    customers: int
    churned: int
    rate: float
    low: float
    high: float
    lift: float
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    test: str = ""
    p: float = 1.0
    q: float = 1.0


class Whole(Struct, frozen=True):
    """All customers of whom it is known whether they left."""

    customers: int
    churned: int

    @property
    def rate(self) -> float:
        return self.churned / self.customers


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The Wilson 95 % interval of a share: 0 to 1, (0, 1) when there is nothing to go by."""
    from statsmodels.stats.proportion import proportion_confint

    if total <= 0:
        return 0.0, 1.0
    low, high = proportion_confint(hits, total, alpha=0.05, method="wilson")
    return max(0.0, min(hits / total, float(low))), min(1.0, max(hits / total, float(high)))


def spread(hits: int, total: int) -> float:
    """Half of that interval over the share: 0 where it is exact; where nothing was hit, the whole interval."""
    low, high = wilson(hits, total)
    return (high - low) / 2 / (hits / total) if hits else high - low


def segment(name: str, customers: int, churned: int, whole: Whole) -> Segment:
    """The figures of one group of the whole; `q` is still the unadjusted `p`."""
    rate = churned / customers if customers else 0.0
    low, high = wilson(churned, customers)
    made = Segment(
        name=name,
        customers=customers,
        churned=churned,
        rate=rate,
        low=low,
        high=high,
        lift=rate / whole.rate if whole.churned else 0.0,
    )
    others, others_churned = whole.customers - customers, whole.churned - churned
    if not customers or not others or not 0 < whole.churned < whole.customers:
        return made
    test, p = _tested(churned, customers - churned, others_churned, others - others_churned)
    made = replace(made, test=test, p=p, q=p)
    if not churned or not others_churned:
        return made
    from scipy.stats.contingency import relative_risk

    found = relative_risk(churned, customers, others_churned, others)
    bounds = found.confidence_interval(0.95)
    return replace(made, ratio=float(found.relative_risk), ratio_low=float(bounds.low), ratio_high=float(bounds.high))


def _tested(churned: int, stayed: int, others_churned: int, others_stayed: int) -> tuple[str, float]:
    """The test's name and p-value."""
    import numpy as np
    from scipy.stats import chi2_contingency, fisher_exact
    from scipy.stats.contingency import expected_freq

    table = np.array([[churned, stayed], [others_churned, others_stayed]])
    if expected_freq(table).min() < EXPECTED_MIN:
        return "fisher", float(fisher_exact(table).pvalue)
    return "chi-square", float(chi2_contingency(table, correction=False).pvalue)


def adjusted(found: Sequence[Segment]) -> list[Segment]:
    """With `q` of all of these together."""
    from scipy.stats import false_discovery_control

    if not found:
        return []
    adjusted_values = false_discovery_control([one.p for one in found], method="bh")
    return [replace(one, q=float(q)) for one, q in zip(found, adjusted_values, strict=True)]


def factors(table: Table, skipped: frozenset[str]) -> list[Factor]:
    """Every usable way to divide the rows: categories and yes/no columns as they are, numbers in bands."""
    found: list[Factor] = []
    for column in table.columns:
        if column.name in skipped:
            continue
        if column.kind in ("category", "boolean") and 2 <= column.distinct <= VALUES_MAX:
            found.append(Factor(column.name, column.cells))
        elif column.kind == "number" and column.distinct > BANDS:
            found.append(banded(column))
        elif column.kind == "number" and column.distinct >= 2:
            found.append(Factor(column.name, column.cells))
    return found


def banded(column: Column) -> Factor:
    """A number column as bands: 0–12, 13–24, 25–48, 49+ for tenure in months, else four of about equal size."""
    values = [value for value in column.numbers if value is not None]
    tenure = is_tenure(column)
    edges = TENURE_EDGES_MONTHS if tenure else tuple(statistics.quantiles(values, n=BANDS, method="inclusive"))
    least, most = min(values), max(values)
    edges = tuple(dict.fromkeys(edge for edge in edges if least <= edge < most))
    whole = all(value.is_integer() for value in values)
    bands = {value: _band(value, edges, least, whole=whole) for value in {*column.numbers}}
    return Factor(column.name, tuple(bands[value] for value in column.numbers), " ")


def is_tenure(column: Column) -> bool:
    """Whether a number column says for how many months somebody has been a customer."""
    name = column.name.lower()
    highest = max((value for value in column.numbers if value is not None), default=0.0)
    return column.kind == "number" and "tenure" in name and 24 < highest <= 1200


def accumulates(column: Column) -> bool:
    """Whether a number column grows with time by its nature, so that in a table of leavers it restates the tenure."""
    return column.kind == "number" and bool(re.search(r"total|lifetime|cumulative|to_date", column.name, re.IGNORECASE))


def _band(value: float | None, edges: tuple[float, ...], least: float, *, whole: bool) -> str:
    if value is None:
        return ""
    below = max((edge for edge in edges if edge < value), default=None)
    above = min((edge for edge in edges if edge >= value), default=None)
    if above is None:
        return f"over {figure(edges[-1])}" if edges else "all"
    if above == least or (whole and below is not None and above - below == 1):
        return f"of {figure(above)}"
    return f"up to {figure(above)}" if below is None else f"over {figure(below)} to {figure(above)}"


def segments(factor: Factor, churned: Sequence[bool | None], whole: Whole) -> list[Segment]:
    """One segment a value, highest rate first; rows without a value or an outcome are left out. Not yet `adjusted`."""
    groups: dict[str, list[int]] = {}
    for label, flag in zip(factor.labels, churned, strict=True):
        if label and flag is not None:
            counts = groups.setdefault(label, [0, 0])
            counts[0] += 1
            counts[1] += flag
    found = [
        segment(f"{factor.column}{factor.joint}{label}", counts[0], counts[1], whole)
        for label, counts in groups.items()
    ]
    return sorted(found, key=lambda one: (-one.rate, one.name))


def association(factor: Factor, churned: Sequence[bool | None]) -> float:
    """Cramér's V between the groups and the outcome: 0 none, 1 complete."""
    from scipy.stats.contingency import association, crosstab

    known = [(label, flag) for label, flag in zip(factor.labels, churned, strict=True) if flag is not None]
    table = crosstab([label for label, _ in known], [flag for _, flag in known]).count
    return float(association(table, method="cramer")) if min(table.shape) > 1 else 0.0


def gives_away(found: Sequence[Segment]) -> bool:
    """Whether a column only restates the outcome: every group of it left entirely or stayed entirely."""
    return len(found) > 1 and all(one.churned in (0, one.customers) for one in found)


def drivers(found: Iterable[Segment], overall: float) -> list[Segment]:
    """Segments that surely leave more often than the rest, surest first; groups under GROUP_ROWS_MIN are left out."""
    kept = [one for one in found if one.customers >= GROUP_ROWS_MIN and one.low > overall and one.q < Q_MAX]
    return sorted(kept, key=lambda one: (-one.low, -one.customers, one.name))


def protective(found: Iterable[Segment], overall: float) -> list[Segment]:
    """Segments that surely leave less often, surest first."""
    kept = [one for one in found if one.customers >= GROUP_ROWS_MIN and one.high < overall and one.q < Q_MAX]
    return sorted(kept, key=lambda one: (one.high, -one.customers, one.name))


def pairs(
    ranked: Sequence[Factor], churned: Sequence[bool | None], whole: Whole
) -> list[tuple[Segment, tuple[bool, ...]]]:
    """Segments made of one value each of two factors, surest first, each with which rows belong to it.

    Adjusted for all pairs that were looked at.
    """
    groups: dict[str, list[int]] = {}
    for left, right in combinations(ranked[:PAIR_COLUMNS_MAX], 2):
        for row, (one, other) in enumerate(zip(left.labels, right.labels, strict=True)):
            if one and other:
                groups.setdefault(f"{left.column}{left.joint}{one} and {right.column}{right.joint}{other}", []).append(
                    row
                )
    found: list[Segment] = []
    for name, rows in groups.items():
        flags = [flag for row in rows if (flag := churned[row]) is not None]
        if len(flags) >= GROUP_ROWS_MIN:
            found.append(segment(name, len(flags), sum(flags), whole))
    surest = drivers(adjusted(found), whole.rate)[:5]
    return [(one, _members(groups[one.name], len(churned))) for one in surest]


def _members(rows: Sequence[int], total: int) -> tuple[bool, ...]:
    members = frozenset(rows)
    return tuple(row in members for row in range(total))
