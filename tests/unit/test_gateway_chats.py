"""Chats in OpenAI's form over the kernel in memory: what becomes of the messages, sessions, keys, clearance, errors."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from contracts.domains import Clearance
from contracts.model import Allowance
from tests.gateway_world import SETTINGS, World, run

JSON = dict[str, Any]
PATH = "/v1/chat/completions"


def said(*texts: str, model: str = "sophia", **more: Any) -> JSON:
    """A chat of these texts, the user's and the assistant's in turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"model": model, "messages": messages, **more}


def content(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def error(answer: httpx.Response, status: int) -> JSON:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: JSON = answer.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return found


async def asked(ann: httpx.AsyncClient, run_: str) -> JSON:
    """The recorded question of a run."""
    events = (await ann.get("/v1/events", params={"correlation": run_, "limit": 50})).json()["events"]
    return next(event["body"] for event in events if event["type"].endswith(".asked.v1"))


def test_a_chat_with_sophia_is_a_session() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            answer = await ann.post(PATH, json=said("why?"))
            whole = answer.json()
            assert content(answer) == "echo: why?"
            assert (whole["object"], whole["model"], whole["choices"][0]["finish_reason"]) == (
                "chat.completion",
                "sophia",
                "stop",
            )
            ours = whole["diarchy"]
            assert ours["run"] == answer.headers["Diarchy-Correlation-Id"] == whole["id"].removeprefix("chatcmpl-")
            assert ours["session"] == answer.headers["Diarchy-Session"]
            assert ours["label"] == answer.headers["Diarchy-Label"] == "confidential"
            assert (ours["confidence"], ours["model"], ours["team"]) == (0.5, "echo", "business_insight")
            assert [one["id"] for one in ours["evidence"]] == ["e"]
            turns = (await ann.get(f"/v1/sessions/{ours['session']}/messages")).json()["turns"]
            assert [turn["question"] for turn in turns] == ["why?"]

    run(body)


def test_a_whole_chat_becomes_the_memory_of_a_new_session() -> None:
    async def body() -> None:
        async with World() as world, world.client("artemis_user") as ann:
            chat = said("first?", "one", "second?", "two", "third?", "three", "fourth?", model="artemis")
            chat["messages"].insert(0, {"role": "system", "content": "Be brief."})
            first = await ann.post(PATH, json=chat)
            question = await asked(ann, first.headers["Diarchy-Correlation-Id"])
            assert question["text"] == "fourth?"
            assert [tuple(past.values()) for past in question["history"]] == [
                ("What should you keep in mind?", "Be brief."),
                ("second?", "two"),
                ("third?", "three"),
            ]
            again = await ann.post(PATH, json=chat)
            assert again.headers["Diarchy-Session"] != first.headers["Diarchy-Session"]

    run(body)


def test_a_named_session_goes_on_and_only_the_last_message_counts() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            first = await ann.post(PATH, json=said("first?"))
            session = first.headers["Diarchy-Session"]
            metadata = {"session": session}
            second = await ann.post(PATH, json=said("invented", "never said", "second?", metadata=metadata))
            assert second.headers["Diarchy-Session"] == session
            question = await asked(ann, second.headers["Diarchy-Correlation-Id"])
            assert [tuple(past.values()) for past in question["history"]] == [("first?", "echo: first?")]
            third = await ann.post(PATH, json=said("third?"), headers={"Diarchy-Session": session})
            assert third.headers["Diarchy-Session"] == session
            turns = (await ann.get(f"/v1/sessions/{session}/messages")).json()["turns"]
            assert [turn["question"] for turn in turns] == ["third?", "second?", "first?"]
            both = await ann.post(PATH, json=said("?", metadata=metadata), headers={"Diarchy-Session": "sophia-x"})
            assert error(both, 400)["param"] == "metadata.session"
            assert error(await ann.post(PATH, json=said("?", metadata={"session": "sophia-x"})), 404)
            async with world.client("cross_domain_user", name="bob") as bob:
                assert error(await bob.post(PATH, json=said("?", metadata=metadata)), 404)
            async with world.client("cross_domain_user") as other:
                wrong = await other.post(PATH, json=said("?", model="artemis", metadata=metadata))
                assert error(wrong, 400)["param"] == "model"
                raw = await other.post(PATH, json=said("?", model="echo", metadata=metadata))
                assert error(raw, 400)["param"] == "metadata.session"

    run(body)


def test_a_raw_chat_is_recorded_as_asked_and_answered() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            chat = said("hello", model="echo", temperature=0.5, max_tokens=9, stop="end", seed=7)
            chat["response_format"] = {"type": "json_object"}
            answer = await ann.post(PATH, json=chat)
            whole = answer.json()
            assert (content(answer), whole["model"]) == ("echo: hello", "echo")
            assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
            assert whole["diarchy"] == {
                "run": whole["id"].removeprefix("chatcmpl-"),
                "label": "confidential",
                "model": "echo-1",
            }
            seen = (await ann.get(f"/v1/runs/{whole['diarchy']['run']}")).json()["events"]
            assert {"chat.asked.v1", "runtime.effect.v1", "chat.answered.v1"} <= {event["type"] for event in seen}
            assert {event["label"] for event in seen} == {"confidential"}
            question = await asked(ann, whole["diarchy"]["run"])
            assert question["request"]["temperature"] == 0.5
            request = world.chats.asked[0]
            assert (request.tokens_max, request.stop, request.seed) == (9, ("end",), 7)
            assert request.response_format is not None
            assert request.response_format.type == "json_object"

    run(body)


def test_tools_go_there_and_back() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            schema = {"type": "object", "properties": {"city": {"type": "string"}}}
            tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}
            chat = said(
                "Oslo?", model="echo", tools=[tool], tool_choice={"type": "function", "function": {"name": "weather"}}
            )
            choice = (await ann.post(PATH, json=chat)).json()["choices"][0]
            assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
            call = choice["message"]["tool_calls"][0]
            assert call["function"] == {"name": "weather", "arguments": '{"city": "Oslo"}'}
            assert msgspec.json.decode(world.chats.asked[0].tools[0].parameters) == schema
            assert world.chats.asked[0].tool_choice == "weather"
            chat["messages"] += [choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "rain"}]
            assert content(await ann.post(PATH, json=chat)) == "echo: rain"
            assert world.chats.asked[1].messages[1].tool_calls[0].arguments == '{"city": "Oslo"}'

    run(body)


def test_a_key_asks_once_whatever_it_is_used_for() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            key = {"Idempotency-Key": "k"}
            first, second = [await ann.post(PATH, json=said("hi", model="echo"), headers=key) for _ in range(2)]
            assert first.json() == second.json()
            assert len(world.chats.asked) == 1
            for other in (said("other", model="echo"), said("hi", model="sophia"), said("hi", model="artemis")):
                assert error(await ann.post(PATH, json=other, headers=key), 400)["code"] == "key_reused"
            session = (await ann.post(PATH, json=said("begun"))).headers["Diarchy-Session"]
            named = said("hi", metadata={"session": session})
            assert error(await ann.post(PATH, json=named, headers=key), 400)["code"] == "key_reused"
            inside = {"Idempotency-Key": "inside"}
            once, twice = [await ann.post(PATH, json=named, headers=inside) for _ in range(2)]
            assert once.json() == twice.json()
            assert error(await ann.post(PATH, json=said("hi"), headers=inside), 400)["code"] == "key_reused"

    run(body)


def test_what_rests_on_more_than_the_reader_may_see_is_not_told() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            for stream in (False, True):
                answer = await ann.post(PATH, json=said("leak", stream=stream))
                assert "echo" not in answer.text
                assert "above your clearance" in answer.text
            mine = await ann.post(PATH, json=said("q", model="echo", metadata={"confidentiality": "public"}))
            assert mine.json()["diarchy"]["label"] == "public"
            over = await ann.post(PATH, json=said("q", metadata={"confidentiality": "top_secret"}))
            assert error(over, 403)["type"] == "permission_error"
            odd = await ann.post(PATH, json=said("q", metadata={"confidentiality": "odd"}))
            assert error(odd, 400)["param"] == "metadata.confidentiality"

    run(body)


def test_a_chat_has_the_budget_that_it_names() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            for name in ("sophia", "echo"):
                named = {"tokens_max": "5000", "cost_max": "0.25"}
                answer = await ann.post(PATH, json=said("q", model=name, metadata=named))
                question = await asked(ann, answer.headers["Diarchy-Correlation-Id"])
                assert question["budget"] == {"tokens": 5_000, "cost_micros": 250_000}
                for field, value in (("tokens_max", "0"), ("cost_max", "much")):
                    wrong = await ann.post(PATH, json=said("q", model=name, metadata={**named, field: value}))
                    assert error(wrong, 400)["param"] == f"metadata.{field}"

    run(body)


def test_a_failure_for_good_is_not_to_be_repeated() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            for chat, status, why in (
                (said("refuse", model="echo"), 502, "it would not"),
                (said("fail"), 502, "the model refused"),
                (said("poison"), 500, "dead letter"),
            ):
                answer = await ann.post(PATH, json=chat)
                run_ = answer.headers["Diarchy-Correlation-Id"]
                for told in (answer, await ann.get(f"{PATH}/chatcmpl-{run_}")):
                    assert why in error(told, status)["message"]
                    assert told.headers["x-should-retry"] == "false"

    run(body)


def test_who_can_do_something_about_a_failure_is_told_by_its_code() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            refused = said("refuse: nonsense", model="echo")
            few = said("pay for it", metadata={"tokens_max": "150"})
            cheap = said("pay for it", metadata={"cost_max": "0.01"})
            for chat, code, param in (
                (refused, "refused_by_provider", None),
                (few, "budget_exceeded", "metadata.tokens_max"),
                (cheap, "budget_exceeded", "metadata.cost_max"),
            ):
                answer = await ann.post(PATH, json=chat)
                run_ = answer.headers["Diarchy-Correlation-Id"]
                for told in (answer, await ann.get(f"{PATH}/chatcmpl-{run_}")):
                    why = error(told, 400)
                    assert (why["type"], why["code"], why["param"]) == ("invalid_request_error", code, param)
                    assert told.headers.get("x-should-retry", "false") == "false"
                streamed = await ann.post(PATH, json={**chat, "stream": True})
                assert f'"code":"{code}"' in streamed.text

    run(body)


@pytest.mark.parametrize("metadata", [{}, {"cost_max": "100"}])
def test_a_budget_that_the_settings_bound_is_not_the_askers_fault(metadata: dict[str, str]) -> None:
    async def body() -> None:
        settings = msgspec.structs.replace(SETTINGS, budget=Allowance(tokens=150))
        async with World(settings) as world, world.client("sophia_user") as ann:
            stopped = error(await ann.post(PATH, json=said("pay for it", metadata=metadata)), 502)
            assert (stopped["type"], stopped["code"], stopped["param"]) == ("server_error", "budget_exceeded", None)
            own = await ann.post(PATH, json=said("pay for it", metadata={"tokens_max": "160"}))
            assert error(own, 400)["param"] == "metadata.tokens_max"

    run(body)


def test_an_answer_that_takes_too_long_is_there_later_under_its_key() -> None:
    async def body() -> None:
        settings = msgspec.structs.replace(SETTINGS, wait_s=0.01, wait_s_max=0.05)
        async with World(settings) as world, world.client("sophia_user") as ann:
            late = await ann.post(PATH, json=said("wait", model="echo"))
            assert error(late, 504)["code"] == "pending"
            assert late.headers["x-should-retry"] == "false"
            key = {"Idempotency-Key": "k"}
            late = await ann.post(PATH, json=said("wait for it", model="echo"), headers=key)
            assert (error(late, 504)["type"], late.headers["x-should-retry"]) == ("server_error", "true")
            world.chats.release.set()
            run_ = late.headers["Diarchy-Correlation-Id"]
            while (
                answer := await ann.post(PATH, json=said("wait for it", model="echo"), headers=key)
            ).status_code != 200:
                pass  # The request itself waits.
            assert content(answer) == "echo: wait for it"
            assert answer.headers["Diarchy-Correlation-Id"] == run_

    run(body)


def test_a_raw_chat_is_cancelled_as_any_run() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            waiting = asyncio.create_task(ann.post(PATH, json=said("wait", model="echo")))
            await world.chats.half.wait()
            events = (await ann.get("/v1/events", params={"limit": 50})).json()["events"]
            accepted = await ann.post(f"/v1/runs/{events[0]['correlation']}/cancel", json={"reason": "enough"})
            assert accepted.status_code == 202
            assert "cancelled: enough" in error(await waiting, 502)["message"]

    run(body)


def test_every_error_of_these_paths_has_openais_form() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann, world.client() as nobody:
            unknown = error(await ann.post(PATH, json=said("q", model="gpt-9")), 404)
            assert (unknown["param"], unknown["code"]) == ("model", "model_not_found")
            assert "echo" in unknown["message"]
            assert error(await nobody.post(PATH, json=said("q")), 401)["type"] == "authentication_error"
            assert error(await ann.post(PATH, json=said("q", model="artemis")), 403)["type"] == "permission_error"
            assert error(await ann.post(PATH, json=said("q", foo=1)), 400)["param"] == "foo"
            assert error(await ann.post(PATH, content=b"{", headers={"Content-Type": "application/json"}), 400)
            assert error(await ann.post(PATH, content=b"{}"), 415)
            assert error(await ann.get(PATH), 405)
            assert error(await ann.delete("/v1/models/sophia"), 405)
            assert error(await ann.get("/v1/models/a/b"), 404)["code"] == "model_not_found"

    run(body)


def test_what_may_stand_in_a_field_is_told_and_what_is_elsewhere_where() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            chat = said("q", model="echo")
            for more, param, told in (
                (
                    {"messages": [{"role": "function"}]},
                    "messages[0].role",
                    "one of assistant, developer, system, tool, user",
                ),
                ({"response_format": {"type": "xml"}}, "response_format.type", "one of json_object, json_schema, text"),
                ({"tool_choice": "any"}, "tool_choice", "one of auto, none, required"),
                ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.type", "must be function"),
            ):
                refused = error(await ann.post(PATH, json={**chat, **more}), 400)
                assert (refused["param"], told in refused["message"]) == (param, True)
                assert refused["message"].startswith(f"{param}: ")
            for path, told in (("/models", "base URL end in /v1"), ("/v1/responses", "/v1/chat/completions")):
                assert told in error(await ann.get(path), 404)["message"]
            assert (await ann.get("/v1/nothing")).headers["content-type"] == "application/problem+json"
            vectors = await ann.post("/v1/embeddings", json={"model": "echo", "input": "x"})
            assert error(vectors, 404)["param"] == "model"

    run(body)


def test_a_chat_is_worked_on_before_the_read_models_know_it() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann, world.client("sophia_user", name="bob") as bob:
            for model in ("echo", "sophia"):
                answer = (await ann.post(PATH, json=said("hi", model=model))).json()
                path = f"{PATH}/{answer['id']}"
                world.reads.behind = True
                assert error(await ann.get(path), 409)["code"] == "pending"
                assert error(await bob.get(path), 404)["code"] == "not_found"
                assert error(await ann.get(f"{PATH}/chatcmpl-none"), 404)["code"] == "not_found"
                world.reads.behind = False
                assert (await ann.get(path)).json() == answer

    run(body)


def test_the_models_are_those_that_one_may_use() -> None:
    async def body() -> None:
        async with World() as world:

            async def listed(*roles: Any) -> list[tuple[str, str]]:
                async with world.client(*roles) as ann:
                    models = (await ann.get("/v1/models")).json()
                    for model in models["data"]:
                        assert (await ann.get(f"/v1/models/{model['id']}")).json() == model
                    return [(model["id"], model["kind"]) for model in models["data"]]

            embed = [("all-minilm", "embedding"), ("mxbai-embed-large", "embedding")]
            sophia, artemis, echo = ("sophia", "agent"), ("artemis", "agent"), ("echo", "chat")
            assert await listed("sophia_user") == [sophia, echo, *embed]
            assert await listed("cross_domain_user") == [sophia, artemis, echo, *embed]
            assert await listed("read_only") == embed

    run(body)


def test_the_asker_is_cleared_for_his_own_words_only_as_far_as_he_is() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user", clearance=Clearance.INTERNAL) as ann:
            answer = await ann.post(PATH, json=said("told", "before", "now?"))
            assert answer.json()["diarchy"]["label"] == "internal"
            events = (await ann.get("/v1/events", params={"limit": 50})).json()["events"]
            assert {event["label"] for event in events} == {"internal"}

    run(body)
