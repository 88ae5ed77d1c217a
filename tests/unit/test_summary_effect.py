"""The strategic summary as an effect of the CEO's actors, and as what other domains ask the CEO's keeper for."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from actors.ceo.knowledge_item import knowledge_item
from actors.collaboration import collaboration
from adapters.memory import MemoryBroker
from contracts import subjects
from contracts.collaboration import Collaborate, Conclude, Concluded, Outcome, Request, Requested
from contracts.curating import StrategicSummary, SummaryQuery
from contracts.domains import Clearance, Domain
from contracts.ids import new_id
from contracts.kernel import EffectRecorded
from contracts.knowledge import AddKnowledge, Category, Knowledge
from contracts.model import FLOW, Prompt, Reply
from contracts.subjects import ActorRef
from projections.summaries import Summaries
from runtime.actor import Actor, AnyActor, Recorded
from runtime.caching import Cache
from runtime.effects import Effects
from runtime.errors import UnavailableError
from runtime.model_ports import Call
from runtime.telemetry import NoTelemetry
from runtime.testing import given
from tests.folded_reads import FoldedReads
from tests.kernel_world import COUNTER, LIMITS, Add, Added, CountingModel, Note, Sum, World, decide, evolve

ASKER = ActorRef(Domain.SOPHIA, "counter", "c1")
SUMMARY = Request(request_type="strategic_summary", question="What matters?")
React = Callable[[Recorded[Added], Effects], Coroutine[Any, Any, None]]
INTERNAL, RESTRICTED, TOP = Clearance.INTERNAL, Clearance.RESTRICTED, Clearance.TOP_SECRET


class Remembering(CountingModel):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[Prompt] = []

    async def complete(self, prompt: Prompt, call: Call) -> Reply:
        self.prompts.append(prompt)
        return await super().complete(prompt, call)


class Keeper:
    """The CEO's domain and Sophia's in memory, with a knowledge base. Who asks is cleared for what is restricted."""

    def __init__(self, react: React) -> None:
        broker = MemoryBroker(ack_wait_s=LIMITS.ack_wait_s)
        self.reads = FoldedReads(broker)
        self.model = Remembering()
        actors: tuple[AnyActor, ...] = (Actor("counter", Sum(), decide, evolve, react), collaboration, knowledge_item)
        summaries = Summaries(self.reads, Cache(NoTelemetry()))
        self.world = World(*actors, broker=broker, model=self.model, summaries=summaries)

    async def add(self, title: str, level: Clearance, priority: int, category: Category = "strategic_planning") -> str:
        said = Knowledge(
            title=title,
            content=f"{title} comes first. We should do it.",
            category=category,
            confidentiality=level,
            strategic_priority=priority,
        )
        item = ActorRef(Domain.CEO, "knowledge_item", new_id())
        await self.world.send(AddKnowledge(by="root", knowledge=said), item)
        await self.world.events(item, at_least=1)
        return item.id

    async def noted(self, of: ActorRef = ASKER) -> tuple[str, Clearance]:
        """What the counter noted when it was added to, and the label of that."""
        await self.world.send(Add(amount=1), of)
        record = (await self.world.events(of, at_least=2))[1].record
        return msgspec.json.decode(record.body)["text"], record.envelope.label


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(body, 20))


def asking(request: Request, outcomes: list[Outcome]) -> React:
    async def react(recorded: Recorded[Added], effects: Effects) -> None:  # noqa: ARG001 - the form of all
        outcomes.append(await effects.ask(Domain.CEO, request))
        await effects.tell(Note(text=outcomes[-1].status))

    return react


def test_a_domain_is_told_what_matters_as_far_as_its_asker_is_cleared() -> None:
    async def body() -> None:
        outcomes: list[Outcome] = []
        keeper = Keeper(asking(SUMMARY, outcomes))
        async with keeper.world:
            low = await keeper.add("Retention", INTERNAL, 7)
            await keeper.add("Merger", TOP, 10)
            await keeper.add("Roadmap", INTERNAL, 9, "technology_roadmap")
            assert await keeper.noted() == ("completed", INTERNAL)
            (told,) = outcomes
            assert told.sections["priorities"] == "- Retention: Retention comes first."
            assert told.sections["recommendations"] == "- We should do it."
            assert [(one.id, one.label, one.text) for one in told.evidence] == [
                (low, INTERNAL, "Retention: Retention comes first.\nWe should do it.")
            ]
            high = await keeper.add("Prices", RESTRICTED, 8)
            await keeper.world.send(Add(amount=1), ASKER)
            again = (await keeper.world.events(ASKER, at_least=4))[3].record.envelope
            assert again.label is RESTRICTED
            assert [one.id for one in outcomes[1].evidence] == [high, low]
            assert keeper.model.keys == []

    run(body())


def test_of_which_domain_and_time_it_is_may_be_said() -> None:
    async def body() -> None:
        outcomes: list[Outcome] = []
        context = {"domain": "technical", "horizon": "week"}
        keeper = Keeper(asking(msgspec.structs.replace(SUMMARY, context=context), outcomes))
        async with keeper.world:
            item = await keeper.add("Roadmap", INTERNAL, 9, "technology_roadmap")
            assert await keeper.noted() == ("completed", INTERNAL)
            assert [one.id for one in outcomes[0].evidence] == [item]
            assert outcomes[0].evidence[0].title == "Strategic priority 9: technology roadmap"

    run(body())


def test_what_it_cannot_be_of_is_refused() -> None:
    async def body() -> None:
        outcomes: list[Outcome] = []
        keeper = Keeper(asking(msgspec.structs.replace(SUMMARY, context={"domain": "gossip"}), outcomes))
        async with keeper.world:
            assert (await keeper.noted())[0] == "refused"
            assert "gossip" in outcomes[0].reason

    run(body())


def test_a_summary_is_journaled_and_not_made_again() -> None:
    """Run again from the top, the reaction is told what it was told, though the read model is gone and would say otherwise."""

    async def body() -> None:
        told: list[StrategicSummary] = []

        async def react(recorded: Recorded[Added], effects: Effects) -> None:
            told.append(await effects.summary(("ceo_knowledge",), SummaryQuery(domain="business")))
            keeper.reads.down = True
            if len(told) == 1:
                raise UnavailableError("something else", "away")
            await effects.tell(Note(text=f"{recorded.actor.domain.value} {effects.label.value}"))

        keeper = Keeper(react)
        async with keeper.world:
            await keeper.add("Prices", RESTRICTED, 8)
            assert await keeper.noted(COUNTER) == ("ceo restricted", RESTRICTED)
            assert len(told) == 2
            assert told[0] == told[1]
            cause = (await keeper.world.events(at_least=1))[0].record.envelope.id
            (entry,) = await keeper.world.log.read(subjects.run(COUNTER, cause))
            assert msgspec.json.decode(entry.record.body, type=EffectRecorded).name == "summary"
            assert entry.record.envelope.label is RESTRICTED

    run(body())


def test_without_a_read_model_it_fails_at_once_and_an_alignment_goes_on() -> None:
    async def body() -> None:
        outcomes: list[Outcome] = []
        keeper = Keeper(asking(SUMMARY, outcomes))
        async with keeper.world:
            keeper.reads.down = True
            assert (await keeper.noted())[0] == "failed"
            assert "no strategic summary now: postgres" in outcomes[0].reason
        aligned: list[Outcome] = []
        request = Request(request_type="strategic_alignment", question="?", needs_ceo_context=True)
        keeper = Keeper(asking(request, aligned))
        async with keeper.world:
            keeper.reads.down = True
            assert (await keeper.noted())[0] == "completed"

    run(body())


def test_only_the_keeper_of_the_knowledge_makes_one() -> None:
    async def body() -> None:
        outcomes: list[Outcome] = []
        async with World(Actor("counter", Sum(), decide, evolve, asking(SUMMARY, outcomes)), collaboration) as world:
            await world.send(Add(amount=1), ASKER)
            await world.events(ASKER, at_least=2)
            assert outcomes[0].status == "failed"
            assert "ask that domain for it" in outcomes[0].reason

    run(body())


def test_an_alignment_rests_on_the_priorities_where_the_ceos_context_is_wanted() -> None:
    """And is as confidential as they are; where it is not wanted, neither."""

    async def body() -> None:
        for wanted in (True, False):
            outcomes: list[Outcome] = []
            request = Request(request_type="strategic_alignment", question="?", needs_ceo_context=wanted)
            keeper = Keeper(asking(request, outcomes))
            async with keeper.world:
                item = await keeper.add("Prices", RESTRICTED, 8)
                await keeper.add("Merger", TOP, 10)
                assert await keeper.noted() == ("completed", RESTRICTED if wanted else Clearance.PUBLIC)
                assert [one.id for one in outcomes[0].evidence] == ["e", *([item] if wanted else [])]
                (prompt,) = keeper.model.prompts
                assert ("Prices: Prices comes first." in [one.text for one in prompt.evidence]) == wanted

    run(body())


def test_the_request_ends_once() -> None:
    asked = Collaborate(asker=Domain.SOPHIA, request=SUMMARY)
    ended = Outcome(status="completed", sections={"priorities": "- Grow."}, label=RESTRICTED)
    after = given(collaboration).when(asked).then(Requested(asker=Domain.SOPHIA, request=SUMMARY, flow=FLOW))
    after = after.when(Conclude(outcome=ended)).then(Concluded(outcome=ended))
    assert Concluded(outcome=ended).label is RESTRICTED
    after.when(Conclude(outcome=Outcome(status="failed"))).then()
