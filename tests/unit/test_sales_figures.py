"""The sales figures equal what a notebook computes of the same table with other means: pandas, and formulas written out."""

import math
from datetime import UTC, date, datetime

import msgspec
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.sophia.tools import TOOLS, pipeline
from actors.sophia.tools.deals import Deal, Deals, Step, deals_of, outcome
from actors.sophia.tools.sales_intelligence import (
    Pipeline,
    SalesIntelligenceArguments,
    SalesIntelligenceResult,
    analyse_deals,
    analyse_sales,
)
from actors.tables import read_table
from contracts.domains import Clearance
from contracts.records import DealRecord
from contracts.records import Step as RecordStep
from runtime.errors import OutcomeError
from tests.pipelines import STAGES, TODAY, Row, simulated, table


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    frame = pd.DataFrame(simulated(7)[0])
    return frame.assign(**{name: pd.to_datetime(frame[name]) for name in frame.columns if name.endswith("_date")})


@pytest.fixture(scope="module")
def found() -> Pipeline:
    result = analyse_sales(read_table(table(simulated(7)[0])), TODAY).pipeline
    assert result is not None
    return result


def wilson(hits: int, total: int) -> tuple[float, float]:
    z, p = 1.959964, hits / total
    centre, half = p + z * z / (2 * total), z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return (centre - half) / (1 + z * z / total), (centre + half) / (1 + z * z / total)


def kaplan_meier(days: "pd.Series[int]", ended: "pd.Series[bool]", part: float) -> float:
    """The first day by which that part has left: a product over the days on which somebody did."""
    left = 1.0
    for day in sorted(days[ended].unique()):
        left *= 1 - ((days == day) & ended).sum() / (days >= day).sum()
        if left <= 1 - part:
            return float(day)
    return math.inf


def test_what_stands_where(frame: pd.DataFrame, found: Pipeline) -> None:
    standing = frame[frame.closed_date.isna()].groupby("stage").amount_eur.agg(["count", "sum"])
    assert [one.name for one in found.stages] == list(STAGES)
    for one in found.stages:
        assert one.deals == standing.loc[one.name, "count"]
        assert one.value == pytest.approx(standing.loc[one.name, "sum"])
    assert found.open == int(frame.closed_date.isna().sum())
    assert (
        found.as_of == date(2026, 11, 29)
        or found.as_of == frame[[f"{STAGES[0]}_date", "closed_date"]].max().max().date()
    )


def test_how_far_deals_come(frame: pd.DataFrame, found: Pipeline) -> None:
    for at, one in enumerate(found.stages):
        came = frame[frame[f"{one.name}_date"].notna()]
        beyond = came[f"{STAGES[at + 1]}_date"].notna() if at + 1 < len(STAGES) else came.stage == "won"
        lost = (came.stage == "lost") & ~beyond
        assert one.conversion is not None
        assert (one.entered, one.conversion.hits, one.conversion.total) == (
            len(came),
            beyond.sum(),
            beyond.sum() + lost.sum(),
        )
        low, high = wilson(one.conversion.hits, one.conversion.total)
        assert one.conversion.low == pytest.approx(low, abs=1e-6)
        assert one.conversion.high == pytest.approx(high, abs=1e-6)


def test_how_long_they_take(frame: pd.DataFrame, found: Pipeline) -> None:
    as_of = pd.Timestamp(found.as_of)
    ended = frame.closed_date.notna()
    days = (frame.closed_date.fillna(as_of) - frame.opened_date).dt.days
    assert found.cycle is not None
    assert (found.cycle.deals, found.cycle.ended) == (len(frame), ended.sum())
    assert found.cycle.median == kaplan_meier(days, ended, 0.5)
    assert found.cycle.long == kaplan_meier(days, ended, 0.9)
    first = found.times[0]
    left = frame.proposal_date.fillna(frame.closed_date)
    stay = (left.fillna(as_of) - frame.qualified_date).dt.days
    assert first.median == kaplan_meier(stay, left.notna(), 0.5)
    assert first.low is not None
    assert first.high is not None
    assert first.low <= first.median <= first.high


def test_what_is_won_and_by_whom(frame: pd.DataFrame, found: Pipeline) -> None:
    decided = frame[frame.closed_date.notna()]
    assert (found.won.hits, found.won.total) == ((decided.stage == "won").sum(), len(decided))
    by = decided.assign(won=decided.stage == "won").groupby("segment").won.agg(["sum", "count"])
    (segment,) = [one for one in found.comparisons if one.segment == "segment"]
    assert {one.name: (one.hits, one.total) for one in segment.shares} == {
        name: (row["sum"], row["count"]) for name, row in by.iterrows()
    }
    rate = by["sum"].sum() / by["count"].sum()
    chi2 = sum(
        (seen - of * part) ** 2 / (of * part)
        for hits, of in zip(by["sum"], by["count"], strict=True)
        for seen, part in ((hits, rate), (of - hits, 1 - rate))
    )
    assert segment.p is not None
    assert segment.p == pytest.approx(math.exp(-chi2 / 2))  # of two degrees of freedom, and the only test


def test_what_slips(frame: pd.DataFrame, found: Pipeline) -> None:
    standing = frame[frame.closed_date.isna()]
    overdue = standing[pd.to_datetime(standing.expected_close) < pd.Timestamp(found.as_of)]
    assert set(overdue.deal_id) <= {one.id for one in found.slipping}
    assert [one.value for one in found.slipping] == sorted((one.value for one in found.slipping), reverse=True)
    assert found.slipping_value == pytest.approx(sum(one.value for one in found.slipping))
    assert all(one.days > 0 for one in found.slipping)


def test_a_table_without_history_says_what_it_cannot_tell() -> None:
    rows = [f"D{at},{100 + at},{'won' if at % 3 else 'lost' if at % 2 else 'offer'}" for at in range(30)]
    result = analyse_sales(read_table(("deal_id,amount_eur,stage\n" + "\n".join(rows)).encode()), TODAY)
    text = " ".join(result.findings)
    assert "too little data for one forecast" in text
    assert "nothing is said of the time in a stage" in text
    assert "nothing is said of the sales cycle" in text


def test_no_deals_are_an_outcome() -> None:
    with pytest.raises(OutcomeError, match="no deals"):
        analyse_deals(Deals(deals=(), as_of=TODAY))


@pytest.mark.parametrize(
    ("stage", "won"),
    [
        ("Closed Won", True),
        ("closed_lost", False),
        ("WON", True),
        ("Signed", True),
        ("proposal", None),
        ("Wonderland", None),
    ],
)
def test_how_a_deal_ended(stage: str, won: bool | None) -> None:
    assert outcome(stage) is won


def test_facts_and_a_table_of_the_same_deals_say_the_same(found: Pipeline) -> None:
    records = [_record(row) for row in simulated(7)[0]]
    foreign = DealRecord(id="X", label=Clearance.PUBLIC, value=1e9, currency="USD", outcome="won")
    blob = msgspec.json.encode([*records, foreign])
    asked = SalesIntelligenceArguments(deals="d", today=found.as_of, left_out=2)
    result = TOOLS["sales_intelligence"].run(asked, lambda _: blob)
    assert isinstance(result, SalesIntelligenceResult)
    told = result.pipeline
    assert told is not None
    assert told.left_out == 3
    assert "3 deals are left out" in result.findings[-2]
    assert (told.stages, told.won, told.cycle, told.times) == (found.stages, found.won, found.cycle, found.times)
    assert (told.comparisons, told.outlook, told.slipping) == (found.comparisons, found.outlook, found.slipping)


def _record(row: Row) -> DealRecord:
    def at(day: date | None) -> datetime | None:
        return None if day is None else datetime(day.year, day.month, day.day, 9, tzinfo=UTC)

    steps = [
        RecordStep(at=moment, stage=name) for name in STAGES if (moment := at(row.get(f"{name}_date"))) is not None
    ]
    return DealRecord(
        id=row["deal_id"],
        label=Clearance.INTERNAL,
        client=row["account"],
        segment=row["segment"],
        stage=row["stage"],
        value=row["amount_eur"],
        currency="EUR",
        opened=at(row["opened_date"]),
        expected=at(row["expected_close"]),
        closed=at(row.get("closed_date")),
        outcome=row["stage"] if row["stage"] in ("won", "lost") else None,
        steps=tuple(steps),
    )


days = st.dates(date(2024, 1, 1), date(2026, 12, 31))
deals = st.builds(
    Deal,
    id=st.text(max_size=5),
    value=st.floats(-1e6, 1e9),
    stage=st.sampled_from(["a", "b", "won", ""]),
    opened=st.none() | days,
    steps=st.lists(st.builds(Step, st.sampled_from(["a", "b"]), days), max_size=3).map(tuple),
    closed=st.none() | days,
    won=st.none() | st.booleans(),
    expected=st.none() | days,
    segments=st.dictionaries(st.sampled_from(["region", "size"]), st.sampled_from(["x", "y", "z"]), max_size=2),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(deals, min_size=1, max_size=40), days)
def test_any_deals_have_figures_that_hold(given_: list[Deal], as_of: date) -> None:
    """However contradictory what was said of them is."""
    known = Deals(deals=tuple(given_), as_of=as_of)
    for one in pipeline.stages(known):
        assert one.conversion is None or one.conversion.low <= one.conversion.share <= one.conversion.high
    for duration in pipeline.times(known):
        assert duration.ended <= duration.deals
        assert duration.median is None or duration.slow is None or duration.median <= duration.slow
    for compared in pipeline.comparisons(known):
        assert compared.p is None or 0 <= compared.p <= 1
    assert {one.id for one in pipeline.slipping(known, pipeline.cycle(known), [])} <= {deal.id for deal in known.open}


def test_a_date_column_for_each_stage_is_its_history() -> None:
    found = deals_of(read_table(table(simulated(7)[0])), TODAY)
    assert found is not None
    assert found.told
    assert all([step.at for step in deal.steps] == sorted(step.at for step in deal.steps) for deal in found.deals)
