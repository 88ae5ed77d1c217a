"""Who leaves more often than the rest: rates a segment, lift, and the segments that matter after allowing for chance.

Ranking is by the lower end of the Wilson 95 % interval (E. B. Wilson, 1927, "Probable inference, the law of succession, and
statistical inference"), so that a group of five customers of whom four left does not win over one of three thousand.
"""

import math
import re
import statistics
from collections.abc import Sequence
from itertools import combinations

from msgspec import Struct

from actors.tables import Column, Table, figure

Z_95 = 1.959963984540054
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
    """One group: how many customers, how many of them left, the rate with its Wilson bounds, and lift over the whole."""

    name: str
    customers: int
    churned: int
    rate: float
    low: float
    high: float
    lift: float


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The Wilson 95 % interval of a share: 0 to 1, (0, 1) when there is nothing to go by."""
    if total <= 0:
        return 0.0, 1.0
    share = hits / total
    z2 = Z_95 * Z_95
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z_95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def segment(name: str, flags: Sequence[bool], overall: float) -> Segment:
    """The figures of one group, given whether each of its members left."""
    churned = sum(flags)
    rate = churned / len(flags) if flags else 0.0
    low, high = wilson(churned, len(flags))
    lift = rate / overall if overall else 0.0
    return Segment(name=name, customers=len(flags), churned=churned, rate=rate, low=low, high=high, lift=lift)


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
    edges = tuple(dict.fromkeys(edge for edge in edges if min(values) <= edge < max(values)))
    whole = all(value.is_integer() for value in values)
    labels = tuple(_band(value, edges, min(values), whole=whole) for value in column.numbers)
    return Factor(column.name, labels, " ")


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


def segments(factor: Factor, churned: Sequence[bool | None], overall: float) -> list[Segment]:
    """One segment a value, highest rate first; rows without a value or an outcome are left out."""
    groups: dict[str, list[bool]] = {}
    for label, flag in zip(factor.labels, churned, strict=True):
        if label and flag is not None:
            groups.setdefault(label, []).append(flag)
    found = [segment(f"{factor.column}{factor.joint}{label}", flags, overall) for label, flags in groups.items()]
    return sorted(found, key=lambda one: (-one.rate, one.name))


def gives_away(found: Sequence[Segment]) -> bool:
    """Whether a column only restates the outcome: every group of it left entirely or stayed entirely."""
    return len(found) > 1 and all(one.churned in (0, one.customers) for one in found)


def drivers(found: Sequence[Segment], overall: float) -> list[Segment]:
    """Segments that surely leave more often than the rest, surest first; groups under GROUP_ROWS_MIN are left out."""
    kept = [one for one in found if one.customers >= GROUP_ROWS_MIN and one.low > overall]
    return sorted(kept, key=lambda one: (-one.low, -one.customers, one.name))


def protective(found: Sequence[Segment], overall: float) -> list[Segment]:
    """Segments that surely leave less often, surest first."""
    kept = [one for one in found if one.customers >= GROUP_ROWS_MIN and one.high < overall]
    return sorted(kept, key=lambda one: (one.high, -one.customers, one.name))


def pairs(
    ranked: Sequence[Factor], churned: Sequence[bool | None], overall: float
) -> list[tuple[Segment, tuple[bool, ...]]]:
    """Segments made of one value each of two factors, surest first, each with which rows belong to it."""
    groups: dict[str, list[int]] = {}
    for left, right in combinations(ranked[:PAIR_COLUMNS_MAX], 2):
        for row, (one, other) in enumerate(zip(left.labels, right.labels, strict=True)):
            if one and other:
                groups.setdefault(f"{left.column}{left.joint}{one} and {right.column}{right.joint}{other}", []).append(
                    row
                )
    found: list[tuple[Segment, tuple[bool, ...]]] = []
    for name, rows in groups.items():
        flags = [flag for row in rows if (flag := churned[row]) is not None]
        if len(flags) >= GROUP_ROWS_MIN:
            members = frozenset(rows)
            figures = segment(name, flags, overall)
            if figures.low > overall:
                found.append((figures, tuple(row in members for row in range(len(churned)))))
    found.sort(key=lambda pair: (-pair[0].low, -pair[0].customers, pair[0].name))
    return found[:5]
