"""Revenue as a table holds it: by segment, how concentrated, and which customers could buy more."""

import statistics
from collections.abc import Sequence

from msgspec import Struct

from actors.sophia.tools.customers import Roles, money, outcomes
from actors.sophia.tools.deals import segment_columns
from actors.tables import Column, Table, percent

PEERS_MIN = 10


class ValueGroup(Struct, frozen=True, kw_only=True):
    """A group's rows and value, its share (0 to 1) of all value, and the mean a row."""

    name: str
    rows: int
    value: float
    share: float
    mean: float


class Candidate(Struct, frozen=True, kw_only=True):
    """A customer who pays less than the median of his peers: by how much, and who the peers are."""

    id: str
    value: float
    peer_median: float
    gap: float
    peers: str


def value_groups(column: Column, values: Sequence[float], everything: float) -> list[ValueGroup]:
    """The column's values by what they bring in, most first."""
    found: dict[str, list[float]] = {}
    for cell, value in zip(column.cells, values, strict=True):
        if cell:
            found.setdefault(cell, []).append(value)
    groups = [
        ValueGroup(
            name=f"{column.name} = {cell}",
            rows=len(amounts),
            value=sum(amounts),
            share=sum(amounts) / everything if everything else 0.0,
            mean=sum(amounts) / len(amounts),
        )
        for cell, amounts in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.value, group.name))


def top_share(values: Sequence[float], part: float) -> float:
    """The share of the sum that the largest `part` of the rows hold (at least one row)."""
    ordered = sorted(values, reverse=True)
    everything = sum(ordered)
    return sum(ordered[: max(1, round(part * len(ordered)))]) / everything if everything > 0 else 0.0


def gini(values: Sequence[float]) -> float:
    """The Gini coefficient of amounts that are not negative (negative ones count as 0): 0 even, near 1 all in one hand."""
    ordered = sorted(max(0.0, value) for value in values)
    everything, count = sum(ordered), len(ordered)
    if everything <= 0:
        return 0.0
    weighted = sum(rank * value for rank, value in enumerate(ordered, start=1))
    return min(1.0, max(0.0, 2 * weighted / (count * everything) - (count + 1) / count))


def upsell(table: Table, parts: Roles, column: Column) -> list[Candidate]:
    """Customers still here who pay under three quarters of the median of their peers, largest gap first.

    Peers are the customers with the same value in the category column whose groups differ most in what they pay.
    """
    divider = _divider(table, parts, column)
    flags = outcomes(parts.outcome) if parts.outcome else (False,) * table.rows
    peers: dict[str, list[float]] = {}
    cells = divider.cells if divider else ("all",) * table.rows
    for cell, value, left in zip(cells, column.numbers, flags, strict=True):
        if value is not None and left is False and cell:
            peers.setdefault(cell, []).append(value)
    medians = {cell: statistics.median(found) for cell, found in peers.items() if len(found) >= PEERS_MIN}
    candidates = []
    for row, (cell, value) in enumerate(zip(cells, column.numbers, strict=True)):
        if value is None or flags[row] is not False or cell not in medians or value >= 0.75 * medians[cell]:
            continue
        candidates.append(
            Candidate(
                id=parts.identity.cells[row] if parts.identity else f"row {row + 2}",
                value=value,
                peer_median=medians[cell],
                gap=medians[cell] - value,
                peers=f"{divider.name} = {cell}" if divider else "all customers",
            )
        )
    return sorted(candidates, key=lambda one: (-one.gap, one.id))


def _divider(table: Table, parts: Roles, column: Column) -> Column | None:
    """The category column that explains most of the amounts' variance (the largest between-group sum of squares)."""
    values = [value or 0.0 for value in column.numbers]
    mean = sum(values) / len(values)
    best: tuple[float, Column] | None = None
    for one in segment_columns(table, (parts.outcome.name,) if parts.outcome else ()):
        spread = sum(group.rows * (group.mean - mean) ** 2 for group in value_groups(one, values, sum(values)))
        if best is None or spread > best[0]:
            best = (spread, one)
    return best[1] if best else None


def told(group: ValueGroup, unit: str) -> str:
    """The group in a sentence."""
    return (
        f"{percent(group.share)} of the value ({money(group.value, unit)}) is {group.name}:"
        f" {group.rows:,} rows, mean {money(group.mean, unit)}"
    )
