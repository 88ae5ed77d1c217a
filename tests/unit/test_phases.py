"""The typed items of an analysis, and the verdict on feasibility, read from sections and citations."""

from datetime import date

import pytest

from actors.artemis.verdict import feasibility
from actors.sophia.phases import REQUIREMENTS, asked_for, of_recommendations, of_requirements
from actors.sophia.teams import SOPHIA_TEAMS
from actors.team import called
from adapters.extractive import compose
from contracts.analysis import Phase, PhaseResult, Recommendation, Requirement
from contracts.collaboration import Outcome
from contracts.domains import Clearance, Domain
from contracts.feasibility import Milestone
from contracts.model import NOTHING_MORE, Citation, Prompt
from contracts.span import Span

TODAY = date(2026, 11, 29)
PUBLIC = Clearance.PUBLIC


def result(phase: Phase, sections: dict[str, str], *cited: tuple[str, str, str]) -> PhaseResult:
    """`cited`: section, sentence and evidence."""
    citations = tuple(
        Citation(section=name, sentence=_span(sections[name], sentence), number=1, evidence=evidence)
        for name, sentence, evidence in cited
    )
    return PhaseResult(
        phase=phase,
        domain=Domain.SOPHIA,
        sections=sections,
        confidence=0.5,
        evidence=(),
        model="m",
        label=PUBLIC,
        citations=citations,
    )


def _span(text: str, sentence: str) -> Span:
    start = text.index(sentence)
    return Span(start, start + len(sentence))


def test_requirements_and_constraints_are_items_with_the_evidence_of_their_sentence() -> None:
    sections = {
        "requirements": "The portal must show bills. [1]\nIt must be safe to use.",
        "constraints": f"{NOTHING_MORE} constraints.",
    }
    found = of_requirements(
        result("technical_requirements", sections, ("requirements", "The portal must show bills.", "e1"))
    )
    assert found == (
        Requirement(id="R1", kind="requirement", text="The portal must show bills.", evidence=("e1",)),
        Requirement(id="R2", kind="requirement", text="It must be safe to use."),
    )


def test_the_figures_of_a_question_are_requirements_and_stand_first() -> None:
    asked = "Build a customer portal by March 2027 for at most 400,000 EUR, hosted in Ireland. Is that wise?"
    lines = asked_for(asked)
    assert lines == (
        "Required, as asked for: Build a customer portal by March 2027 for at most 400,000 EUR, hosted in Ireland.",
    )
    findings = (*lines, "Business analysis: The portal depends on the billing module.")
    reply = compose(Prompt(role="analysts", question=asked, sections=REQUIREMENTS, findings=findings, evidence=()))
    assert "at most 400,000 EUR" in "".join(reply.sections.values())


def test_recommendations_point_at_the_phases_that_say_or_cite_the_same() -> None:
    business = result(
        "business_analysis", {"summary": "Invoices are wrong. [1]"}, ("summary", "Invoices are wrong.", "e1")
    )
    technical = result("technical_requirements", {"requirements": "Test each invoice first."})
    last = result(
        "recommendations",
        {"recommendations": "Correct the invoices. [1]\nTest each invoice first.\nWait a year and see."},
        ("recommendations", "Correct the invoices.", "e1"),
    )
    assert of_recommendations(last, [business, technical]) == (
        Recommendation(id="A1", text="Correct the invoices.", phases=("business_analysis",), evidence=("e1",)),
        Recommendation(id="A2", text="Test each invoice first.", phases=("technical_requirements",)),
        Recommendation(id="A3", text="Wait a year and see."),
    )


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("The portal is feasible on the platform.", "feasible"),
        ("The portal can be built within a year.\nIt needs two more engineers.", "conditional"),
        ("The portal is feasible.\nIt cannot be built before the platform moves.", "infeasible"),
        ("The platform was reviewed.", "unknown"),
        (f"{NOTHING_MORE} feasibility.", "unknown"),
    ],
)
def test_the_verdict_follows_from_the_words(said: str, verdict: str) -> None:
    assert feasibility(Outcome(status="completed", sections={"feasibility": said}), TODAY).verdict == verdict


def test_effort_makes_it_complex_and_the_timeline_has_dates_and_durations() -> None:
    sections = {
        "complexity": "The effort is 48 engineer-weeks.",
        "timeline": "The platform moves by 31 March 2027.\nThe portal takes six months.",
    }
    found = feasibility(Outcome(status="completed", sections=sections), TODAY)
    assert (found.complexity, found.effort_days) == ("high", 240.0)
    assert found.timeline == (
        Milestone(text="The platform moves by 31 March 2027.", by=date(2027, 3, 31)),
        Milestone(text="The portal takes six months.", days=182.64),
    )


def test_every_team_that_the_question_calls_for_works_on_it() -> None:
    teams = called("Why do customers churn, and which competitors gain market share?", SOPHIA_TEAMS)
    assert [team.name for team in teams] == ["market_research", "client_analysis"]
    assert [team.name for team in called("What do you know?", SOPHIA_TEAMS)] == ["business_insight"]
