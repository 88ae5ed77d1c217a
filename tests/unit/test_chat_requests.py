"""What a chat in OpenAI's form asks for: everything that we cannot do is refused by its name, what changes nothing is taken."""

from typing import Any

import msgspec
import pytest

from contracts.chat import ChatMessage
from contracts.conversation import EXCHANGE_CHARS_MAX, EXCHANGES_MAX, Exchange
from contracts.openai_chat import CreateChatCompletion
from contracts.raw_chat import EXTRACTIVE
from gateway.chat_requests import (
    INSTRUCTIONS,
    REFUSED,
    REFUSED_BY_AGENTS,
    UnsupportedError,
    for_agent,
    for_model,
    history_of,
)
from gateway.problems import ValidationProblemError

VALUES: dict[str, Any] = {
    "n": 2,
    "logprobs": True,
    "top_logprobs": 3,
    "audio": {"voice": "alloy"},
    "modalities": ["audio"],
    "prediction": {"type": "content"},
    "web_search_options": {"user_location": None},
    "functions": [{"name": "f"}],
    "function_call": "auto",
    "logit_bias": {"50256": -100},
    "frequency_penalty": 0.5,
    "presence_penalty": -1,
    "parallel_tool_calls": False,
    "reasoning_effort": "low",
    "verbosity": "low",
    "service_tier": "priority",
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "tool_choice": "required",
    "stop": "END",
}
NULLS = ["n", "logprobs", "audio", "functions", "logit_bias", "tools", "stop", "tool_choice"]


def chat(*messages: dict[str, Any], **more: Any) -> CreateChatCompletion:
    given = messages or ({"role": "user", "content": "?"},)
    return msgspec.convert({"model": "m", "messages": given, **more}, CreateChatCompletion)


def encoded(**more: Any) -> CreateChatCompletion:
    """As it comes over HTTP: only there are raw values raw."""
    whole = {"model": "m", "messages": [{"role": "user", "content": "?"}], **more}
    return msgspec.json.decode(msgspec.json.encode(whole), type=CreateChatCompletion)


def test_the_parts_of_a_message_are_lines_of_its_text() -> None:
    body = chat({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})
    assert for_model(body).messages == (ChatMessage(role="user", content="a\nb"),)
    assert for_agent(body) == ("a\nb", ())


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_each_is_refused_by_its_name(name: str) -> None:
    for asked in (for_model, for_agent):
        with pytest.raises(UnsupportedError) as refused:
            asked(encoded(**{name: VALUES[name]}))
        assert refused.value.errors[0].field == f"$.{name}"


@pytest.mark.parametrize("name", sorted(REFUSED_BY_AGENTS))
def test_agents_refuse_what_is_their_own_business(name: str) -> None:
    with pytest.raises(UnsupportedError) as refused:
        for_agent(encoded(**{name: VALUES[name]}))
    assert refused.value.errors[0].field == f"$.{name}"


def test_what_changes_nothing_is_taken() -> None:
    harmless = {name: values[0] for name, (values, _) in REFUSED.items() if values}
    assert for_model(encoded(**harmless)).model == "m"
    assert for_agent(encoded(**harmless, **dict.fromkeys(["tools", "stop"], None))) == ("?", ())
    assert for_model(encoded(**dict.fromkeys(NULLS))).tools == ()


USER, CALL = {"role": "user", "content": "q"}, {"id": "c", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([{"role": "user"}], "$.messages[0].content"),
        ([USER, {"role": "tool", "content": "x"}], "$.messages[1].tool_call_id"),
        ([{"role": "user", "content": "x", "tool_call_id": "c"}], "$.messages[0].tool_call_id"),
        ([{"role": "user", "content": "x", "tool_calls": [CALL]}], "$.messages[0].tool_calls"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "$.messages[0].content[0].type"),
    ],
)
def test_a_message_that_is_none_is_named(messages: list[dict[str, Any]], field: str) -> None:
    for asked in (for_model, for_agent):
        with pytest.raises(ValidationProblemError) as refused:
            asked(chat(*messages))
        assert refused.value.errors[0].field == field


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([{"role": "system", "content": "x"}], "$.messages"),
        ([USER, {"role": "assistant", "content": "a"}], "$.messages"),
        ([{"role": "user", "content": " \n"}], "$.messages[0].content"),
        ([{"role": "user", "content": "x" * 8_001}], "$.messages[0].content"),
        ([{"role": "assistant", "tool_calls": [CALL]}, USER], "$.messages[0]"),
    ],
)
def test_an_agent_needs_a_question(messages: list[dict[str, Any]], field: str) -> None:
    with pytest.raises(ValidationProblemError) as refused:
        for_agent(chat(*messages))
    assert refused.value.errors[0].field == field


def test_a_tool_has_to_be_there_to_be_chosen() -> None:
    tool, chosen = VALUES["tools"], {"type": "function", "function": {"name": "f"}}
    assert for_model(encoded(tools=tool, tool_choice=chosen)).tool_choice == "f"
    for more in ({"tool_choice": chosen}, {"tool_choice": "required"}):
        with pytest.raises(ValidationProblemError, match="tools"):
            for_model(encoded(**more))
    listed = [{"type": "function", "function": {"name": "f", "parameters": []}}]
    with pytest.raises(ValidationProblemError, match="JSON Schema"):
        for_model(encoded(tools=listed))


def form(**properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


CITY = form(city={"type": "string"})


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"tools": VALUES["tools"], "tool_choice": "required"}, "$.tool_choice"),
        (
            {"tools": VALUES["tools"], "tool_choice": {"type": "function", "function": {"name": "f"}}},
            "$.tool_choice",
        ),
        ({"messages": [{"role": "system", "content": "x"}]}, "$.messages"),
        ({"response_format": CITY}, "$.response_format.json_schema.schema.properties.city"),
        ({"response_format": {"type": "json_schema"}}, "$.response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": 7}}, "$.response_format.json_schema"),
    ],
)
def test_what_a_quoting_model_cannot_do_is_known_before_it_is_asked(more: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationProblemError) as refused:
        for_model(encoded(**{"model": EXTRACTIVE, **more}))
    assert refused.value.errors[0].field == field
    assert "json_schema" in field or "ask a configured" in refused.value.detail or field == "$.messages"


def test_a_quoting_model_takes_what_it_can_do() -> None:
    for more in (
        {"tools": VALUES["tools"], "tool_choice": "auto"},
        {"response_format": {"type": "json_object"}},
        {"response_format": form(answer={"type": "string"})},
        {"stop": ["x"], "max_tokens": 5},
    ):
        assert for_model(encoded(model=EXTRACTIVE, **more)).model == EXTRACTIVE
    for more in ({"response_format": CITY}, {"tools": VALUES["tools"], "tool_choice": "required"}):
        assert for_model(encoded(**more)).model == "m"


def test_a_tools_result_answers_a_call() -> None:
    call = {"role": "assistant", "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "c", "content": "x"}
    assert len(for_model(chat(USER, call, result)).messages) == 3
    for messages in ((USER, result), (USER, result, call), (USER, call, {**result, "tool_call_id": "d"})):
        with pytest.raises(ValidationProblemError, match="answers no call"):
            for_model(chat(*messages))


def test_a_tool_is_as_strict_as_it_says() -> None:
    tools = [{"type": "function", "function": {"name": "f", **more}} for more in ({"strict": True}, {})]
    assert [tool.strict for tool in for_model(encoded(tools=tools)).tools] == [True, msgspec.UNSET]


def test_what_a_session_remembers_is_bounded_and_keeps_the_instructions() -> None:
    said = [ChatMessage(role="system", content="Be brief.")]
    for number in range(EXCHANGES_MAX + 2):
        said += [ChatMessage(role="user", content=f"q{number}"), ChatMessage(role="assistant", content="x" * 9_999)]
    first, *others = history_of(said)
    assert first == Exchange(INSTRUCTIONS, "Be brief.")
    assert [past.question for past in others] == ["q3", "q4"]
    assert all(len(past.answer) == EXCHANGE_CHARS_MAX for past in others)
    unanswered = history_of([ChatMessage(role="user", content="a"), ChatMessage(role="user", content="b")])
    assert unanswered == (Exchange("a", ""), Exchange("b", ""))
    assert history_of([]) == ()
