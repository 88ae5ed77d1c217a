"""Business insight: the strategy's statements beside the figures that speak to them, periods, disagreements; and its flow."""

import asyncio
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.sophia.insight import insight_work
from actors.sophia.sales import RECORDS_ID, sales_work
from actors.sophia.tools import TOOLS
from actors.sophia.tools.business_insight import Part, insight
from actors.sophia.tools.deals import deals_told
from actors.sophia.tools.sales_intelligence import analyse_deals
from actors.team import Examined
from contracts.business import RecordKind
from contracts.domains import Clearance
from contracts.model import Evidence
from contracts.records import AnyRecord, DealRecord
from contracts.retrieval import Entry, Hit, Query
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import UnavailableError
from tests.kernel_world import Add, Added, Note, OneHit, Sum, World, decide, evolve

STRATEGY = "Small-business churn must fall from 33.17 % to 20 % by the end of 2027. We will not compete on price."


def evidence(title: str, text: str) -> Evidence:
    return Evidence(id=f"id-{title}", title=title, text=text, label=Clearance.INTERNAL, score=0.5)


def test_a_goal_stands_beside_the_figures_that_speak_to_it() -> None:
    result = insight(
        "How is churn?",
        [evidence("Finance", "Churn was 24 % in Q2 2026.")],
        [Part(name="Client analysis", findings=("26.54 % of customers left (churn).", "Churn costs €3 million."))],
        [evidence("Strategy 2027", STRATEGY)],
    )
    (one,) = result.insights
    assert one.goal is not None
    assert (one.indicator, one.goal.text) == ("churn", "20 %")
    assert [(figure.claim.text, figure.claim.title, figure.period) for figure in one.measured] == [
        ("26.54 %", "Client analysis", ""),
        ("24 %", "Finance", "Q2 2026"),
    ]
    assert result.findings[0] == (
        "Against the strategy the business stands like this on churn: the goal is 20 % (Strategy 2027), measured are 26.54 %"
        " of customers left (Client analysis), 24 % (Finance, Q2 2026); of 2 figures 2 above the goal."
    )
    assert "Client analysis: Churn costs €3 million." in result.findings


def test_bounds_and_what_restates_the_goal_measure_nothing_and_the_group_it_is_about_comes_first() -> None:
    found = (
        "22.50 % of customers left (90 of 400, 95 % interval 18.68 % to 26.84 %).",
        "33.17 % of customers with segment = small_business left (69 of 208, 95 % interval 27.13 % to 39.83 %), 1.47 times.",
        "Among segment = small_business: 46.96 % of customers with tenure up to 12 left (54 of 115).",
        f"33.17 %, 20 %: {STRATEGY.partition('. We')[0]}. (source: Strategy 2027)",
    )
    again = evidence("Minutes", STRATEGY.partition(" We")[0])
    parts = [Part(name="Client analysis", findings=found)]
    result = insight("How are we doing?", [again], parts, [evidence("Strategy 2027", STRATEGY)])
    assert result.findings[0] == (
        "Against the strategy the business stands like this on churn: the goal is 20 % (Strategy 2027), measured are 33.17 % of"
        " customers with segment = small_business left (Client analysis), Among segment = small_business: 46.96 % of customers"
        " with tenure up to 12 left (Client analysis), 22.50 % of customers left (Client analysis); of 3 figures 3 above the"
        " goal."
    )


def test_a_goal_that_nothing_measures_is_said_to_be_so() -> None:
    result = insight("How are we doing?", [], [], [evidence("Plan", "Our margin should reach 30 % in 2027.")])
    assert result.findings[0].endswith("and no figure at hand measures it.")


def test_sources_that_differ_are_named_with_both_figures_and_periods() -> None:
    result = insight("churn", [evidence("A", "Churn was 20 % in 2025."), evidence("B", "Churn is 30 % now.")])
    (line,) = [line for line in result.findings if line.startswith("Churn: sources state different")]
    assert "(20 % in A, 2025, 30 % in B), perhaps for different groups or periods" in line


def test_goals_and_changes_are_no_disagreement() -> None:
    texts = ("Churn must fall to 20 %.", "Churn fell by 6 percentage points.", "Churn was 30 %.")
    assert insight("churn", [evidence(str(at), text) for at, text in enumerate(texts)]).disagreements == ()


@given(st.lists(st.text(max_size=200), max_size=4), st.lists(st.text(max_size=200), max_size=4))
def test_any_texts_give_insights_that_quote_them(texts: list[str], strategy: list[str]) -> None:
    result = insight(
        "why?",
        [evidence(f"e{at}", text) for at, text in enumerate(texts)],
        [Part(name="Sales", findings=tuple(texts))],
        [evidence(f"s{at}", text) for at, text in enumerate(strategy)],
    )
    assert all(one.title.startswith("s") for one in result.insights)
    assert all(figure.name == one.indicator for one in result.insights for figure in one.measured)


# The flows -----------------------------------------------------------------------------------------------------------

DEAL = DealRecord(
    id="D-1",
    label=Clearance.CONFIDENTIAL,
    value=1_000.0,
    currency="EUR",
    stage="offer",
    opened=datetime(2026, 1, 5, tzinfo=UTC),
)


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """The libraries of statistics, which take seconds to load, and a test waits for five."""
    analyse_deals(deals_told([DEAL], date(2026, 11, 29)))


class Kept:
    """Records in memory, above none of which a reader without the clearance comes."""

    def __init__(self, *records: AnyRecord, away: bool = False) -> None:
        self._records = records
        self._away = away

    async def records(self, kind: RecordKind, *, clearance: Clearance) -> tuple[tuple[AnyRecord, ...], int]:
        if self._away:
            raise UnavailableError("records", "they are away")
        assert kind == "deal"
        return tuple(one for one in self._records if one.label <= clearance), 0


class Strategy(OneHit):
    """Has a strategy, and no table."""

    async def search(self, query: Query) -> list[Hit]:
        if query.media_type is not None or query.partitions != ("ceo_knowledge",):
            return []
        entry = Entry(id="s", title="Strategy 2027", text=STRATEGY, label=self.label, priority=10)
        return [Hit(entry=entry, partition="ceo_knowledge", score=0.5)]


def worked(work: Any, records: Kept, **sent: Any) -> tuple[Examined, Clearance]:
    """What the work gave, and the label of what follows it."""
    given: list[Examined] = []

    async def react(recorded: Recorded[Added], effects: Effects) -> None:  # noqa: ARG001 - the form of all
        effects.grant(("sophia:read",))
        given.append(await work("How is the business doing?", (), effects))
        await effects.tell(Note(text="done"))

    world = World(Actor("counter", Sum(), decide, evolve, react), retrieval=Strategy(Clearance.INTERNAL))
    world.outside = msgspec.structs.replace(world.outside, records=records, tools=TOOLS)

    async def body() -> Clearance:
        async with world:
            await world.send(Add(amount=1), **sent)
            return (await world.events(at_least=2))[1].record.envelope.label

    return given[0] if (label := asyncio.run(asyncio.wait_for(body(), 60))) and given else Examined(), label


def test_sales_rest_on_the_deals_that_the_asker_may_read() -> None:
    found, label = worked(sales_work, Kept(DEAL))
    assert "1 deals worth 1,000 EUR are open" in " ".join(found.findings)
    assert [(one.id, one.label) for one in found.evidence] == [(RECORDS_ID, Clearance.CONFIDENTIAL)]
    assert label is Clearance.CONFIDENTIAL


def test_without_deals_sales_say_what_is_missing() -> None:
    secret = msgspec.structs.replace(DEAL, label=Clearance.TOP_SECRET)
    found, label = worked(sales_work, Kept(secret))
    assert found.findings[0].startswith("No deals are known, neither by facts")
    assert found.evidence == ()
    assert label is Clearance.PUBLIC
    away, _ = worked(sales_work, Kept(away=True))
    assert "could not be read: there are no deal records now" in away.findings[0]


def test_the_insight_joins_the_parts_with_the_strategy_in_order() -> None:
    done: list[str] = []

    def part(name: str, finding: str) -> tuple[str, Any]:
        async def work(question: str, hits: object, effects: Effects) -> Examined:  # noqa: ARG001 - the form of all
            done.append(name)
            return Examined((finding,), evidence=(evidence(name, finding),))

        return name, work

    parts = (part("Client analysis", "26.54 % of customers left (churn)."), part("Sales", "1 deal is slipping."))
    found, label = worked(insight_work(parts), Kept())
    assert done == ["Client analysis", "Sales"]
    assert "measured is 26.54 % of customers left (Client analysis); of 1 figure 1 above the goal." in found.findings[0]
    assert "Sales: 1 deal is slipping." in found.findings
    assert [one.title for one in found.evidence] == ["Client analysis", "Sales"]
    assert [hit.entry.title for hit in found.hits] == ["Strategy 2027"]
    assert label is Clearance.INTERNAL
