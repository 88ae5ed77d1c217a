"""The extractive model: quotes and findings only, the same bytes for the same prompt, honest about what it does not know."""

import asyncio
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.extractive import NAME, ExtractiveModel, compose
from contracts.domains import Clearance
from contracts.model import NOTHING_KNOWN, SECTION_CHARS_MAX, Evidence, Prompt, Reply, Section, abstains
from deploy.demo.flow import COMPANY
from runtime.model_ports import Call
from runtime.text import plain, sentences, words

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
    assert reply.model == NAME
    assert 0.5 < reply.confidence <= 0.95


def test_a_section_stays_empty_rather_than_hold_what_it_is_not_about() -> None:
    sections = (*SECTIONS[:1], Section("recommended_architecture", "The parts, and how they work together."))
    asked = "Shall we build a customer portal and stop printing paper invoices?"
    notes = (
        "We will stop printing paper invoices for customers.",
        "The customer portal replaces letters.",
        "Printing costs 4 EUR an invoice.",
        "Paper comes from Finland.",
        "A customer reads invoices late.",
        "Build what lasts.",
    )
    reply = compose(msgspec.structs.replace(prompt(asked, notes), sections=sections))
    assert "invoices" in reply.sections["summary"]
    assert abstains(reply.sections["recommended_architecture"])


def test_no_sentence_stands_in_two_sections() -> None:
    reply = compose(prompt())
    listed = [line for name in ("risks", "timeline", "recommendations") for line in lines(reply.sections[name])]
    assert len(listed) == len(set(listed))
    assert not any(line in reply.sections["summary"] for line in listed)


def test_findings_are_quoted_exactly_and_come_first() -> None:
    finding = "26.54 % of portal customers left (1,869 of 7,043)."
    reply = compose(prompt("Why do portal customers leave?", findings=(finding,)))
    assert reply.sections["summary"].startswith(finding)


def test_beside_what_was_computed_a_summary_holds_only_what_speaks_to_the_question() -> None:
    findings = ("278 are at risk.", "What is at risk grows.", "Those at risk have short contracts.")
    asked, stays = (
        "Which customers are most at risk and why?",
        "All customer data stays in data centres in Switzerland.",
    )
    told = "The customers most at risk are small businesses."
    summary = compose(prompt(asked, (stays,), findings=findings)).sections["summary"]
    assert (findings[0] in summary, stays in summary) == (True, False)
    summary = compose(prompt(asked, (stays, told), findings=findings)).sections["summary"]
    assert (findings[0] in summary, told.removesuffix(".") in summary) == (True, True)


def test_that_a_file_could_not_be_used_is_told_first_whatever_was_asked() -> None:
    refused = "Client analysis could not use r.csv: it takes 30 customers of each outcome."
    reply = compose(prompt("Who leaves?", ("Table r.csv with 1 row and 3 columns.",), findings=(refused,)))
    assert reply.sections["summary"].startswith(refused)


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


def test_what_a_tool_computed_for_the_question_is_known_whatever_its_words() -> None:
    finding = "Severity high, 1 of 1 listed: what looks like a secret (AWS Access Key), at app.py:1."
    asked = prompt("Are there passwords in r5src?", (), findings=(finding,))
    assert set(compose(asked).sections.values()) == {NOTHING_KNOWN}
    assert compose(msgspec.structs.replace(asked, computed=True)).sections["summary"] == finding


def test_more_of_the_question_met_means_more_confidence() -> None:
    met = compose(prompt("Is the portal feasible?")).confidence
    missed = compose(prompt("Is the portal feasible for elephants in Antarctica?")).confidence
    assert met > missed


def test_the_port_answers_with_the_same_bytes() -> None:
    first = asyncio.run(ExtractiveModel().complete(prompt(), Call("a")))
    again = asyncio.run(ExtractiveModel().complete(prompt(), Call("b")))
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


def uncited(asked: Prompt, reply: Reply) -> list[str]:
    """What stands in an answer and is neither a marked sentence of evidence, word for word, nor a finding, nor an abstention."""
    left: list[str] = []
    findings = sorted((" ".join(finding.split()) for finding in asked.findings), key=len, reverse=True)
    for name, text in reply.sections.items():
        rest = "" if abstains(text) else text
        for one in sorted((one for one in reply.citations if one.section == name), key=lambda one: -one.sentence.start):
            evidence = asked.evidence[one.number - 1]
            assert one.quote is not None
            assert one.evidence == evidence.id
            assert one.sentence.of(text) == plain(one.quote.of(evidence.text))
            mark = f" [{one.number}]"
            after = text[one.sentence.end :].removeprefix(".")
            assert after.startswith(mark)
            rest = rest[: one.sentence.start] + rest[len(text) - len(after) + len(mark) :]
        for finding in findings:
            rest = rest.replace(finding, "", 1)
        left += rest.replace("-", " ").replace(".", " ").split()
    return left


PROSE = st.lists(
    st.sampled_from(
        (
            "The portal is feasible by June.",
            "It **needs** a\n  budget of 9 EUR.",
            "Its risk is a [late](https://e.example) invoice API.",
            "- We should offer the portal",
            "| a | b |",
            "# A heading",
            "Customers leave because of the price.",
            "Segment: small (208), large (12), other (3)",
            "However, that was in 2026!",
            "CEO on risks: Customers leave because of the price.",
            "33 % of customers left (69 of 208).",
            "the rest of a sentence that was cut off.",
        )
    ),
    max_size=8,
)


@given(st.lists(PROSE, max_size=4), PROSE, st.sampled_from(("\n", "\n\n", " ")))
def test_every_sentence_is_quoted_word_for_word_and_its_place_is_told(
    texts: list[list[str]], findings: list[str], between: str
) -> None:
    asked = prompt("Why do customers leave the portal?", tuple(map(between.join, texts)), findings=tuple(findings))
    reply = compose(asked)
    assert uncited(asked, reply) == []
    assert set(reply.cited) == {one.evidence for one in reply.citations}


@given(st.text(max_size=60), TEXTS, st.lists(st.text(max_size=80), max_size=3))
def test_so_it_is_with_any_text(question: str, texts: list[str], findings: list[str]) -> None:
    asked = prompt(question, tuple(texts), findings=tuple(findings))
    assert uncited(asked, compose(asked)) == []


def company(question: str, score: float = 0.5, findings: tuple[str, ...] = ()) -> tuple[Prompt, Reply]:
    """The demo's company, all of its texts at hand."""
    texts = [path.read_text().split("---", 2)[2] for path in sorted(COMPANY.rglob("*.md"))]
    held = tuple(evidence(at, text, score) for at, text in enumerate(texts, start=1))
    asked = Prompt(role="the team", question=question, sections=SECTIONS, evidence=held, findings=findings)
    return asked, compose(asked)


QUESTIONS = (
    (COMPANY / "question.txt").read_text().strip(),
    "What caused the billing outages in 2026?",
    "Do we have the engineering capacity to build the portal in 2027?",
    "Who are our competitors and how do they undercut us?",
    "What is the budget of the self-service portal?",
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_about_the_company_read_well(question: str) -> None:
    asked, reply = company(question)
    assert uncited(asked, reply) == []
    quoted = [one.sentence.of(reply.sections[one.section]) for one in reply.citations]
    assert len(quoted) >= 4
    assert len({tuple(sorted(set(words(one)))) for one in quoted}) == len(quoted)
    for one in quoted:
        assert not re.match(r"(It|Its|They|Their|This|These|That|However|But|And|So|Of these)\b", one), one
        assert not re.match(r"(Service|Severity|Started|Resolved|Cause): ", one), one
        assert "|" not in one
        assert re.match(r"[A-Z0-9]", one), one


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (QUESTIONS[0], ("leave because", "feasible by the end of Q2 2027 in its reduced scope")),
        (QUESTIONS[1], ("two outages of 225 minutes",)),
        (QUESTIONS[2], ("capacity falls",)),
        (QUESTIONS[3], ("Corvane Telecom undercut our entry price by 12 %",)),
        (QUESTIONS[4], ("120,000 EUR",)),
    ],
)
def test_the_summary_answers_each_part_of_the_question(question: str, expected: tuple[str, ...]) -> None:
    _, reply = company(question)
    assert [part for part in expected if part not in reply.sections["summary"]] == []


def test_what_the_company_says_nothing_about_is_not_answered() -> None:
    for question in ("How do mushrooms grow in Antarctica?", "Which lullabies did Brahms write?", "qwertz?"):
        _, reply = company(question, score=0.1)
        assert set(reply.sections.values()) == {NOTHING_KNOWN}
        assert reply.confidence <= 0.2


def test_what_another_domain_repeats_is_quoted_from_the_evidence_once() -> None:
    said = "Small-business customers leave because routine requests take too long and nothing ties them to us in the first year."
    told = (
        f"Ceo on alignment: {said}",
        f"Ceo on risks: {NOTHING_KNOWN}",
        f"Q4, 2026: {said} (source: exit interviews).",
    )
    asked, reply = company(QUESTIONS[0], findings=told)
    whole = "\n".join(reply.sections.values())
    assert whole.count(said) == 1
    assert "Ceo on" not in whole
    assert NOTHING_KNOWN not in whole
    (citation,) = (one for one in reply.citations if one.sentence.of(reply.sections[one.section]) == said)
    assert said in plain(asked.evidence[citation.number - 1].text)


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
