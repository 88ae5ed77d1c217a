"""Client analysis: what a customer table says about its customers and, where it records them, about those who left.

Figures describe association, never cause; the findings say so.
"""

from collections.abc import Sequence

from msgspec import Struct

from actors.sophia.tools import risk
from actors.sophia.tools.customers import Roles, asked_values, money, outcomes, roles, total
from actors.tables import Summary, Table, figure, percent, read_table, summarise
from actors.tool import Fetch, tool
from runtime.errors import OutcomeError
from runtime.ports import Tool

DRIVERS_MAX = 10
FOCUS_ROWS_MIN = 30


class ClientAnalysisArguments(Struct, frozen=True, kw_only=True):
    """`table` is the digest of a stored CSV file, one row a customer; the question steers which groups are looked at."""

    table: str
    question: str = ""


class RevenueAtRisk(Struct, frozen=True, kw_only=True):
    """Monthly charges: of all, of those who left, and of the customers still there in the segment at highest risk."""

    column: str
    currency: str
    total: float
    churned: float
    at_risk_segment: str
    at_risk_customers: int
    at_risk: float


class ClientAnalysisResult(Struct, frozen=True, kw_only=True):
    """Rates and shares are 0 to 1. `outcome` is the column that says who left, "" when the table has none."""

    findings: tuple[str, ...]
    rows: int
    columns: tuple[Summary, ...]
    outcome: str = ""
    churned: int = 0
    churn_rate: float = 0.0
    rates: tuple[risk.Segment, ...] = ()
    drivers: tuple[risk.Segment, ...] = ()
    protective: tuple[risk.Segment, ...] = ()
    top_segments: tuple[risk.Segment, ...] = ()
    revenue: RevenueAtRisk | None = None


class _Churn(Struct, frozen=True):
    """The outcome analysis of one set of rows."""

    flags: tuple[bool | None, ...]
    known: int
    churned: int
    overall: float
    rates: tuple[risk.Segment, ...]
    drivers: tuple[risk.Segment, ...]
    protective: tuple[risk.Segment, ...]
    pairs: tuple[tuple[risk.Segment, tuple[bool, ...]], ...]
    left_out: tuple[str, ...]


def analyse_clients(table: Table, question: str) -> ClientAnalysisResult:
    """The whole analysis of a table that was read."""
    parts = roles(table)
    summaries = tuple(summarise(column) for column in table.columns)
    shape = _shape(table, summaries)
    if parts.outcome is None:
        return ClientAnalysisResult(
            findings=(*shape, *_numbers(summaries), "No column says which customers left, so no churn is computed."),
            rows=table.rows,
            columns=summaries,
        )
    flags = outcomes(parts.outcome)
    churn = _churn(table, parts, flags)
    revenue = _revenue(parts, churn)
    findings = (
        _headline(churn, parts.outcome.name),
        *_focus(table, parts, question, flags),
        *_drivers(churn),
        *_money(revenue),
        *shape,
        *_numbers(summaries),
        "These figures show association in the table, not cause.",
    )
    return ClientAnalysisResult(
        findings=findings,
        rows=table.rows,
        columns=summaries,
        outcome=parts.outcome.name,
        churned=churn.churned,
        churn_rate=churn.overall,
        rates=churn.rates,
        drivers=churn.drivers,
        protective=churn.protective,
        top_segments=tuple(pair[0] for pair in churn.pairs),
        revenue=revenue,
    )


def _churn(table: Table, parts: Roles, flags: Sequence[bool | None], *, combined: bool = True) -> _Churn:
    known = [flag for flag in flags if flag is not None]
    if not known:
        raise OutcomeError("no row of the table says whether the customer left")
    overall = sum(known) / len(known)
    skipped = frozenset(column.name for column in (parts.outcome, parts.identity) if column)
    if any(risk.is_tenure(column) for column in table.columns):
        skipped |= frozenset(column.name for column in table.columns if risk.accumulates(column))
    rates: list[risk.Segment] = []
    usable: list[tuple[float, risk.Factor]] = []
    left_out: list[str] = []
    for factor in risk.factors(table, skipped):
        found = risk.segments(factor, flags, overall)
        if risk.gives_away(found) and 0 < overall < 1:
            left_out.append(factor.column)
            continue
        rates.extend(found)
        strong = risk.drivers(found, overall)
        if strong:
            usable.append((strong[0].low, factor))
    ranked = [factor for _, factor in sorted(usable, key=lambda pair: (-pair[0], pair[1].column))]
    return _Churn(
        tuple(flags),
        len(known),
        sum(known),
        overall,
        tuple(rates),
        tuple(risk.drivers(rates, overall)[:DRIVERS_MAX]),
        tuple(risk.protective(rates, overall)[:DRIVERS_MAX]),
        tuple(risk.pairs(ranked, flags, overall)) if combined else (),
        tuple(left_out),
    )


def _revenue(parts: Roles, churn: _Churn) -> RevenueAtRisk | None:
    column = parts.charge
    if column is None:
        return None
    stayed = [flag is False for flag in churn.flags]
    name, members = (churn.pairs[0][0].name, churn.pairs[0][1]) if churn.pairs else ("", (False,) * len(stayed))
    exposed = [here and member for here, member in zip(stayed, members, strict=True)]
    return RevenueAtRisk(
        column=column.name,
        currency=parts.currency,
        total=total(column, [True] * len(stayed)),
        churned=total(column, [flag is True for flag in churn.flags]),
        at_risk_segment=name,
        at_risk_customers=sum(exposed),
        at_risk=total(column, exposed),
    )


def _headline(churn: _Churn, name: str) -> str:
    text = f"{percent(churn.overall)} of customers left ({churn.churned:,} of {churn.known:,}, column {name})."
    if churn.left_out:
        text += f" Columns that only restate this were left out: {', '.join(churn.left_out)}."
    return text


def _focus(table: Table, parts: Roles, question: str, flags: Sequence[bool | None]) -> list[str]:
    """The groups that the question names: their own rate, and what drives it among them alone."""
    findings: list[str] = []
    for column, value in asked_values(table, question):
        if parts.outcome is not None and column.name == parts.outcome.name:
            continue
        within = [flag if cell == value else None for cell, flag in zip(column.cells, flags, strict=True)]
        known = [flag for flag in within if flag is not None]
        if len(known) < FOCUS_ROWS_MIN:
            continue
        inside = _churn(table, parts, within, combined=False)
        share = inside.churned / max(1, sum(flag is True for flag in flags))
        name = f"{column.name} = {value}"
        findings.append(
            f"{percent(inside.overall)} of customers with {name} left ({inside.churned:,} of {inside.known:,}),"
            f" which is {percent(share)} of all who left."
        )
        others = [one for one in inside.drivers if not one.name.startswith(f"{column.name} = ")]
        findings.extend(f"Among {name}: {_rate(one)}." for one in others[:4])
    return findings


def _rate(one: risk.Segment) -> str:
    counts = f"{one.churned:,} of {one.customers:,}; {one.lift:.2f} times the average"
    return f"{percent(one.rate)} of customers with {one.name} left ({counts})"


def _drivers(churn: _Churn) -> list[str]:
    findings = [f"{_rate(one)}." for one in churn.drivers[:6]]
    findings += [f"Highest-risk combination: {_rate(pair[0])}." for pair in churn.pairs[:2]]
    return findings + [f"Stays longest: {_rate(one)}." for one in churn.protective[:3]]


def _money(revenue: RevenueAtRisk | None) -> list[str]:
    if revenue is None or not revenue.total:
        return []
    lost = money(revenue.churned, revenue.currency)
    findings = [
        f"{lost} of {revenue.column} belonged to customers who left, {percent(revenue.churned / revenue.total)} of the total"
        f" of {money(revenue.total, revenue.currency)}."
    ]
    if revenue.at_risk_segment:
        findings.append(
            f"{money(revenue.at_risk, revenue.currency)} of {revenue.column} is at risk: {revenue.at_risk_customers:,} customers"
            f" still here in the highest-risk combination ({revenue.at_risk_segment})."
        )
    return findings


def _shape(table: Table, summaries: Sequence[Summary]) -> list[str]:
    gaps = [f"{one.name} {one.missing:,}" for one in summaries if one.missing]
    findings = [
        f"{table.rows:,} rows and {len(table.columns)} columns were read; "
        + (f"missing values: {', '.join(gaps[:10])}." if gaps else "no values are missing.")
    ]
    if table.ragged:
        findings.append(f"{table.ragged:,} rows had too few or too many cells and were padded or cut.")
    return findings


def _numbers(summaries: Sequence[Summary]) -> list[str]:
    return [
        f"{one.name}: median {figure(one.median)}, mean {figure(one.mean)}, from {figure(one.minimum)} to {figure(one.maximum)}."
        for one in summaries
        if one.median is not None and one.mean is not None and one.minimum is not None and one.maximum is not None
    ][:6]


def _run(arguments: ClientAnalysisArguments, blobs: Fetch) -> ClientAnalysisResult:
    return analyse_clients(read_table(blobs(arguments.table)), arguments.question)


CLIENT_ANALYSIS: Tool = tool(
    "client_analysis",
    _run,
    "Reads a stored CSV of customers: how many left, which groups leave most, what is associated with leaving, revenue at risk.",
    permission="sophia:read",
)
