"""Sales intelligence: where the revenue is, how the pipeline stands, and which customers could buy more.

Works on a pipeline of deals (a stage column) and on a plain customer table alike; what a table does not hold is not made up.
"""

import re
import statistics
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from actors.sophia.tools.customers import Roles, charge_column, money, outcomes, roles
from actors.tables import Column, Table, percent, read_table, truth
from actors.tool import Fetch, tool
from runtime.errors import OutcomeError
from runtime.ports import Tool

SEGMENT_COLUMNS_MAX = 6
CANDIDATES_MAX = 10
PEERS_MIN = 10

_STAGE = re.compile(r"stage|pipeline|deal_?status|^status$", re.IGNORECASE)
_WON = re.compile(r"won|closed[_ -]?won|signed", re.IGNORECASE)
_LOST = re.compile(r"lost|closed[_ -]?lost|rejected", re.IGNORECASE)
_SEGMENT = re.compile(r"segment|contract|plan|product|region|industry|tier|service", re.IGNORECASE)


class SalesIntelligenceArguments(Struct, frozen=True, kw_only=True):
    """`table` is the digest of a stored CSV file: one row a deal or a customer."""

    table: str
    question: str = ""


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


class SalesIntelligenceResult(Struct, frozen=True, kw_only=True):
    """Amounts are in the unit of `value_column`; shares and the Gini coefficient (0 even … 1 all in one hand) are 0 to 1."""

    findings: tuple[str, ...]
    rows: int
    value_column: str
    currency: str
    total: float
    top_decile_share: float
    gini: float
    groups: tuple[ValueGroup, ...]
    stages: tuple[ValueGroup, ...] = ()
    win_rate: float | None = None
    candidates: tuple[Candidate, ...] = ()
    candidate_count: int = 0
    candidate_gap: float = 0.0


def analyse_sales(table: Table) -> SalesIntelligenceResult:
    """The whole analysis. Raises OutcomeError when no column holds an amount of money."""
    column = charge_column(table)
    if column is None:
        raise OutcomeError("the table has no column of amounts (charge, revenue, value …)")
    parts = roles(table)
    values = [value or 0.0 for value in column.numbers]
    everything = sum(values)
    stage = next((one for one in table.columns if one.kind == "category" and _STAGE.search(one.name)), None)
    stages = value_groups(stage, values, everything) if stage else []
    groups = [group for one in _segment_columns(table, parts, stage) for group in value_groups(one, values, everything)]
    candidates = [] if stage else upsell(table, parts, column)
    result = SalesIntelligenceResult(
        findings=(),
        rows=table.rows,
        value_column=column.name,
        currency=parts.currency,
        total=everything,
        top_decile_share=top_share(values, 0.1),
        gini=gini(values),
        groups=tuple(groups),
        stages=tuple(stages),
        win_rate=win_rate(stages),
        candidates=tuple(candidates[:CANDIDATES_MAX]),
        candidate_count=len(candidates),
        candidate_gap=sum(one.gap for one in candidates),
    )
    return with_findings(result, table)


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


def win_rate(stages: Sequence[ValueGroup]) -> float | None:
    """Won deals among those decided, 0 to 1; None while none is decided."""
    lost = sum(group.rows for group in stages if _LOST.search(group.name.partition(" = ")[2]))
    won = sum(group.rows for group in stages if _WON.search(group.name.partition(" = ")[2]))
    return won / (won + lost) if won + lost else None


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
    for one in _segment_columns(table, parts, None):
        spread = sum(group.rows * (group.mean - mean) ** 2 for group in value_groups(one, values, sum(values)))
        if best is None or spread > best[0]:
            best = (spread, one)
    return best[1] if best else None


def _segment_columns(table: Table, parts: Roles, stage: Column | None) -> list[Column]:
    taken = {one.name for one in (parts.outcome, stage) if one}
    found = [one for one in table.columns if one.kind == "category" and one.name not in taken and one.distinct <= 20]
    return sorted(found, key=lambda one: not _SEGMENT.search(one.name))[:SEGMENT_COLUMNS_MAX]


def with_findings(result: SalesIntelligenceResult, table: Table) -> SalesIntelligenceResult:
    """The result with its figures as sentences."""
    unit = result.currency
    findings = [
        f"{money(result.total, unit)} of {result.value_column} in {result.rows:,} rows;"
        f" the top tenth holds {percent(result.top_decile_share)} (Gini coefficient {result.gini:.2f})."
    ]
    if result.win_rate is not None:
        findings.append(f"{percent(result.win_rate)} of the decided deals were won.")
    findings += [f"{_group(group, unit)}." for group in result.stages[:8]]
    findings += [f"{_group(group, unit)}." for group in sorted(result.groups, key=lambda group: -group.share)[:8]]
    if result.candidates:
        findings.append(
            f"{result.candidate_count:,} customers still here pay under three quarters of their peers' median;"
            f" reaching the median would bring {money(result.candidate_gap, unit)} more {result.value_column}."
        )
        findings += [
            f"Upsell candidate {one.id}: pays {money(one.value, unit)}, peers ({one.peers}) {money(one.peer_median, unit)}."
            for one in result.candidates[:5]
        ]
    for column in table.columns:
        if column.kind == "boolean" and _SEGMENT.search(column.name):
            yes = sum(truth(cell) is True for cell in column.cells)
            findings.append(f"{percent(yes / table.rows)} of rows have {column.name} ({yes:,} of {table.rows:,}).")
    return replace(result, findings=tuple(findings))


def _group(group: ValueGroup, unit: str) -> str:
    return (
        f"{percent(group.share)} of the value ({money(group.value, unit)}) is {group.name}:"
        f" {group.rows:,} rows, mean {money(group.mean, unit)}"
    )


def _run(arguments: SalesIntelligenceArguments, blobs: Fetch) -> SalesIntelligenceResult:
    return analyse_sales(read_table(blobs(arguments.table)))


SALES_INTELLIGENCE: Tool = tool(
    "sales_intelligence",
    _run,
    "Reads a stored CSV of customers or deals: where revenue comes from, how concentrated it is, whom to offer more.",
    permission="sophia:read",
)
