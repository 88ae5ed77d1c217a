"""OpenAI's own client against the whole running stack, with a provider configured and without one."""

import asyncio
import base64
import json
import math
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletion

from contracts.domains import Clearance
from contracts.users import Role
from tests.model_server import ModelServer
from tests.stack import Stack, ok

MODEL = "maker/test-model:1b"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"text": {"type": "string"}}},
    },
}
CLIENT_S_MAX = 60.0


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def provided(model: ModelServer) -> Iterator[Stack]:
    """A stack whose one provider is the test server."""
    provider = json.dumps([{"name": "test", "base_url": model.url, "model": MODEL}])
    with tempfile.TemporaryDirectory(prefix="diarchy-test-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder), DIARCHY_CHAT=provider)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


def client_of(stack: Stack, *roles: Role, name: str = "ann", **options: Any) -> openai.OpenAI:
    token = stack.token(name, *(roles or ("cross_domain_user",)), clearance=Clearance.CONFIDENTIAL)
    return openai.OpenAI(
        **{"base_url": f"{stack.url}/v1", "api_key": token, "max_retries": 0, "timeout": CLIENT_S_MAX, **options}
    )


def ask(client: openai.OpenAI, text: str, model: str = MODEL, **more: Any) -> ChatCompletion:
    answer: ChatCompletion = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], **more
    )
    return answer


def ours(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.model_extra["diarchy"]
    return found


@contextmanager
def held(model: ModelServer, *, after: int = 0) -> Iterator[Path]:
    """The next call of the model is held, after so many pieces of its answer, until the file that is given exists."""
    with tempfile.TemporaryDirectory() as folder:
        release = Path(folder) / "release"
        model.options.release, model.options.held_after, model.options.hold = release, after, len(model.calls) + 1
        model.hanging.clear()
        try:
            yield release
        finally:
            release.touch()
            model.options.hold = model.options.held_after = 0


@pytest.fixture(scope="module")
def client(provided: Stack) -> openai.OpenAI:
    return client_of(provided)


def test_a_chat_with_a_configured_model(client: openai.OpenAI, model: ModelServer, provided: Stack) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "How are you?"}],
        temperature=0.25,
        max_tokens=50,
        seed=11,
        stop=["END"],
        user="somebody",
    )
    content = answer.choices[0].message.content
    assert content
    assert "How are you?" in content
    assert (answer.model, answer.choices[0].finish_reason) == (MODEL, "stop")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    sent = model.bodies[-1]
    assert (sent["temperature"], sent["max_tokens"], sent["seed"], sent["stop"]) == (0.25, 50, 11, ["END"])
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    run = ours(answer)["run"]
    with provided.client() as admin:
        types = {event["type"] for event in ok(admin.get(f"/v1/runs/{run}"))["events"]}
    assert {"chat.asked.v1", "chat.answered.v1", "runtime.effect.v1"} <= types
    assert client.chat.completions.retrieve(answer.id).choices == answer.choices


@pytest.mark.parametrize("agent", ["sophia", "artemis"])
def test_a_chat_with_an_agent_is_a_session_that_can_go_on(client: openai.OpenAI, provided: Stack, agent: str) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=agent, messages=[{"role": "user", "content": "Which incidents cost us customers?"}]
    )
    first = raw.parse()
    session = ours(first)["session"]
    assert raw.headers["Diarchy-Session"] == session
    assert raw.headers["Diarchy-Label"] == ours(first)["label"]
    assert (first.model, ours(first)["model"]) == (agent, f"test/{MODEL}")
    second = ask(client, "And what did that cost?", agent, metadata={"session": session})
    assert ours(second)["session"] == session
    with provided.client() as admin:
        turns = ok(admin.get(f"/v1/sessions/{session}/messages"))["turns"]
    assert [turn["answer"]["content"] for turn in turns] == [
        second.choices[0].message.content,
        first.choices[0].message.content,
    ]


def test_json_is_had_as_wanted(client: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}}
    answer = ask(client, "Where?", response_format=form)
    assert "city" in json.loads(answer.choices[0].message.content or "")


def test_a_tool_is_called_and_its_result_answered(client: openai.OpenAI, model: ModelServer) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER], tool_choice="auto")
    assert first.choices[0].finish_reason == "tool_calls"
    calls = first.choices[0].message.tool_calls
    assert calls
    call = calls[0]
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"text": messages[0]["content"]})
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    second = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    assert "rain" in (second.choices[0].message.content or "")
    assert model.bodies[-1]["messages"][1]["tool_calls"][0]["id"] == call.id


@pytest.mark.parametrize(("name", "pieces_given"), [(MODEL, 6), ("sophia", 20), ("artemis", 20)])
def test_the_chunks_come_while_it_is_written_and_are_the_recorded_answer(
    provided: Stack, model: ModelServer, name: str, pieces_given: int
) -> None:
    """The model holds the rest of its answer back until the beginning has been read."""
    client = client_of(provided, "artemis_user" if name == "artemis" else "sophia_user")
    with held(model, after=pieces_given) as release:
        stream = client.chat.completions.create(
            model=name,
            messages=[{"role": "user", "content": "Which risks do we run with the customers of the north?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks, text = [], ""
        while not text:
            chunks.append(next(stream))
            text = chunks[-1].choices[0].delta.content or ""
        release.touch()
        chunks += stream
    recorded = client.chat.completions.retrieve(chunks[0].id)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 1
    assert "".join(pieces) == recorded.choices[0].message.content
    *_, finish, usage = chunks
    assert finish.choices[0].finish_reason == "stop"
    assert ours(finish) == ours(recorded)
    assert (usage.choices, usage.usage) == ([], recorded.usage)


def test_a_tool_call_is_streamed(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": "Weather?"}], tools=[WEATHER]
    ) as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls
    assert json.loads(calls[0].function.arguments) == {"text": "Weather?"}
    recorded = client.chat.completions.retrieve(final.id).choices[0].message.tool_calls
    assert recorded
    assert (recorded[0].id, recorded[0].type) == (calls[0].id, "function")


def test_the_asynchronous_client_streams_many_at_once(provided: Stack, client: openai.OpenAI) -> None:
    async def one(many: openai.AsyncOpenAI, number: int) -> tuple[str, str]:
        stream = await many.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"Number {number}?"}], stream=True
        )
        chunks = [chunk async for chunk in stream]
        return chunks[0].id, "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    async def body() -> list[tuple[str, str]]:
        async with openai.AsyncOpenAI(base_url=f"{provided.url}/v1", api_key=client.api_key, max_retries=0) as many:
            return await asyncio.gather(*(one(many, number) for number in range(12)))

    for number, (identity, text) in enumerate(asyncio.run(body())):
        assert f"Number {number}?" in text
        assert client.chat.completions.retrieve(identity).choices[0].message.content == text


def test_embeddings_as_floats_as_base64_and_of_a_list(client: openai.OpenAI) -> None:
    texts = ["Customers leave.", "Kunden gehen.", "The weather is fine."]
    floats = client.embeddings.create(model="auto", input=texts, encoding_format="float")
    assert [one.index for one in floats.data] == [0, 1, 2]
    assert all(math.isclose(math.hypot(*one.embedding), 1, abs_tol=1e-3) for one in floats.data)
    packed = client.embeddings.with_raw_response.create(model=floats.model, input=texts[0], encoding_format="base64")
    vector = json.loads(packed.content)["data"][0]["embedding"]
    unpacked = struct.unpack(f"<{len(floats.data[0].embedding)}f", base64.b64decode(vector))
    assert unpacked == pytest.approx(floats.data[0].embedding, abs=1e-6)
    chosen_by_the_client = client.embeddings.create(model=floats.model, input=texts[0])
    assert chosen_by_the_client.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)
    assert floats.usage.total_tokens > 0
    assert floats.model in [one.id for one in client.models.list()]


def test_the_models_are_listed_and_found(client: openai.OpenAI, provided: Stack) -> None:
    listed = {one.id: one for one in client.models.list()}
    assert {"sophia", "artemis", "test", MODEL, "extractive"} <= set(listed)
    assert (listed["test"].owned_by, listed[MODEL].owned_by) == ("test", "test")
    for name, model in listed.items():
        assert client.models.retrieve(name) == model
    mine = [one.id for one in client_of(provided, "sophia_user").models.list()]
    assert "sophia" in mine
    assert "artemis" not in mine


def told(error: openai.APIStatusError) -> tuple[str | None, str | None, str | None]:
    return error.type, error.param, error.code


def test_each_error_is_the_clients_own(provided: Stack, client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as unknown:
        ask(client_of(provided, api_key="sk-none"), "?")
    assert told(unknown.value)[0] == "authentication_error"
    with pytest.raises(openai.PermissionDeniedError, match="artemis:write"):
        ask(client_of(provided, "sophia_user"), "?", "artemis")
    with pytest.raises(openai.NotFoundError, match="sophia, artemis") as missing:
        ask(client, "?", "gpt-9")
    assert told(missing.value) == ("not_found_error", "model", "model_not_found")
    for raising in (lambda: client.models.retrieve("gpt-9"), lambda: client.models.delete("sophia")):
        with pytest.raises(openai.APIStatusError, match=r"there is no model|allows GET"):
            raising()
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve("chatcmpl-none")
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="gpt-9", input="x")
    with pytest.raises(openai.BadRequestError) as tokens:
        client.embeddings.create(model="auto", input=[[1, 2]])
    assert told(tokens.value)[1] == "input[0]"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"frequency_penalty": 1.5}, "frequency_penalty"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"temperature": 3}, "temperature"),
        ({"extra_body": {"unheard_of": 1}}, "unheard_of"),
        ({"model": "sophia", "tools": [WEATHER]}, "tools"),
        ({"model": "artemis", "response_format": {"type": "json_object"}}, "response_format"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
            "messages[0].content[0].type",
        ),
        ({"metadata": {"session": "sophia-unknown"}}, "metadata.session"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name(client: openai.OpenAI, more: dict[str, Any], param: str) -> None:
    chat: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "?"}], **more}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**chat)
    assert told(refused.value)[:2] == ("invalid_request_error", param)
    assert refused.value.message


def test_what_harms_nothing_is_taken(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="sophia",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Who are "}, {"type": "text", "text": "we?"}]},
        ],
        n=1,
        temperature=0.9,
        top_p=0.5,
        max_completion_tokens=10,
        presence_penalty=0,
        logprobs=False,
        store=True,
        service_tier="auto",
        parallel_tool_calls=True,
        metadata={"team": "mine"},
    )
    assert answer.choices[0].message.content


def test_too_many_requests_are_told_when_to_come_again() -> None:
    environment = {"DIARCHY_LIMITS_REQUESTS_PER_MINUTE_MAX": "2"}
    with tempfile.TemporaryDirectory(prefix="diarchy-test-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder), **environment)
        try:
            stack.start()
            client = client_of(stack)
            assert ask(client, "one", "extractive").choices
            assert ask(client, "two", "extractive").choices
            with pytest.raises(openai.RateLimitError) as refused:
                ask(client, "three", "extractive")
        finally:
            stack.stop()
    assert int(refused.value.response.headers["retry-after"]) > 0


def test_a_repeat_under_its_key_is_paid_for_once(client: openai.OpenAI, model: ModelServer) -> None:
    key = {"Idempotency-Key": "paid-once"}
    before = len(model.calls)
    first, second = (ask(client, "Once?", extra_headers=key) for _ in range(2))
    assert first == second
    assert len(model.calls) == before + 1
    with pytest.raises(openai.BadRequestError) as reused:
        ask(client, "Something else?", extra_headers=key)
    assert told(reused.value)[2] == "key_reused"


def test_a_client_that_ran_out_of_time_repeats_by_itself_and_asks_once(provided: Stack, model: ModelServer) -> None:
    """The model's answer is held back; the client gives up, comes again with its key, and finds the same run."""
    sent = threading.Semaphore(0)
    hooks = {"request": [lambda _request: sent.release()]}
    patient = client_of(provided, timeout=1.0, max_retries=30, http_client=httpx2.Client(event_hooks=hooks))
    before = len(model.calls)

    async def body() -> ChatCompletion:
        with held(model) as release:
            key = {"Idempotency-Key": "slow"}
            asking = asyncio.create_task(asyncio.to_thread(ask, patient, "Slow?", extra_headers=key))
            for _ in range(3):
                await asyncio.to_thread(sent.acquire)
            release.touch()
            return await asking

    answer = asyncio.run(body())
    assert "Slow?" in (answer.choices[0].message.content or "")
    assert len(model.calls) == before + 1


@pytest.mark.parametrize("name", [MODEL, "sophia"])
def test_a_chat_stops_at_its_budget(client: openai.OpenAI, model: ModelServer, name: str) -> None:
    before = len(model.calls)
    with pytest.raises(openai.BadRequestError, match="budget of 1 tokens") as stopped:
        ask(client, "Which customers leave us, and why?", name, metadata={"tokens_max": "1"})
    assert stopped.value.response.headers["x-should-retry"] == "false"
    assert told(stopped.value) == ("invalid_request_error", "metadata.tokens_max", "budget_exceeded")
    assert len(model.calls) == before


def test_what_a_provider_refuses_is_the_clients_bad_request(client: openai.OpenAI, model: ModelServer) -> None:
    model.options.failures = [(400, {}, '{"error": {"message": "this model takes no tools"}}')]
    with pytest.raises(openai.BadRequestError, match="this model takes no tools") as refused:
        ask(client, "Weather?", tools=[WEATHER])
    assert told(refused.value)[2] == "refused_by_provider"


def test_a_model_that_answers_agents_unusably_is_stood_in_for_by_quoting(
    client: openai.OpenAI, model: ModelServer
) -> None:
    """What is no answer in sections, and too little to be put into them."""
    prose = {"choices": [{"message": {"role": "assistant", "content": "It is fine."}, "finish_reason": "stop"}]}
    model.options.failures = [(200, {}, json.dumps(prose))] * 10
    try:
        answer = ask(client, "What do we know of our customers?", "artemis")
    finally:
        model.options.failures = []
    assert answer.choices[0].message.content
    assert ours(answer)["model"].startswith("extractive")
    assert answer.usage is not None
