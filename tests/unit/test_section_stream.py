"""What is shown of an answer in sections while it is written is the beginning of what is recorded, whatever the model writes."""

import json
from collections.abc import Sequence
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters import section_stream
from adapters.citing import without_unknown
from adapters.openai_prompt import reply_to
from adapters.section_stream import SectionStream, sure_chars
from contracts.chat import ChatMessage, ChatReply, Delta
from contracts.domains import Clearance
from contracts.model import SECTION_CHARS_MAX, Evidence, Prompt, Section
from runtime.errors import OutcomeError
from runtime.text import titled

PROMPT = Prompt(
    role="r",
    question="q",
    sections=(Section("summary", "What."), Section("next_steps", "How."), Section("risks", "Why not.")),
    evidence=(Evidence(id="e", title="t", text="x", label=Clearance.PUBLIC, score=0.5),),
)
WRITTEN = st.lists(
    st.sampled_from(
        [
            "Fine.",
            " ",
            "\n",
            "[1]",
            "[9]",
            " [12]",
            "[",
            "]",
            "7",
            "ü",
            "\U0001f701",
            '"',
            "\\",
            "long " * 300,
            "x" * 2_100,
            ",;: " * 70,
            " " * 900,
        ]
    ),
    max_size=12,
).map("".join)


def shown(whole: str, cuts: int) -> str:
    deltas: list[Delta] = []
    stream = SectionStream(PROMPT, deltas.append)
    for at in range(0, len(whole), cuts):
        stream(Delta(text=whole[at : at + cuts]))
    assert all(delta.text for delta in deltas)
    return "".join(delta.text for delta in deltas)


def recorded(whole: str) -> str | None:
    message = ChatMessage(role="assistant", content=whole)
    try:
        reply = reply_to(PROMPT, ChatReply(message=message, finish_reason="stop", model="m"), "p")
    except OutcomeError:
        return None
    return "\n\n".join(f"{titled(name)}\n{text}" for name, text in reply.sections.items())


def answer(sections: dict[str, str]) -> str:
    return json.dumps({"sections": sections, "cited": [], "confidence": 0.5})


BEFORE = st.sampled_from(["", " ", "```json\n", "Here it is: ", '<think>{"sections": {"summary": "A draft."}}</think>'])
AFTER = st.sampled_from(["", "\n```", " I hope that helps.", ' {"sections": {}}'])


@settings(max_examples=300, deadline=None)
@given(
    st.permutations(["summary", "next_steps", "risks"]),
    st.tuples(WRITTEN, WRITTEN, WRITTEN),
    st.tuples(BEFORE, AFTER),
    st.integers(1, 40),
)
def test_it_is_always_the_beginning(
    order: list[str], texts: tuple[str, str, str], around: tuple[str, str], cuts: int
) -> None:
    whole = around[0] + answer(dict(zip(order, texts, strict=True))) + around[1]
    kept = recorded(whole)
    if kept is not None:
        assert kept.startswith(shown(whole, cuts))


def test_an_answer_is_read_whatever_stands_around_it() -> None:
    sections = {"summary": "Fine.", "next_steps": "Go on.", "risks": "None."}
    kept = recorded(answer(sections))
    assert kept is not None
    for before in ("```json\n", "Here it is: ", '<think>{"sections": {"summary": "A draft."}}</think>'):
        for after in ("", "\n```", " I hope that helps {}."):
            assert recorded(before + answer(sections) + after) == kept
    assert recorded("[" * 100_000 + "{" * 100_000) is None


def test_all_of_it_is_shown_where_nothing_is_in_doubt() -> None:
    whole = answer({"summary": " Fine. [1] So [9] be it in 2024 ", "next_steps": "a [1]", "risks": "none\n"})
    assert (
        shown(whole, 3)
        == recorded(whole)
        == ("## Summary\nFine. [1] So be it in 2024\n\n## Next steps\na [1]\n\n## Risks\nnone")
    )


def test_behind_a_text_that_is_cut_nothing_more_is_shown() -> None:
    whole = answer({"summary": "word " * SECTION_CHARS_MAX, "next_steps": "a", "risks": "b"})
    kept = recorded(whole)
    assert kept is not None
    for cuts in (1, 100, len(whole)):
        seen = shown(whole, cuts)
        assert kept.startswith(seen)
        assert "Next steps" not in seen
        assert len(seen) > SECTION_CHARS_MAX - 20


LONG = st.lists(
    st.sampled_from(
        ["word " * 400, "x" * 3_000, " " * 3_000, "\n" * 500, "[" * 500, "7" * 900, " [9]" * 300, ",;: " * 500, "é"]
    ),
    min_size=1,
    max_size=12,
).map("".join)


@settings(max_examples=150, deadline=None)
@given(LONG, st.booleans(), st.sampled_from([1, 2, 7, 400, 50_000]))
def test_each_character_is_looked_at_a_few_times_however_long_the_text(text: str, escaped: bool, cuts: int) -> None:
    scanned: list[int] = []

    def unknown(text: str, evidence: Sequence[Evidence]) -> str:
        scanned.append(len(text))
        return without_unknown(text, evidence)

    def sure(text: str, whole_from: int, chars_max: int) -> int:
        scanned.append(len(text))
        return sure_chars(text, whole_from, chars_max)

    whole = json.dumps(
        {"sections": {"summary": text, "next_steps": "a", "risks": "b"}, "confidence": 0.5}, ensure_ascii=escaped
    )
    with patch.object(section_stream, "without_unknown", unknown), patch.object(section_stream, "sure_chars", sure):
        seen = shown(whole, cuts)
    kept = recorded(whole)
    assert kept is None or kept.startswith(seen)
    assert sum(scanned) <= 4 * len(text) + 40
