"""Sales intelligence: how the pipeline stands, what will be closed, what slips, and where the revenue is.

Works on deals (facts, or a table with a stage column) and on a plain customer table; what these do not hold is not made up.
"""

from datetime import UTC, date, datetime

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from actors.sophia.tools import pipeline, risk
from actors.sophia.tools.customers import charge_column, money, roles
from actors.sophia.tools.deals import SEGMENT, Deals, deals_of, deals_told, is_pipeline, segment_columns
from actors.sophia.tools.deals_asked import deals_asked, of_deals
from actors.sophia.tools.forecast import Outlook, outlook
from actors.sophia.tools.pipeline import Comparison, Duration, Share, Slipping, Stage
from actors.sophia.tools.revenue import Candidate, ValueGroup, gini, told, top_share, upsell, value_groups
from actors.sophia.tools.sales_told import pipeline_told
from actors.tables import Table, percent, read_table, truth
from actors.tool import Fetch, tool
from contracts.grounds import Basis
from contracts.records import DealRecord
from runtime.errors import OutcomeError
from runtime.ports import Tool
from runtime.text import words

CANDIDATES_MAX = 10
SLIPPING_MAX = 50
DEALS = "deals, won, lost and open"
_AHEAD = frozenset(words("forecast expect expected predict prediction next bring outlook"))
_WON = frozenset(words("win won rate conversion convert"))
"""What a question asks that is estimated; what stands in the pipeline is counted."""


class SalesIntelligenceArguments(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`table`: the digest of a stored CSV file, one row a deal or a customer; or `deals`: that of their records as JSON.

    `today`: up to which day deals can be known. `left_out`: how many more records there are.
    """

    table: str = ""
    question: str = ""
    deals: str = ""
    today: date | None = None
    left_out: int = 0


class Pipeline(Struct, frozen=True, kw_only=True):
    """All that is known of the deals; `slipping` are the most valuable ones of `slipping_count`, worth `slipping_value`."""

    as_of: date
    deals: int
    open: int
    open_value: float
    left_out: int
    stages: tuple[Stage, ...]
    won: Share
    cycle: Duration | None
    times: tuple[Duration, ...]
    comparisons: tuple[Comparison, ...]
    outlook: Outlook
    slipping: tuple[Slipping, ...]
    slipping_count: int
    slipping_value: float


class SalesIntelligenceResult(Struct, frozen=True, kw_only=True):
    """Amounts are in the unit of `value_column`; shares and the Gini coefficient (0 even … 1 all in one hand) are 0 to 1."""

    findings: tuple[str, ...]
    rows: int
    value_column: str
    currency: str
    total: float
    top_decile_share: float
    gini: float
    groups: tuple[ValueGroup, ...] = ()
    pipeline: Pipeline | None = None
    candidates: tuple[Candidate, ...] = ()
    candidate_count: int = 0
    candidate_gap: float = 0.0
    basis: Basis | UnsetType = UNSET


def analyse_sales(table: Table, today: date | None = None, question: str = "") -> SalesIntelligenceResult:
    """A table of deals or of customers. Raises OutcomeError when no column holds an amount of money."""
    if charge_column(table) is None:
        raise OutcomeError("the table has no column of amounts (charge, revenue, value …)")
    deals = deals_of(table, today)
    return _customers(table, question) if deals is None else analyse_deals(deals, question)


def analyse_deals(deals: Deals, question: str = "") -> SalesIntelligenceResult:
    """The pipeline, whole. Raises OutcomeError where there are no deals."""
    if not deals.deals:
        raise OutcomeError("there are no deals")
    cycle, times = pipeline.cycle(deals), pipeline.times(deals)
    late = pipeline.slipping(deals, cycle, times)
    values = [deal.value for deal in deals.deals]
    found = Pipeline(
        as_of=deals.as_of,
        deals=len(deals.deals),
        open=len(deals.open),
        open_value=sum(deal.value for deal in deals.open),
        left_out=deals.left_out,
        stages=tuple(pipeline.stages(deals)),
        won=pipeline.won(deals),
        cycle=cycle,
        times=tuple(times),
        comparisons=tuple(pipeline.comparisons(deals)),
        outlook=outlook(deals),
        slipping=tuple(late[:SLIPPING_MAX]),
        slipping_count=len(late),
        slipping_value=sum(one.value for one in late),
    )
    result = SalesIntelligenceResult(
        findings=(),
        rows=len(deals.deals),
        value_column="value",
        currency=deals.currency,
        total=sum(values),
        top_decile_share=top_share(values, 0.1),
        gini=gini(values),
        pipeline=found,
        basis=basis(found, deals, question),
    )
    return replace(
        result,
        findings=(*deals_asked(deals, question), *pipeline_told(found, deals.currency), _concentration(result, DEALS)),
    )


def basis(found: Pipeline, deals: Deals, question: str) -> Basis:
    """What a pipeline's figures rest on; the interval is that of the forecast or of the share won, where one is asked for."""
    asked, ahead = frozenset(words(question)), found.outlook
    forecasts = [one for one in (ahead.pipeline, ahead.smoothed) if one is not None]
    if asked & _AHEAD:
        spread = min(((one.high - one.low) / 2 / one.expected for one in forecasts if one.expected > 0), default=1.0)
    else:
        spread = risk.spread(found.won.hits, found.won.total) if asked & _WON else 0.0
    made = (found.stages, found.won.total, found.cycle, deals.told, forecasts)
    days = [day for one in deals.deals for day in (one.opened, one.closed, *(step.at for step in one.steps))]
    newest = max((day for day in days if day is not None and day <= found.as_of), default=None)
    return Basis(
        read=found.deals,
        given=found.deals + found.left_out,
        tried=len(made),
        done=sum(map(bool, made)),
        spread=spread,
        newest=datetime(newest.year, newest.month, newest.day, tzinfo=UTC) if newest else UNSET,
    )


def _customers(table: Table, question: str) -> SalesIntelligenceResult:
    column, parts = charge_column(table), roles(table)
    if column is None:
        raise OutcomeError("the table has no column of amounts (charge, revenue, value …)")
    values = [value or 0.0 for value in column.numbers]
    everything = sum(values)
    divided = segment_columns(table, (parts.outcome.name,) if parts.outcome else ())
    candidates = upsell(table, parts, column)
    result = SalesIntelligenceResult(
        findings=(),
        rows=table.rows,
        value_column=column.name,
        currency=parts.currency,
        total=everything,
        top_decile_share=top_share(values, 0.1),
        gini=gini(values),
        groups=tuple(group for one in divided for group in value_groups(one, values, everything)),
        candidates=tuple(candidates[:CANDIDATES_MAX]),
        candidate_count=len(candidates),
        candidate_gap=sum(one.gap for one in candidates),
        basis=Basis(read=table.rows, given=table.rows, tried=2),
    )
    return _told(result, table, question)


def _told(result: SalesIntelligenceResult, table: Table, question: str) -> SalesIntelligenceResult:
    """The figures of a customer table as sentences."""
    unit = result.currency
    findings = [_concentration(result, "rows")]
    findings += [f"{told(group, unit)}." for group in sorted(result.groups, key=lambda group: -group.share)[:8]]
    if result.candidates and not of_deals(question):
        findings.append(
            f"{result.candidate_count:,} customers still here pay under three quarters of their peers' median;"
            f" reaching the median would bring {money(result.candidate_gap, unit)} more {result.value_column}."
        )
        findings += [
            f"Upsell candidate {one.id}: pays {money(one.value, unit)}, peers ({one.peers}) {money(one.peer_median, unit)}."
            for one in result.candidates[:5]
        ]
    for column in table.columns:
        if column.kind == "boolean" and SEGMENT.search(column.name):
            yes = sum(truth(cell) is True for cell in column.cells)
            findings.append(f"{percent(yes / table.rows)} of rows have {column.name} ({yes:,} of {table.rows:,}).")
    if is_pipeline(table) is None:
        findings.append("The table holds no stages of deals, so nothing is said of pipeline, conversion and forecast.")
    return replace(result, findings=tuple(findings))


def _concentration(result: SalesIntelligenceResult, rows: str) -> str:
    return (
        f"{money(result.total, result.currency)} of {result.value_column} in {result.rows:,} {rows};"
        f" the top tenth holds {percent(result.top_decile_share)} (Gini coefficient {result.gini:.2f})."
    )


def _last(one: DealRecord) -> date:
    """The last day on which anything was said of it."""
    days = [one.opened, one.closed, *(step.at for step in one.steps)]
    return max((day.date() for day in days if day), default=date.min)


def _run(arguments: SalesIntelligenceArguments, blobs: Fetch) -> SalesIntelligenceResult:
    if arguments.deals:
        records = msgspec.json.decode(blobs(arguments.deals), type=tuple[DealRecord, ...])
        today = arguments.today or max((_last(one) for one in records), default=date.min)
        return analyse_deals(deals_told(records, today, arguments.left_out), arguments.question)
    return analyse_sales(read_table(blobs(arguments.table)), arguments.today, arguments.question)


SALES_INTELLIGENCE: Tool = tool(
    "sales_intelligence",
    _run,
    "Reads a stored CSV of customers or deals: pipeline, conversion, win rates, forecast with interval, slipping deals, revenue.",
    permission="sophia:read",
)
