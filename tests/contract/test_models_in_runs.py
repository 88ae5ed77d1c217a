"""Runs over real model servers: deadline and budget end them, and what was paid for is never asked for again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace

from adapters.openai_chat import Endpoint, OpenAiChat
from adapters.provider_chain import NamedModels, ProviderChain
from contracts import subjects
from contracts.chat import ChatMessage, ChatRequest, Written
from contracts.domains import Clearance
from contracts.kernel import EffectRecorded
from contracts.model import Allowance, Evidence, Prompt, Section
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError
from runtime.run import DEADLINE_PASSED
from tests.kernel_world import COUNTER, Add, Added, Note, Sum, World, decide, evolve
from tests.model_server import Fault, ModelServer, Options

NOTE = Evidence(id="k", title="t", text="Because.", label=Clearance.PUBLIC, score=0.5)
PROMPT = Prompt(role="r", question="Why?", sections=(Section("answer", "any"),), evidence=(NOTE,))
REQUEST = ChatRequest(model="m", messages=(ChatMessage(role="user", content="Say something, please."),))


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(Options()) as running:
        yield running


async def react(recorded: Recorded[Added], effects: Effects) -> None:
    assert recorded.actor == COUNTER
    effects.allow(Allowance(cost_micros=3_000))
    try:
        for number in range(20):
            await effects.chat(replace(PROMPT, question=f"Why {number}?"))
            await effects.converse(REQUEST)
        said = "never stopped"
    except OutcomeError as error:
        said = str(error)
    await effects.tell(Note(text=f"{said} | {effects.spent.cost_micros}"))


Told = Callable[[World, list[Written]], Awaitable[None]]


def with_world(server: ModelServer, body: Told, **endpoint: float) -> None:
    async def bounded() -> None:
        model = OpenAiChat(Endpoint(name="a", base_url=server.url, model="m", **endpoint))  # type: ignore[arg-type]  # figures only
        chain = ProviderChain([[model]])
        heard: list[Written] = []

        async def announce(_: str, body: bytes) -> None:
            heard.append(msgspec.json.decode(body, type=Written))

        world = World(Actor("counter", Sum(), decide, evolve, react))
        world.outside = replace(world.outside, model=chain, chats=NamedModels(chain), announce=announce)
        async with asyncio.timeout(30), world:
            await body(world, heard)
        await model.close()

    asyncio.run(bounded())


async def ended(world: World) -> tuple[str, list[EffectRecorded]]:
    events = await world.events(at_least=2)
    stored = await world.log.read(subjects.run(COUNTER, events[0].record.envelope.id))
    journal = [msgspec.json.decode(one.record.body, type=EffectRecorded) for one in stored]
    return msgspec.json.decode(events[1].record.body)["text"], journal


def test_a_budget_of_money_stops_a_run_before_it_is_overspent(server: ModelServer) -> None:
    async def body(world: World, _: list[Written]) -> None:
        await world.send(Add(amount=1))
        text, journal = await ended(world)
        said, spent = text.rsplit(" | ", 1)
        assert "the run stops at its budget of 0.003, of which" in said
        paid = [entry.usage for entry in journal if entry.usage is not None]
        assert sum(usage.cost_micros for usage in paid) == int(spent) <= 3_000
        assert len(server.calls) == len(paid) > 2
        assert journal[-1].error is not None
        assert max(call["max_tokens"] for call in server.bodies) <= 300

    with_world(server, body, input_price=2.0, output_price=10.0)


def test_a_deadline_ends_a_call_that_hangs_and_nothing_more_is_asked(server: ModelServer) -> None:
    server.options.faults = [Fault("hang", after=12)]

    async def body(world: World, heard: list[Written]) -> None:
        await world.send(Add(amount=1), deadline=datetime.now(UTC) + timedelta(seconds=0.5))
        text, journal = await ended(world)
        assert text.startswith(DEADLINE_PASSED)
        assert [(entry.name, entry.error) for entry in journal] == [("chat", DEADLINE_PASSED)]
        assert len(server.calls) == 1
        assert heard

    with_world(server, body)


def test_a_stream_that_breaks_off_is_asked_for_again_with_the_same_key(server: ModelServer) -> None:
    server.options.faults = [Fault("reset", after=12), Fault("end", after=12), Fault("end", after=12)]

    async def body(world: World, heard: list[Written]) -> None:
        await world.send(Add(amount=1))
        _, journal = await ended(world)
        keys = [call.key for call in server.calls]
        assert keys[:4] == [keys[0]] * 4
        assert len(keys[3:]) == len(set(keys[3:]))
        first = [one for one in heard if one.effect == 0]
        assert len({one.attempt for one in first}) == 4
        last = "".join(one.delta.text for one in first if one.attempt == first[-1].attempt)
        assert last == f"## Answer\n{msgspec.json.decode(journal[0].result)['sections']['answer']}"

    with_world(server, body, input_price=0.2, output_price=1.0)
