"""Which runs rest on knowledge that was raised since: in PostgreSQL and in the folds alike."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest
from msgspec import Raw

from adapters.memory import MemoryBroker, MemoryLog
from contracts.conversation import SessionEnded
from contracts.curating import Statement, StrategicSummary
from contracts.domains import Clearance, Domain
from contracts.facts import announced_entry
from contracts.ids import keyed_id
from contracts.kernel import EffectRecorded
from contracts.knowledge import KnowledgeAdded, KnowledgeDeclassified, KnowledgeDeleted, KnowledgeUpdated, outline
from contracts.retrieval import Entry, Hit
from contracts.subjects import ActorRef
from projections import resting
from runtime.read_models import Db
from tests.folded_reads import FoldedReads
from tests.histories import START, History, answered, item
from tests.projecting import Reached, read_models

PUBLIC, INTERNAL, RESTRICTED = Clearance.PUBLIC, Clearance.INTERNAL, Clearance.RESTRICTED
ITEM = ActorRef(Domain.CEO, "knowledge_item", "i1")
SESSION = ActorRef(Domain.SOPHIA, "conversation", "c1")
OTHER_SESSION = ActorRef(Domain.SOPHIA, "conversation", "c2")
ELSEWHERE = ActorRef(Domain.ARTEMIS, "collaboration", "k1")
KEEPER = ActorRef(Domain.CEO, "collaboration", "k2")


class Told:
    """A history, and what both readers of it say of all its runs."""

    def __init__(self, history: History, folded: FoldedReads, db: Db, reached: Reached) -> None:
        self.history = history
        self.runs: list[str] = []
        self.db = db
        self._folded, self._reached = folded, reached

    async def says(self, level: Clearance, previous: Clearance | None = None) -> None:
        said = item(level)
        event: KnowledgeAdded | KnowledgeUpdated | KnowledgeDeclassified
        if previous is None:
            event = KnowledgeAdded(by="root", knowledge=said)
        elif previous <= level:
            event = KnowledgeUpdated(
                by="root", knowledge=said, previous_partition=said.partition, previous=outline(said)
            )
        else:
            event = KnowledgeDeclassified(by="root", previous=previous, reason="announced", knowledge=said)
        await self.history.add(ITEM, event, label=level)

    async def finds(
        self, run: str, *entries: str, label: Clearance, by: ActorRef = SESSION, memory: int | None = None
    ) -> None:
        self.runs.append(run)
        found = [Entry(id=one, title="t", text="x", label=label) for one in entries]
        hits = [Hit(entry=one, partition="ceo_knowledge", score=1.0) for one in found]
        if memory is not None:
            remembered = Entry(id="m", title="t", text="x", label=label, version=memory)
            hits.append(Hit(entry=remembered, partition="agent_memories", score=1.0))
        entry = EffectRecorded(effect=0, name="search", arguments="", result=Raw(msgspec.json.encode(hits)))
        await self.history.add(by, entry, label=label, correlation=run, reaction=keyed_id("reaction", run, str(by)))

    async def sums_up(self, run: str, *items: str, label: Clearance) -> None:
        self.runs.append(run)
        told = [
            Statement(text="x", items=(one,), category="risk_management", strategic_priority=8, label=label)
            for one in items
        ]
        summary = StrategicSummary(
            domain="business",
            horizon="week",
            since=START,
            until=START,
            priorities=(),
            key_insights=(),
            risks=tuple(told),
            opportunities=(),
            recommendations=(),
            items=len(told),
            label=label,
        )
        entry = EffectRecorded(effect=0, name="summary", arguments="", result=Raw(msgspec.json.encode(summary)))
        reaction = keyed_id("reaction", run, str(KEEPER))
        await self.history.add(KEEPER, entry, label=label, correlation=run, reaction=reaction)

    async def answers(self, run: str, session: ActorRef = SESSION) -> int:
        """The place of the recorded answer, by which it is remembered."""
        self.runs.append(run)
        return await self.history.add(session, answered(run, INTERNAL), label=INTERNAL, correlation=run)

    async def settled(self) -> None:
        await self._reached.all_of(self.history.log)

    async def raised(self) -> Mapping[str, Clearance]:
        await self.settled()
        stored = await resting.raised_runs(self.db, self.runs)
        assert await self._folded.raised_runs(self.runs) == stored
        return stored


@asynccontextmanager
async def told() -> AsyncIterator[Told]:
    broker = MemoryBroker()
    history = History(log=MemoryLog(broker))
    async with read_models(history.log) as (db, reached):
        yield Told(history, FoldedReads(broker), db, reached)


async def rests_on_what_it_found_before_the_item_was_raised(story: Told) -> None:
    await story.says(INTERNAL)
    await story.finds("before", "i1", "i2", label=INTERNAL)
    await story.finds("another", "i2", label=INTERNAL)
    assert await story.raised() == {}
    await story.says(RESTRICTED, INTERNAL)
    await story.finds("after", "i1", label=RESTRICTED)
    assert await story.raised() == {"before": RESTRICTED}


async def rests_on_what_it_was_told_of_the_item(story: Told) -> None:
    await story.says(INTERNAL)
    await story.finds("told", announced_entry(Domain.ARTEMIS, "i1"), label=INTERNAL, by=ELSEWHERE)
    await story.says(RESTRICTED, INTERNAL)
    assert await story.raised() == {"told": RESTRICTED}


async def rests_on_the_summary_that_it_was_told(story: Told) -> None:
    await story.says(INTERNAL)
    await story.sums_up("analysis", "i1", "i2", label=INTERNAL)
    await story.sums_up("another", "i2", label=INTERNAL)
    await story.says(RESTRICTED, INTERNAL)
    assert await story.raised() == {"analysis": RESTRICTED}


async def rests_on_the_earlier_turns_of_its_session(story: Told) -> None:
    await story.says(INTERNAL)
    await story.answers("zeroth")
    await story.finds("first", "i1", label=INTERNAL)
    await story.answers("first")
    await story.answers("second")
    await story.history.add(SESSION, SessionEnded(by="ada"), correlation="ended")
    await story.answers("third")
    await story.answers("elsewhere", OTHER_SESSION)
    await story.says(RESTRICTED, INTERNAL)
    assert await story.raised() == dict.fromkeys(("first", "second", "third"), RESTRICTED)


async def rests_on_what_it_was_reminded_of(story: Told) -> None:
    await story.says(INTERNAL)
    await story.finds("first", "i1", label=INTERNAL)
    memory = await story.answers("first")
    await story.finds("reminded", "i7", label=INTERNAL, by=OTHER_SESSION, memory=memory)
    await story.answers("reminded", OTHER_SESSION)
    await story.says(RESTRICTED, INTERNAL)
    assert await story.raised() == {"first": RESTRICTED, "reminded": RESTRICTED}


async def follows_the_item_down_again_and_stays_when_it_ends(story: Told) -> None:
    await story.says(PUBLIC)
    await story.finds("first", "i1", label=PUBLIC)
    await story.says(RESTRICTED, PUBLIC)
    await story.says(INTERNAL, RESTRICTED)
    assert await story.raised() == {"first": INTERNAL}
    await story.history.add(ITEM, KnowledgeDeleted(by="root", partition="ceo_knowledge"))
    assert await story.raised() == {"first": INTERNAL}


async def a_search_of_nobody_s_or_none_is_none(story: Told) -> None:
    await story.says(INTERNAL)
    await story.finds("nothing", label=INTERNAL)
    for name in ("search", "summary"):
        for result, error in ((b'{"odd": 1}', None), (b"null", "no index")):
            entry = EffectRecorded(effect=0, name=name, arguments="", result=Raw(result), error=error)
            reaction = keyed_id("reaction", name, repr(result))
            await story.history.add(SESSION, entry, correlation="odd", reaction=reaction)
    story.runs.append("odd")
    await story.says(RESTRICTED, INTERNAL)
    assert await story.raised() == {}


@pytest.mark.parametrize(
    "run",
    [
        rests_on_what_it_found_before_the_item_was_raised,
        rests_on_what_it_was_told_of_the_item,
        rests_on_the_summary_that_it_was_told,
        rests_on_the_earlier_turns_of_its_session,
        rests_on_what_it_was_reminded_of,
        follows_the_item_down_again_and_stays_when_it_ends,
        a_search_of_nobody_s_or_none_is_none,
    ],
)
def test_a_run(run: Callable[[Told], Awaitable[None]]) -> None:
    async def scenario() -> None:
        async with told() as story:
            await run(story)

    asyncio.run(scenario())


def test_what_rests_on_more_than_can_be_followed_is_shown_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(resting, "STEPS_MAX", 3)
        async with told() as story:
            await story.says(INTERNAL)
            for number in range(4):
                await story.answers(f"turn {number}")
            assert await resting.raised_runs(story.db, ["turn 3"]) == {}
            await story.finds("elsewhere", "i1", label=INTERNAL, by=ELSEWHERE)
            await story.says(RESTRICTED, INTERNAL)
            await story.settled()
            assert await resting.raised_runs(story.db, ["turn 3"]) == {"turn 3": Clearance.TOP_SECRET}
            assert await resting.raised_runs(story.db, ["turn 2"]) == {}

    asyncio.run(scenario())
