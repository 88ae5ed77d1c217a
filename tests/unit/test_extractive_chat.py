"""A chat with the quoting model: bounds, stops and forms are kept to, whole and piece by piece alike."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from adapters.extractive_chat import ABOUT, NOTHING_MET, ExtractiveChat
from contracts.chat import ChatMessage, ChatReply, ChatRequest, Delta, ResponseFormat, ToolSpec
from contracts.model import Allowance
from contracts.raw_chat import EXTRACTIVE
from runtime.errors import AllowanceError, OutcomeError
from runtime.model_ports import Call

NOTES = (
    "Churn in small business rose to 33 % in May. The price change of March cost us 40 of these customers. "
    "The office has a new coffee machine."
)
QUESTION = ChatMessage(
    role="user", content="How high is churn in small business, and what did the price change cost us?"
)
MESSAGES = (ChatMessage(role="system", content=NOTES), QUESTION)
JSON = ResponseFormat(type="json_object")


def ask(messages: tuple[ChatMessage, ...] = MESSAGES, allowance: Allowance | None = None, **more: Any) -> ChatReply:
    """The answer, which is the same when it is told piece by piece."""
    request = ChatRequest(model=EXTRACTIVE, messages=messages, **more)
    deltas: list[Delta] = []
    reply = asyncio.run(ExtractiveChat().chat(request, Call("k", deltas.append, allowance)))
    assert "".join(delta.text for delta in deltas) == reply.message.content
    assert reply.usage.output_tokens == len(reply.message.content.split())
    return reply


def text(**more: Any) -> str:
    return ask(**more).message.content


def words(quoted: str) -> int:
    return len(quoted.split())


WHOLE = text()
QUOTED = WHOLE.removeprefix(f"{ABOUT}\n\n")
FIRST = QUOTED.partition(" [1]")[0] + " [1]"


def test_the_whole_answer_says_what_it_is_and_quotes() -> None:
    assert ABOUT in WHOLE
    assert QUOTED != WHOLE
    assert FIRST.removesuffix(" [1]") in NOTES
    assert words(FIRST) < words(QUOTED)


def test_a_bound_leaves_whole_sentences_or_what_fits_of_the_first() -> None:
    assert text(tokens_max=words(WHOLE)) == WHOLE
    for bound, left, finish in (
        (words(WHOLE) - 1, QUOTED, "stop"),
        (words(QUOTED), QUOTED, "stop"),
        (words(QUOTED) - 1, FIRST, "length"),
        (words(FIRST), FIRST, "length"),
        (words(FIRST) - 1, FIRST.removesuffix(" [1]"), "length"),
        (words(FIRST) - 2, " ".join(FIRST.split()[:-2]), "length"),
        (1, FIRST.split()[0], "length"),
    ):
        reply = ask(tokens_max=bound)
        assert (reply.message.content.strip(), reply.finish_reason) == (left, finish)


def test_it_ends_before_what_it_shall_stop_at() -> None:
    assert text(stop=("never said",)) == WHOLE
    assert text(stop=("",)) == WHOLE
    assert text(stop=(" [1]",)) == f"{ABOUT}\n\n{FIRST.removesuffix(' [1]')}"
    assert text(stop=("\n",)) == QUOTED, "what it says of itself is left out where it holds the stop"
    assert text(stop=("This", FIRST.split()[1])) == FIRST.split()[0] + " "
    reply = ask(stop=(QUOTED,))
    assert (reply.message.content, reply.finish_reason) == ("", "stop")


def test_json_holds_the_answer_and_stays_whole() -> None:
    found = json.loads(text(response_format=JSON))
    assert found["answer"] == QUOTED
    assert all(quote in NOTES for quote in found["quotes"])
    assert (found["found"], found["model"][:10]) == (True, "extractive")
    shorter = ask(response_format=JSON, tokens_max=words(FIRST) + 1)
    assert (json.loads(shorter.message.content)["answer"], shorter.finish_reason) == (FIRST, "length")
    assert json.loads(text(response_format=JSON, stop=(" rose",)))["quotes"]
    nothing = json.loads(text(messages=(QUESTION,), response_format=JSON))
    assert (nothing["answer"], nothing["quotes"], nothing["found"]) == (NOTHING_MET, [], False)
    schema = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}
    form = ResponseFormat(type="json_schema", json_schema=Raw(json.dumps({"name": "x", "schema": schema}).encode()))
    assert json.loads(text(response_format=form)) == {"summary": QUOTED}


@given(
    st.integers(1, 80),
    st.lists(st.sampled_from(["churn", "\n", ".", " ", '"', "[1]", "0", "small business"]), max_size=3),
    st.booleans(),
)
def test_no_bound_and_no_stop_is_ever_passed(tokens_max: int, stop: list[str], as_json: bool) -> None:
    reply = ask(tokens_max=tokens_max, stop=tuple(stop), response_format=JSON if as_json else None)
    content = reply.message.content
    assert words(content) <= tokens_max
    said = json.loads(content) if as_json else {"answer": content, "quotes": []}
    assert not any(one in part for one in stop for part in (said["answer"], *said["quotes"]))


def test_what_it_cannot_do_has_failed_for_good() -> None:
    tool = ToolSpec(name="weather")
    assert ask(tools=(tool,), tool_choice="auto").message.content == WHOLE
    for choice in ("required", "weather"):
        with pytest.raises(OutcomeError, match="calls no tools"):
            ask(tools=(tool,), tool_choice=choice)
    with pytest.raises(OutcomeError, match="nothing is asked"):
        ask(messages=MESSAGES[:1])
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = ResponseFormat(type="json_schema", json_schema=Raw(json.dumps({"schema": schema}).encode()))
    with pytest.raises(OutcomeError, match="response_format"):
        ask(response_format=form)
    with pytest.raises(AllowanceError):
        ask(allowance=Allowance(tokens=5))
