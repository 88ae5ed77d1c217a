"""OpenAI's own client and the model that is always there: what it is asked for is kept to, or refused by its name."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from contracts.domains import Clearance
from contracts.raw_chat import EXTRACTIVE
from tests.stack import Stack

NOTES = (
    "Churn in small business rose to 33 % in May. The price change of March cost us 40 of these customers. "
    "The office has a new coffee machine."
)
MESSAGES: Any = [
    {"role": "system", "content": NOTES},
    {"role": "user", "content": "How high is churn in small business, and what did the price change cost us?"},
]
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


class Findings(BaseModel):
    """As people ask for a form: a class."""

    summary: str
    quotes: list[str]
    confidence: float
    follow_up: str | None


class Place(BaseModel):
    city: str


@pytest.fixture(scope="module")
def client(stack: Stack) -> openai.OpenAI:
    token = stack.token("quoted", "sophia_user", clearance=Clearance.INTERNAL)
    return openai.OpenAI(base_url=f"{stack.url}/v1", api_key=token, max_retries=0)


def asked(client: openai.OpenAI, **more: Any) -> tuple[str, str | None]:
    """The answer and why it ended, the same whole and piece by piece."""
    given: Any = {"model": EXTRACTIVE, "messages": MESSAGES, **more}
    whole = client.chat.completions.create(**given).choices[0]
    chunks = list(client.chat.completions.create(**given, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert (text, finishes[-1]) == (whole.message.content, whole.finish_reason)
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == len(text.split())
    return text, whole.finish_reason


def test_bounds_and_stops_are_kept_to(client: openai.OpenAI) -> None:
    whole, finish = asked(client)
    assert finish == "stop"
    for name in ("max_tokens", "max_completion_tokens"):
        text, finish = asked(client, **{name: 15})
        assert (text, finish) == ("Churn in small business rose to 33 % in May. [1]", "length")
    assert asked(client, stop=" The price") == (whole.partition(" The price")[0], "stop")
    assert asked(client, max_completion_tokens=3)[0] == "Churn in small"


def test_json_is_had_and_holds_the_answer(client: openai.OpenAI) -> None:
    found = json.loads(asked(client, response_format={"type": "json_object"})[0])
    assert len(found["quotes"]) == 2
    parsed = client.chat.completions.parse(model=EXTRACTIVE, messages=MESSAGES, response_format=Findings)
    findings = parsed.choices[0].message.parsed
    assert findings is not None
    assert (findings.summary, findings.quotes) == (found["answer"], found["quotes"])
    assert findings.follow_up is None


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "weather"}}}, "tool_choice"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "p", "schema": Place.model_json_schema()},
                }
            },
            "response_format.json_schema.schema.properties.city",
        ),
        ({"messages": [{"role": "system", "content": NOTES}]}, "messages"),
    ],
)
def test_what_it_cannot_do_is_refused_with_the_remedy(
    client: openai.OpenAI, streamed: bool, more: dict[str, Any], param: str
) -> None:
    given: Any = {"model": EXTRACTIVE, "messages": MESSAGES, "stream": streamed, **more}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**given)
    assert (refused.value.type, refused.value.param) == ("invalid_request_error", param)
    assert "ask a configured language model" in refused.value.message or param == "messages"
    assert asked(client, tools=[TOOL], tool_choice="auto")[1] == "stop"


@pytest.mark.parametrize("name", ["sophia", "artemis", "extractive"])
def test_without_a_provider_all_answer_by_quoting(stack: Stack, name: str) -> None:
    token = stack.token("quoting", "cross_domain_user", clearance=Clearance.CONFIDENTIAL)
    client = openai.OpenAI(base_url=f"{stack.url}/v1", api_key=token, max_retries=0)
    question: Any = [{"role": "user", "content": "What do we know of our customers?"}]
    answer: Any = client.chat.completions.create(model=name, messages=question)
    assert answer.choices[0].message.content
    assert answer.diarchy["model"].startswith("extractive")
    chunks = list(client.chat.completions.create(model=name, messages=question, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert client.chat.completions.retrieve(chunks[0].id).choices[0].message.content == text
    assert text
