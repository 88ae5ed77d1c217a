"""Streams of models: whatever pieces they come in, the same is read; what is shown early is what the answer will hold."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.citing import without_unknown
from adapters.openai_wire import Answer, events
from adapters.section_stream import SectionStream
from contracts.chat import Delta
from contracts.domains import Clearance
from contracts.model import Evidence, Prompt, Section
from runtime.errors import OutcomeError
from runtime.text import titled

NAMES = ("summary", "risks")
NOTE = Evidence(id="k", title="t", text="x", label=Clearance.PUBLIC, score=0.5)
PROMPT = Prompt(role="r", question="?", sections=tuple(Section(name, "any") for name in NAMES), evidence=(NOTE,))
TEXT = st.text(st.characters(codec="utf-8"), max_size=40) | st.text("ab [1]2. \n", max_size=40)


def pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in pairwise(places)]


def shown(text: str, cuts: list[int]) -> str:
    told: list[Delta] = []
    stream = SectionStream(PROMPT, told.append)
    for piece in pieces(text, cuts):
        stream(Delta(text=piece))
    return "".join(delta.text for delta in told)


CUTS = st.lists(st.integers(min_value=0, max_value=10_000), max_size=30)


@given(TEXT, TEXT, TEXT, CUTS, st.booleans(), st.sampled_from((None, 2)))
def test_the_text_of_the_sections_is_shown_as_it_comes(
    first: str, second: str, other: str, cuts: list[int], ascii_only: bool, indent: int | None
) -> None:
    answer = {
        "cited": [other, "1"],
        "sections": {"summary": first, "unasked": other, "risks": second},
        "note": {"sections": {"summary": other}},
        "confidence": 0.5,
    }
    text = json.dumps(answer, ensure_ascii=ascii_only, indent=indent)
    first, second = (without_unknown(said, PROMPT.evidence).strip() for said in (first, second))
    expected = f"{titled('summary')}\n{first}\n\n{titled('risks')}\n{second}"
    assert shown(f"```json\n{text}\n```", cuts) == expected


@given(st.text(alphabet='ab{}[]:,"\\u1d8\n', max_size=80), CUTS)
def test_what_is_no_json_is_no_error_here(text: str, cuts: list[int]) -> None:
    assert shown(text, cuts) == shown(text, [])


@given(st.lists(TEXT.map(lambda text: json.dumps({"t": text})), max_size=6), CUTS, st.booleans())
def test_events_are_the_same_in_whatever_pieces_they_come(lines: list[str], cuts: list[int], done: bool) -> None:
    stream = "".join(f": a comment\nevent: x\r\ndata: {line}\n\n" for line in lines) + (
        "data: [DONE]\n\ndata: x\n" if done else ""
    )

    async def read() -> list[str]:
        async def received() -> AsyncIterator[bytes]:
            for piece in pieces(stream, cuts):
                yield piece.encode()

        return [data.decode() async for data in events(received(), "p")]

    assert asyncio.run(read()) == lines


def test_a_tool_call_is_put_together_of_its_parts() -> None:
    told: list[Delta] = []
    answer = Answer("p", "m", 10, told.append)
    parts = (
        '{"index":1,"id":"b","function":{"name":"second","arguments":""}}',
        '{"index":0,"id":"a","function":{"name":"first"}}',
        '{"index":1,"function":{"arguments":"{\\"x\\":"}}',
        '{"index":1,"id":"b","function":{"name":"second","arguments":"1}"}}',
    )
    for part in parts:
        answer.take(
            f'{{"choices":[{{"delta":{{"content":null,"tool_calls":[{part}]}},"finish_reason":null}}]}}'.encode()
        )
    answer.take(b'{"choices":[{"delta":{},"finish_reason":"stop"}]}')
    reply = answer.reply()
    assert [(call.id, call.name, call.arguments) for call in reply.message.tool_calls] == [
        ("a", "first", ""),
        ("b", "second", '{"x":1}'),
    ]
    assert reply.finish_reason == "tool_calls"
    assert [delta.tool_call.id for delta in told if delta.tool_call] == ["b", "a", "", ""]


def test_a_tool_call_without_a_name_is_no_answer() -> None:
    answer = Answer("p", "m", 10, None)
    answer.take(b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a"}]},"finish_reason":"tool_calls"}]}')
    with pytest.raises(OutcomeError, match="without saying which"):
        answer.reply()
