"""A run spends no more than its budget, in all domains together; what it has spent follows from its journals."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from msgspec.structs import replace

from actors.collaboration import collaboration
from contracts import subjects
from contracts.collaboration import COLLABORATION, Request, Requested
from contracts.domains import Clearance, Domain
from contracts.envelope import Stored
from contracts.ids import derived_id
from contracts.kernel import EffectRecorded
from contracts.model import Allowance, Prompt, Reply, Section, Usage
from contracts.subjects import ActorRef
from projections.runs import ModelCall, Spent, spent
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import AllowanceError, OutcomeError, UnavailableError
from runtime.model_ports import Call
from tests.kernel_world import COUNTER, Add, Added, CountingModel, Note, OneHit, Sum, World, decide, evolve

PROMPT = Prompt(role="r", question="q", sections=(Section("answer", "any"),))
PAID = Usage(90, 10, 3_000)


class Metered(CountingModel):
    """Takes 100 tokens and 0.003 a call, and no call that it may not take that much for."""

    async def complete(self, prompt: Prompt, call: Call) -> Reply:
        allowance = call.allowance
        reply = await super().complete(prompt, call)
        if allowance is not None and allowance.less(PAID) != Allowance(
            tokens=None if allowance.tokens is None else allowance.tokens - PAID.tokens,
            cost_micros=None if allowance.cost_micros is None else allowance.cost_micros - PAID.cost_micros,
        ):
            self.keys.pop()
            raise AllowanceError("metered needs 100 tokens and 0.003")
        return replace(reply, usage=PAID)


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 20))


def spending(budget: Allowance | None, calls: int) -> Actor[Sum, Add | Note, Added]:
    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        effects.allow(budget)
        said = "done"
        try:
            for number in range(calls):
                await effects.chat(replace(PROMPT, question=f"q{number}"))
        except OutcomeError as error:
            said = str(error)
        await effects.tell(Note(text=f"{said} | {effects.spent.tokens} {effects.spent.cost_micros}"))

    return Actor("counter", Sum(), decide, evolve, react)  # type: ignore[arg-type]  # the union has more members


async def journal(world: World, events: list[Stored]) -> list[EffectRecorded]:
    found = await world.log.read(subjects.run(COUNTER, events[0].record.envelope.id))
    return [msgspec.json.decode(one.record.body, type=EffectRecorded) for one in found]


def noted(budget: Allowance | None, calls: int, model: Metered) -> tuple[str, list[EffectRecorded]]:
    found: list[tuple[str, list[EffectRecorded]]] = []

    async def body() -> None:
        async with World(spending(budget, calls), model=model) as world:
            await world.send(Add(amount=1))
            events = await world.events(at_least=2)
            found.append((msgspec.json.decode(events[1].record.body)["text"], await journal(world, events)))

    run(body)
    return found[0]


def test_a_run_stops_at_its_tokens_and_says_what_it_spent() -> None:
    model = Metered()
    text, entries = noted(Allowance(tokens=250), 4, model)
    assert "budget of 250 tokens, of which 200 were used: metered needs 100" in text
    assert text.endswith("| 200 6000")
    assert len(model.keys) == 2
    assert [entry.usage for entry in entries] == [PAID, PAID, None]
    assert entries[2].error is not None
    assert entries[2].code == "budget"


def test_a_run_stops_at_its_money_and_asks_nobody_once_it_is_spent() -> None:
    model = Metered()
    text, _ = noted(Allowance(cost_micros=6_000), 4, model)
    assert "budget of 0.006, of which 0.006 was spent: nothing is left" in text
    assert len(model.keys) == 2


def test_a_resumed_run_has_spent_what_its_journal_says() -> None:
    model = Metered(fail=[UnavailableError("metered", "busy")] * 3)
    text, entries = noted(Allowance(tokens=300), 3, model)
    assert text == "done | 300 9000"
    assert [entry.usage for entry in entries] == [PAID] * 3
    assert len(model.keys) == 3 + 3
    assert len(set(model.keys)) == 3


def test_what_an_unusable_answer_cost_is_spent_all_the_same() -> None:
    text, entries = noted(None, 2, Metered(fail=[OutcomeError("nonsense", PAID)]))
    assert text == "nonsense | 100 3000"
    assert entries[0].usage == PAID


def test_a_collaboration_gets_what_is_left_and_tells_what_it_used() -> None:
    async def react(recorded: Recorded[Added], effects: Effects) -> None:
        assert recorded.actor == COUNTER
        effects.allow(Allowance(tokens=250))
        await effects.chat(PROMPT)
        request = Request(request_type="strategic_alignment", question="?")
        first = await effects.ask(Domain.CEO, request)
        second = await effects.ask(Domain.CEO, request)
        await effects.tell(Note(text=f"{first.status} {second.status}: {second.reason} | {effects.spent.tokens}"))

    async def body() -> None:
        actor = Actor("counter", Sum(), decide, evolve, react)
        async with World(actor, collaboration, model=Metered(), retrieval=OneHit(Clearance.PUBLIC)) as world:
            await world.send(Add(amount=1))
            events = await world.events(at_least=2)
            text = msgspec.json.decode(events[1].record.body)["text"]
            assert text.startswith("completed failed: the run stops at its budget of 50 tokens, of which 0 were used")
            assert text.endswith("| 200")
            reaction = events[0].record.envelope.id
            budgets, calls = [], []
            for effect in (1, 2):
                ref = ActorRef(Domain.CEO, COLLABORATION, derived_id(reaction, "ask", effect))
                first = (await world.log.read(subjects.log(ref)))[0]
                budgets.append(msgspec.json.decode(first.record.body, type=Requested).budget)
                calls += await world.log.read(subjects.run(ref, first.record.envelope.id))
            assert budgets == [Allowance(tokens=150), Allowance(tokens=50)]
            calls += await world.log.read(subjects.run(COUNTER, reaction))
            named = [
                ModelCall(Domain.CEO, one.record.body.decode()) for one in calls if b'"name":"chat"' in one.record.body
            ]
            assert spent(named) == {Domain.CEO: Spent(2, PAID + PAID)}

    run(body)


def test_an_entry_from_before_costs_were_recorded_has_them_in_its_result() -> None:
    entry = (
        '{"type":"runtime.effect.v1","effect":0,"name":"chat","result":{"usage":{"input_tokens":5,"output_tokens":2}}}'
    )
    failed = '{"type":"runtime.effect.v1","effect":1,"name":"chat","result":null,"error":"nonsense"}'
    calls = [ModelCall(Domain.SOPHIA, entry), ModelCall(Domain.SOPHIA, failed)]
    assert spent(calls) == {Domain.SOPHIA: Spent(1, Usage(5, 2))}
