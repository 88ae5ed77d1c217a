"""The extractive model: quotes and findings only, the same bytes for the same prompt, honest about what it does not know."""

import asyncio
import re

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from adapters.extractive import NOTHING_KNOWN, ExtractiveModel, compose
from contracts.domains import Clearance
from contracts.model import SECTION_CHARS_MAX, Evidence, Prompt, Section
from runtime.text import sentences, words

SECTIONS = (
    Section("summary", "The answer in a few sentences."),
    Section("risks", "What could go wrong."),
    Section("timeline", "How long it takes: phases, dates, milestones."),
    Section("recommendations", "What to do about it."),
)
NOTES = (
    "The portal is feasible by June 2027. The risk of delay is high because billing has no interface. "
    "We should build the invoice interface first. The portal has a budget of 120,000 EUR.",
    "The portal team starts in May 2027 and the pilot of the portal ends in June 2027. We recommend a portal pilot.",
)


def evidence(at: int, text: str, score: float = 0.6) -> Evidence:
    return Evidence(id=f"item-{at}", title=f"Note {at}", text=text, label=Clearance.INTERNAL, score=score)


def prompt(
    question: str = "Is the portal feasible by June?", texts: tuple[str, ...] = NOTES, **more: tuple[str, ...]
) -> Prompt:
    held = tuple(evidence(at, text) for at, text in enumerate(texts, start=1))
    return Prompt(
        role="the team", question=question, sections=SECTIONS, evidence=held, findings=more.get("findings", ())
    )


def lines(text: str) -> list[str]:
    return [line.removeprefix("- ") for line in text.splitlines()]


def test_sections_take_what_belongs_to_them() -> None:
    reply = compose(prompt())
    assert "feasible by June 2027. [1]" in reply.sections["summary"]
    assert any("risk of delay" in line and line.endswith("[1]") for line in lines(reply.sections["risks"]))
    assert any("May 2027" in line and line.endswith("[2]") for line in lines(reply.sections["timeline"]))
    assert any(word in reply.sections["recommendations"] for word in ("should", "recommend"))
    assert set(reply.cited) == {"item-1", "item-2"}
    assert reply.model == "extractive-v1"
    assert 0.5 < reply.confidence <= 0.95


def test_no_sentence_stands_in_two_sections() -> None:
    reply = compose(prompt())
    listed = [line for name in ("risks", "timeline", "recommendations") for line in lines(reply.sections[name])]
    assert len(listed) == len(set(listed))
    assert not any(line in reply.sections["summary"] for line in listed)


def test_findings_are_quoted_exactly_and_come_first() -> None:
    finding = "26.54 % of portal customers left (1,869 of 7,043)."
    reply = compose(prompt("Why do portal customers leave?", findings=(finding,)))
    assert reply.sections["summary"].startswith(f"From 1 computed findings and 2 sources: {finding}")


def test_nothing_known_is_said_and_not_hidden() -> None:
    reply = compose(prompt(texts=()))
    assert set(reply.sections.values()) == {NOTHING_KNOWN}
    assert reply.confidence <= 0.2
    assert reply.cited == ()
    far = Prompt(
        role="x",
        question="Mushroom farming?",
        sections=SECTIONS,
        evidence=(evidence(1, "The portal opens in May 2027.", 0.1),),
    )
    assert compose(far).sections["summary"] == NOTHING_KNOWN
    assert compose(far).confidence <= 0.2


def test_more_of_the_question_met_means_more_confidence() -> None:
    met = compose(prompt("Is the portal feasible?")).confidence
    missed = compose(prompt("Is the portal feasible for elephants in Antarctica?")).confidence
    assert met > missed


def test_the_port_answers_with_the_same_bytes() -> None:
    first = asyncio.run(ExtractiveModel().complete(prompt(), idempotency_key="a"))
    again = asyncio.run(ExtractiveModel().complete(prompt(), idempotency_key="b"))
    assert msgspec.json.encode(first) == msgspec.json.encode(again)


TEXTS = st.lists(st.text(alphabet=st.sampled_from("ab cde.!?\n-#1[]%"), max_size=200), max_size=6)


@given(st.text(max_size=60), TEXTS, st.lists(st.text(max_size=80), max_size=3))
def test_any_prompt_is_answered_whole(question: str, texts: list[str], findings: list[str]) -> None:
    asked = prompt(question, tuple(texts), findings=tuple(findings))
    reply = compose(asked)
    assert list(reply.sections) == [section.name for section in SECTIONS]
    assert all(0 < len(text) <= SECTION_CHARS_MAX for text in reply.sections.values())
    assert 0 <= reply.confidence <= 1
    assert set(reply.cited) <= {one.id for one in asked.evidence}
    assert reply == compose(asked)


def test_sentences_of_markdown() -> None:
    text = "# Head\n\nRevenue grew by 3.5 % (e.g. fibre). It is\nwrapped.\n\n- One **item** here\n- Two\n| a | b |\n"
    assert sentences(text) == ["Revenue grew by 3.5 % (e.g. fibre).", "It is wrapped.", "One item here", "Two"]


@given(st.text(max_size=300))
def test_sentences_invent_nothing(text: str) -> None:
    whole = re.sub(r"\W+", "", text)
    for sentence in sentences(text):
        assert sentence == sentence.strip()
        assert len(re.sub(r"\W+", "", sentence)) <= len(whole)


def test_words_match_across_endings() -> None:
    assert words("Customers were losing contracts") == words("customer lose contract")
