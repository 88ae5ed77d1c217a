"""Models as reactions see them: asked once, announced while they write, recorded whole."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from msgspec.structs import replace

from contracts import subjects
from contracts.chat import ChatMessage, ChatReply, ChatRequest, Delta, Written
from contracts.domains import Clearance, Domain
from contracts.ids import new_id
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError, UnavailableError
from runtime.model_ports import ANEW, Call
from runtime.writing import MERGED_CHARS_MAX, Writing
from tests.kernel_world import COUNTER, Add, Added, Note, Noted, Sum, World, decide, evolve

REQUEST = ChatRequest(model="parrot", messages=(ChatMessage(role="user", content="hello"),))
FIRST = Written(run="r", reaction="c", effect=0, attempt="a", number=0, label=Clearance.INTERNAL, delta=Delta())


class Parrot:
    """Writes in three pieces; its first call breaks off after one."""

    models = ("parrot",)

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:
        self.keys.append(call.key)
        assert call.on_delta is not None
        call.on_delta(Delta(text="he"))
        if len(self.keys) == 1:
            raise UnavailableError("parrot", "broke off")
        call.on_delta(Delta(text="l"))
        call.on_delta(Delta(text="lo"))
        message = ChatMessage(role="assistant", content=request.messages[-1].content)
        return ChatReply(message=message, finish_reason="stop", model="parrot")


async def react(recorded: Recorded[Added], effects: Effects) -> None:
    assert recorded.actor == COUNTER
    try:
        reply = await effects.converse(REQUEST, label=Clearance.CONFIDENTIAL)
        said = reply.message.content
    except OutcomeError as error:
        said = str(error)
    await effects.tell(Note(text=f"{said} {effects.label.value}"))


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 20))


async def noted(world: World) -> str:
    return msgspec.json.decode((await world.events(at_least=2))[1].record.body, type=Noted).text


def test_a_chat_is_announced_and_recorded_once() -> None:
    async def body() -> None:
        heard: list[tuple[str, Written]] = []

        async def announce(subject: str, body: bytes) -> None:
            heard.append((subject, msgspec.json.decode(body, type=Written)))

        parrot = Parrot()
        world = World(Actor("counter", Sum(), decide, evolve, react))
        world.outside = replace(world.outside, chats=parrot, announce=announce)
        async with world:
            correlation = await world.send(Add(amount=1))
            assert await noted(world) == f"hello {Clearance.CONFIDENTIAL.value}"
        assert len(parrot.keys) == 2
        assert len(set(parrot.keys)) == 1
        assert {subject for subject, _ in heard} == {subjects.written(Domain.CEO, correlation)}
        last = [one for _, one in heard if one.attempt == heard[-1][1].attempt]
        assert "".join(one.delta.text for one in last) == "hello"
        assert [one.number for one in last] == list(range(len(last)))
        assert {(one.run, one.effect, one.label) for one in last} == {(correlation, 0, Clearance.CONFIDENTIAL)}

    run(body)


def test_without_models_a_chat_says_so() -> None:
    async def body() -> None:
        async with World(Actor("counter", Sum(), decide, evolve, react)) as world:
            await world.send(Add(amount=1))
            assert "no model is configured" in await noted(world)

    run(body)


def test_what_piles_up_is_merged_and_an_answer_begun_anew_is_another_attempt() -> None:
    async def body() -> None:
        heard: list[Written] = []
        free = asyncio.Event()

        async def announce(_: str, body: bytes) -> None:
            await free.wait()
            heard.append(msgspec.json.decode(body, type=Written))

        async with Writing(announce, Domain.CEO, FIRST) as writing:
            for _ in range(MERGED_CHARS_MAX // 5 + 100):
                writing(Delta(text="lost "))
            writing(ANEW)
            writing(Delta(text="kept"))
            free.set()
        assert [one.number for one in heard[:-1]] == list(range(len(heard) - 1))
        assert 2 <= len(heard[:-1]) <= 3
        assert (heard[-1].delta.text, heard[-1].number) == ("kept", 0)
        assert heard[-1].attempt != heard[0].attempt == "a"

    run(body)


def test_who_cannot_be_listened_to_is_not_announced() -> None:
    async def body() -> None:
        async def announce(_: str, __: bytes) -> None:
            raise AssertionError("announced")

        async with Writing(announce, Domain.CEO, replace(FIRST, run=f"a.{new_id()}")) as writing:
            writing(Delta(text="x"))

    run(body)
