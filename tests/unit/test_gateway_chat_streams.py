"""Streams in OpenAI's form on a real socket, read by OpenAI's own client: live, exactly the recorded answer, or an error."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import openai
import pytest

from contracts import subjects
from contracts.chat import Delta, Written
from contracts.domains import Clearance, Domain
from contracts.envelope import Stored
from contracts.raw_chat import CHAT
from gateway.commands import new_actor
from gateway.identity import Principal
from gateway.server import GatewayServer
from gateway.written import WAITING_MAX, Follower
from runtime.ports import Watch
from tests.gateway_world import SETTINGS, TOKENS, Blind, World, now, run

ANN = Principal(username="ann", roles=("sophia_user",), clearance=Clearance.CONFIDENTIAL)
ECHO: dict[str, Any] = {"model": "echo", "stream": True}


class Served:
    """A world behind a real socket, and OpenAI's client for it."""

    def __init__(self, world: World, server: GatewayServer) -> None:
        self.world = world
        self.server = server
        self.token = TOKENS.issue(ANN, now())
        self.client = openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{server.port}/v1", api_key=self.token, max_retries=0
        )

    async def ask(self, text: str, **more: Any) -> Any:
        chat: Any = {**ECHO, "messages": [{"role": "user", "content": text}], **more}
        return await self.client.chat.completions.create(**chat)


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[Served]:
    async with World(msgspec.structs.replace(SETTINGS, **settings)) as world:
        server = GatewayServer(world.services, host="127.0.0.1", port=0)
        await server.start()
        one = Served(world, server)
        try:
            yield one
        finally:
            await one.client.close()
            await server.stop()


async def text_of(stream: Any) -> str:
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


async def until(stream: Any, wanted: str) -> tuple[str, str]:
    """Read until this much text was sent; the run, too."""
    text, run_ = "", ""
    while text != wanted:
        chunk = await anext(stream)
        text += chunk.choices[0].delta.content or ""
        run_ = run_ or chunk.diarchy["run"]
    return text, run_


def test_what_is_written_is_sent_at_once_and_the_end_says_how_it_ended() -> None:
    async def body() -> None:
        async with served() as one:
            stream = await one.ask("wait for it", stream_options={"include_usage": True})
            text, run_ = await until(stream, "echo: wa")
            assert not one.world.chats.release.is_set()
            one.world.chats.release.set()
            chunks = [chunk async for chunk in stream]
            assert text + "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "echo: wait for it"
            *_, finish, usage = chunks
            assert finish.choices[0].finish_reason == "stop"
            assert finish.diarchy == {"run": run_, "label": "confidential", "model": "echo-1"}
            assert (usage.choices, usage.usage.total_tokens) == ([], 7)
            assert {chunk.id for chunk in chunks} == {f"chatcmpl-{run_}"}
            recorded = await one.client.chat.completions.retrieve(f"chatcmpl-{run_}")
            assert recorded.choices[0].message.content == "echo: wait for it"

    run(body)


def test_an_attempt_that_died_is_gone_on_with_without_a_word_twice() -> None:
    async def body() -> None:
        async with served() as one:
            stream = await one.ask("again, please")
            text, _ = await until(stream, "echo: aga")
            one.world.chats.release.set()
            assert text + await text_of(stream) == "echo: again, please"
            assert len(one.world.chats.asked) == 2
            assert len(set(one.world.chats.keys)) == 1

    run(body)


def test_another_answer_than_was_begun_ends_with_an_error_that_says_where_it_is() -> None:
    async def body() -> None:
        async with served() as one:
            stream = await one.ask("otherwise")
            _, run_ = await until(stream, "echo: o")
            one.world.chats.release.set()
            with pytest.raises(openai.APIError, match=f"/v1/chat/completions/chatcmpl-{run_}") as error:
                await text_of(stream)
            assert (error.value.code, error.value.type) == ("superseded", "conflict_error")
            recorded = await one.client.chat.completions.retrieve(f"chatcmpl-{run_}")
            assert recorded.choices[0].message.content == "quite another answer"

    run(body)


def test_sophia_answers_in_a_stream_too() -> None:
    async def body() -> None:
        async with served() as one:
            chunks = [chunk async for chunk in await one.ask("why?", model="sophia")]
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "echo: why?"
            first, finish = chunks[0].diarchy, chunks[-1].diarchy
            assert (finish["session"], finish["label"], finish["confidence"]) == (first["session"], "confidential", 0.5)
            with pytest.raises(openai.APIError, match="the model refused"):
                await text_of(await one.ask("fail", model="sophia"))

    run(body)


def test_a_tool_call_is_streamed_piece_by_piece() -> None:
    async def body() -> None:
        async with served() as one:
            tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
            parts = [
                chunk.choices[0].delta.tool_calls[0]
                async for chunk in await one.ask("Oslo?", tools=[tool])
                if chunk.choices[0].delta.tool_calls
            ]
            assert (parts[0].id, parts[0].type, parts[0].function.name) == ("call_1", "function", "weather")
            assert "".join(part.function.arguments or "" for part in parts) == '{"city": "Oslo"}'
            assert len(parts) > 1

    run(body)


def test_a_repeat_under_its_key_gets_the_answer_that_was_given() -> None:
    async def body() -> None:
        async with served() as one:
            key = {"Idempotency-Key": "k"}
            first, second = [await text_of(await one.ask("once", extra_headers=key)) for _ in range(2)]
            assert first == second == "echo: once"
            assert len(one.world.chats.asked) == 1

    run(body)


def test_a_client_that_leaves_is_listened_for_no_longer_and_the_run_goes_on() -> None:
    async def body() -> None:
        async with served(heartbeat_s=0.02) as one:
            stream = await one.ask("wait")
            _, run_ = await until(stream, "echo:")
            assert one.world.services.written.following == 1
            await stream.close()
            log = one.world.broker.logs[Domain.SYSTEM]
            while one.world.services.written.following or one.server.open_streams:
                await log.change(0.01)
            one.world.chats.release.set()
            subject = subjects.log(new_actor(Domain.SYSTEM, CHAT, run_))
            while len(await one.world.log.read(subject)) < 2:
                await log.change(0.01)
            recorded = await one.client.chat.completions.retrieve(f"chatcmpl-{run_}")
            assert recorded.choices[0].message.content == "echo: wait"

    run(body)


def test_comments_keep_a_silent_stream_alive() -> None:
    async def body() -> None:
        async with (
            served(heartbeat_s=0.02) as one,
            one.world.client("sophia_user", base=one.client.base_url.__str__()) as ann,
        ):
            chat = {**ECHO, "messages": [{"role": "user", "content": "wait"}]}
            async with ann.stream("POST", "chat/completions", json=chat) as answer:
                lines = answer.aiter_lines()
                while await anext(lines) != ": still here":
                    pass
                one.world.chats.release.set()
                assert [line async for line in lines if line][-1] == "data: [DONE]"

    run(body)


async def announce(world: World, run_: str, *deltas: Delta, label: Clearance = Clearance.PUBLIC) -> None:
    """What a worker would announce that is asked a third time."""
    actor = new_actor(Domain.SYSTEM, CHAT, run_)
    asked = (await world.log.read(subjects.log(actor)))[0].record.envelope
    for number, delta in enumerate(deltas):
        written = Written(run=run_, reaction=asked.id, effect=0, attempt="z", number=number, label=label, delta=delta)
        await world.rpc.announce(subjects.written(Domain.SYSTEM, run_), msgspec.json.encode(written))


def test_nothing_above_the_readers_clearance_is_sent_while_it_is_written() -> None:
    async def body() -> None:
        async with served() as one:
            stream = await one.ask("wait")
            _, run_ = await until(stream, "echo:")
            await announce(one.world, run_, Delta(text="echo: secret"), label=Clearance.TOP_SECRET)
            one.world.chats.release.set()
            assert await text_of(stream) == " wait"

    run(body)


class Late:
    """A watch on a log whose records come only after what is announced."""

    def __init__(self, watch: Watch, opened: asyncio.Event) -> None:
        self._watch = watch
        self._opened = opened

    async def take(self, timeout_s: float) -> list[Stored]:
        await self._opened.wait()
        return list(await self._watch.take(timeout_s))

    async def close(self) -> None:
        await self._watch.close()


def test_what_is_written_before_its_record_is_seen_is_sent_with_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        async with served() as one:
            watched, taken, opened = one.world.log.watch, asyncio.Event(), asyncio.Event()
            take = Follower.take

            async def late(*args: Any, **named: Any) -> Late:
                return Late(await watched(*args, **named), opened)

            async def noted(follower: Follower) -> list[Written]:
                found = await take(follower)
                taken.set()
                return found

            monkeypatch.setattr(one.world.log, "watch", late)
            monkeypatch.setattr(Follower, "take", noted)
            stream = await one.ask("wait for it")
            run_ = (await anext(stream)).diarchy["run"]
            await taken.wait()
            taken.clear()
            await announce(one.world, run_, Delta(text="echo: wait for it, secretly"), label=Clearance.TOP_SECRET)
            await taken.wait()
            opened.set()
            text = ""
            while text != "echo: wa":  # Nobody writes any more; only the record is new.
                text += (await anext(stream)).choices[0].delta.content or ""
            assert not one.world.chats.release.is_set()
            one.world.chats.release.set()
            assert text + await text_of(stream) == "echo: wait for it"

    run(body)


def test_a_stopping_gateway_says_so() -> None:
    async def body() -> None:
        async with served() as one:
            stream = await one.ask("wait")
            await until(stream, "echo:")
            stopping = asyncio.create_task(one.server.stop())
            with pytest.raises(openai.APIError, match="being stopped"):
                await text_of(stream)
            await stopping
            one.world.chats.release.set()

    run(body)


def test_a_log_that_is_away_leaves_the_answer_pending() -> None:
    async def body() -> None:
        async with served() as one:

            async def blind(*_: object, **__: object) -> Blind:
                return Blind()

            one.world.log.watch = blind  # type: ignore[method-assign, assignment]
            with pytest.raises(openai.APIError, match="/v1/chat/completions/chatcmpl-"):
                await text_of(await one.ask("wait"))
            one.world.chats.release.set()

    run(body)


def test_a_client_that_does_not_read_is_dropped_with_an_error() -> None:
    async def body() -> None:
        async with served() as one:
            world, reading, sent = one.world, asyncio.Event(), list[bytes]()
            chat = msgspec.json.encode({**ECHO, "messages": [{"role": "user", "content": "wait"}]})
            headers = [(b"authorization", f"Bearer {one.token}".encode()), (b"content-type", b"application/json")]
            scope = {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.1"},
                "http_version": "1.1",
                "method": "POST",
                "path": "/v1/chat/completions",
                "raw_path": b"/v1/chat/completions",
                "query_string": b"",
                "headers": headers,
                "server": ("gateway", 80),
                "scheme": "http",
                "root_path": "",
            }
            requests = [{"type": "http.request", "body": chat, "more_body": False}]

            async def receive() -> dict[str, Any]:
                if not requests:
                    await asyncio.Event().wait()
                return requests.pop()

            async def send(message: dict[str, Any]) -> None:
                sent.append(message.get("body", b""))
                if b"echo:" in sent[-1]:
                    await reading.wait()

            asking = asyncio.create_task(world.gateway.app(scope, receive, send))
            while not (sent and b"echo:" in sent[-1]):
                await world.broker.logs[Domain.SYSTEM].change(0.01)
            run_ = b"".join(sent).split(b'"run":"')[1].split(b'"')[0].decode()
            await announce(world, run_, *[Delta(text="x")] * (WAITING_MAX + 1))
            reading.set()
            await asking
            assert b'"code":"too_slow"' in b"".join(sent)
            assert b"[DONE]" not in b"".join(sent)
            assert world.services.written.following == 0
            world.chats.release.set()

    run(body)
