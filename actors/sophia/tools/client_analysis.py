"""Client analysis: what a customer table says about its customers and, where it records them, about those who left.

Rates with intervals and tests are in `risk`, the model behind the list of customers at risk in `prediction`. Figures describe
association, never cause; the findings say so.
"""

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType

from actors.sophia.tools import risk
from actors.sophia.tools.asked import answers, narrow, why_told, with_unread
from actors.sophia.tools.conditions import Reading, read
from actors.sophia.tools.customers import Roles, money, outcomes, restates, roles, total
from actors.sophia.tools.prediction import Prediction, predict, told, told_odds
from actors.tables import Column, Summary, Table, figure, percent, read_table, summarise
from actors.tool import Fetch, tool
from contracts.grounds import Basis
from runtime.errors import OutcomeError
from runtime.ports import Tool, ToolLimits

DRIVERS_MAX = 10
FOCUS_ROWS_MIN = 30
ANALYSES = 3
"""What the table holds, who left, who will."""


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
    """Rates and shares are 0 to 1. `outcome` is the column that says who left, "" when the table has none.

    `known`: rows that say whether the customer left; `low` and `high` are the Wilson bounds of the rate. `rates` are adjusted
    together, of `top_segments` all pairs that were looked at. `prediction` None: `no_prediction` says why.
    """

    findings: tuple[str, ...]
    rows: int
    columns: tuple[Summary, ...]
    outcome: str = ""
    known: int = 0
    churned: int = 0
    churn_rate: float = 0.0
    low: float = 0.0
    high: float = 1.0
    left_out: tuple[str, ...] = ()
    rates: tuple[risk.Segment, ...] = ()
    drivers: tuple[risk.Segment, ...] = ()
    protective: tuple[risk.Segment, ...] = ()
    top_segments: tuple[risk.Segment, ...] = ()
    revenue: RevenueAtRisk | None = None
    prediction: Prediction | None = None
    no_prediction: str = ""
    basis: Basis | UnsetType = UNSET


class _Churn(Struct, frozen=True):
    """The outcome analysis of one set of rows."""

    flags: tuple[bool | None, ...]
    whole: risk.Whole
    rates: tuple[risk.Segment, ...]
    drivers: tuple[risk.Segment, ...]
    protective: tuple[risk.Segment, ...]
    pairs: tuple[tuple[risk.Segment, tuple[bool, ...]], ...]
    left_out: tuple[str, ...]
    usable: tuple[Column, ...]
    factors: tuple[risk.Factor, ...]

    def strength(self) -> dict[str, float]:
        """By column, how much those who left differ in it."""
        return {factor.column: risk.association(factor, self.flags) for factor in self.factors}

    def strongest(self) -> list[tuple[risk.Segment, float]]:
        """Of each column the group with the highest rate, the columns that go most with leaving first."""
        strength = self.strength()
        highest: dict[str, risk.Segment] = {}
        for one in self.rates:
            column = next(name for name in strength if one.name.startswith((f"{name} = ", f"{name} ")))
            if column not in highest or one.rate > highest[column].rate:
                highest[column] = one
        return sorted(
            ((one, strength[name]) for name, one in highest.items()), key=lambda pair: (-pair[1], pair[0].name)
        )


def analyse_clients(table: Table, question: str) -> ClientAnalysisResult:
    """The whole analysis of a table that was read."""
    parts = roles(table)
    summaries = tuple(summarise(column) for column in table.columns)
    shape = _shape(table, summaries)
    reading = read(table, question)
    asked = answers(table, reading, question)
    if parts.outcome is None:
        none = "No column says which customers left, so no churn is computed."
        return ClientAnalysisResult(
            findings=(*with_unread(asked, reading), *shape, *_numbers(summaries), none),
            rows=table.rows,
            columns=summaries,
            basis=Basis(read=table.rows, given=table.rows, tried=ANALYSES, done=1),
        )
    flags = outcomes(parts.outcome)
    churn = _churn(table, parts, flags)
    revenue = _revenue(parts, churn)
    predicted = _predicted(table, parts, churn)
    named = parts.identity.name if parts.identity else "their row"
    wide = not narrow(question, asked)
    findings = (
        *why_told(question, reading, flags, churn.strongest()),
        *with_unread(asked, reading),
        _headline(churn, parts.outcome.name),
        *(_among(table, parts, reading, flags) if wide else ()),
        *(_at_risk(predicted, named) if wide else ()),
        *(one for one in _drivers(churn) if wide or not any(part.text in one for part in reading.conditions)),
        *_odds(predicted),
        *(_money(revenue) if wide else ()),
        *shape,
        *_numbers(summaries),
        "All of this is association in the table, for no experiment was made.",
    )
    low, high = risk.wilson(churn.whole.churned, churn.whole.customers)
    return ClientAnalysisResult(
        findings=findings,
        rows=table.rows,
        columns=summaries,
        outcome=parts.outcome.name,
        known=churn.whole.customers,
        churned=churn.whole.churned,
        churn_rate=churn.whole.rate,
        low=low,
        high=high,
        left_out=churn.left_out,
        rates=churn.rates,
        drivers=churn.drivers,
        protective=churn.protective,
        top_segments=tuple(pair[0] for pair in churn.pairs),
        revenue=revenue,
        prediction=None if isinstance(predicted, str) else predicted,
        no_prediction=predicted if isinstance(predicted, str) else "",
        basis=Basis(
            read=churn.whole.customers,
            given=table.rows,
            tried=ANALYSES,
            done=ANALYSES - isinstance(predicted, str),
            spread=_spread(table, reading, flags),
        ),
    )


def _churn(table: Table, parts: Roles, flags: Sequence[bool | None], *, combined: bool = True) -> _Churn:
    known = [flag for flag in flags if flag is not None]
    if not known:
        raise OutcomeError("no row of the table says whether the customer left")
    whole = risk.Whole(len(known), sum(known))
    skipped = frozenset(column.name for column in (parts.outcome, parts.identity) if column)
    left_out = [column.name for column in table.columns if column.name not in skipped and restates(column)]
    skipped |= frozenset(left_out)
    if any(risk.is_tenure(column) for column in table.columns):
        skipped |= frozenset(column.name for column in table.columns if risk.accumulates(column))
    found: list[risk.Segment] = []
    kept: list[risk.Factor] = []
    whose: dict[str, risk.Factor] = {}
    for factor in risk.factors(table, skipped):
        of_factor = risk.segments(factor, flags, whole)
        if risk.gives_away(of_factor) and 0 < whole.churned < whole.customers:
            left_out.append(factor.column)
            continue
        found.extend(of_factor)
        kept.append(factor)
        whose.update({one.name: factor for one in of_factor})
    rates = risk.adjusted(found)
    drivers = risk.drivers(rates, whole.rate)
    ranked = list({factor.column: factor for one in drivers if (factor := whose[one.name])}.values())
    return _Churn(
        flags=tuple(flags),
        whole=whole,
        rates=tuple(rates),
        drivers=tuple(drivers[:DRIVERS_MAX]),
        protective=tuple(risk.protective(rates, whole.rate)[:DRIVERS_MAX]),
        pairs=tuple(risk.pairs(ranked, flags, whole)) if combined else (),
        left_out=tuple(left_out),
        usable=tuple(column for column in table.columns if column.name not in {*skipped, *left_out}),
        factors=tuple(kept),
    )


def _predicted(table: Table, parts: Roles, churn: _Churn) -> Prediction | str:
    """Who of them will leave; where no model can be made, why."""
    ids = identities(table, parts)
    return predict(churn.usable, churn.strength(), churn.flags, ids)


def identities(table: Table, parts: Roles) -> tuple[str, ...]:
    """Of each row what it is called: its id, else its row (the first below the header is 2)."""
    if parts.identity is not None:
        return parts.identity.cells
    return tuple(f"row {number}" for number in range(2, table.rows + 2))


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
    whole = churn.whole
    low, high = risk.wilson(whole.churned, whole.customers)
    text = (
        f"{percent(whole.rate)} of customers left ({whole.churned:,} of {whole.customers:,}, column {name}; 95 % interval"
        f" {percent(low)} to {percent(high)})."
    )
    if churn.left_out:
        text += f" Columns that only restate this were left out: {', '.join(churn.left_out)}."
    return text


def _at_risk(predicted: Prediction | str, name: str) -> list[str]:
    if isinstance(predicted, str):
        return [f"No list of customers at risk was made: {predicted}."]
    return told(predicted, name)


def _odds(predicted: Prediction | str) -> list[str]:
    return [] if isinstance(predicted, str) else told_odds(predicted)


def _among(table: Table, parts: Roles, reading: Reading, flags: Sequence[bool | None]) -> list[str]:
    """What drives leaving among those alone that the question restricts itself to."""
    members = reading.members(table.rows)
    within = [flag if member else None for flag, member in zip(flags, members, strict=True)]
    known = [flag for flag in within if flag is not None]
    if not reading.conditions or len(known) < FOCUS_ROWS_MIN:
        return []
    inside = _churn(table, parts, within, combined=False)
    named = tuple(f"{one.column}" for one in reading.conditions)
    others = [one for one in inside.drivers if not one.name.startswith(named)]
    return [f"Among {reading.name()}: {_rate(one)}." for one in others[:4]]


def _spread(table: Table, reading: Reading, flags: Sequence[bool | None]) -> float:
    """How wide the interval is for its rate: of the group that is asked about; where there is none, of all."""
    members = reading.members(table.rows)
    group = [flag for flag, member in zip(flags, members, strict=True) if member and flag is not None]
    return risk.spread(sum(group), len(group)) if group else 1.0


def _rate(one: risk.Segment) -> str:
    counts = f"{one.churned:,} of {one.customers:,}, 95 % interval {percent(one.low)} to {percent(one.high)}"
    text = f"{percent(one.rate)} of customers with {one.name} left ({counts}), {one.lift:.2f} times the average"
    if one.ratio is None or one.ratio_low is None or one.ratio_high is None:
        return text
    return f"{text} and {one.ratio:.2f} times the rate of all others ({one.ratio_low:.2f} to {one.ratio_high:.2f})"


def _drivers(churn: _Churn) -> list[str]:
    findings = [f"{_rate(one)}." for one in churn.drivers[:6]]
    findings += [f"Highest-risk combination: {_rate(pair[0])}." for pair in churn.pairs[:2]]
    return findings + [_stayed(one) for one in churn.protective[:3]]


def _stayed(one: risk.Segment) -> str:
    stayed = one.customers - one.churned
    interval = f"95 % interval {percent(1 - one.high)} to {percent(1 - one.low)}"
    return f"{percent(1 - one.rate)} of customers with {one.name} stayed ({stayed:,} of {one.customers:,}, {interval})."


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
    "Reads a stored CSV of customers: how many left, which groups leave most, what is associated with leaving, revenue at risk,"
    " and which customers are most at risk of leaving and why.",
    permission="sophia:read",
    limits=ToolLimits(
        preload=("scipy.stats", "statsmodels.genmod.generalized_linear_model", "statsmodels.stats.proportion")
    ),
)
