"""`diarchy analyse` shows what an analysis found: the conflict with both statements, the verdict, what rests on what."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

from msgspec.structs import replace
from rich.console import Console

from contracts.analysis import PHASES, Phase, PhaseMissing, PhaseResult, Recommendation, Requirement
from contracts.comparison import Comparison, Stated
from contracts.domains import Clearance, Domain
from contracts.feasibility import Feasibility
from contracts.http import Analysis
from deploy.analysing import shown

INTERNAL = Clearance.INTERNAL
CONFLICT = Comparison(
    requirement=Stated(id="r1", text="Build a portal in 2027.", source="question", label=INTERNAL),
    strategy=Stated(id="s1", text="No portals before 2028.", source="e1", label=INTERNAL, title="Freeze"),
    relation="conflicting",
    rule="date",
    reason="'in 2027' against 'before 2028'",
    topic=0.9,
    score=0.9,
)


def phase(name: Phase) -> PhaseResult:
    return PhaseResult(
        phase=name, domain=Domain.SOPHIA, sections={}, confidence=0.5, evidence=(), model="m", label=INTERNAL
    )


def on_screen(analysis: Analysis) -> str:
    out = StringIO()
    Console(file=out, width=120).print(shown(analysis))
    return " ".join(out.getvalue().split())


def test_a_part_is_shown_with_what_it_goes_without() -> None:
    away = PhaseMissing(phase="feasibility", domain=Domain.ARTEMIS, request_type="x", why="it is away")
    part = Analysis(
        id="a1",
        by="ann",
        subject="Portal",
        question="?",
        status="partial",
        label=INTERNAL,
        started=datetime(2026, 11, 29, tzinfo=UTC),
        phases=(phase("business_analysis"),),
        missing=(away,),
    )
    assert "without feasibility (artemis: it is away) until that has come: /v1/analyses/a1" in on_screen(part)
    left = replace(part, failure="cancelled: by ann")
    assert "without feasibility (artemis: it is away) and will be: cancelled: by ann" in on_screen(left)


def test_an_analysis_is_shown_with_its_conflicts() -> None:
    more: dict[Phase, dict[str, Any]] = {
        "technical_requirements": {"requirements": (Requirement(id="R1", kind="requirement", text="Show bills."),)},
        "feasibility": {"feasibility": Feasibility(verdict="conditional", because=("It needs people.",))},
        "strategic_synthesis": {"comparisons": (CONFLICT, replace(CONFLICT, relation="aligned"))},
        "recommendations": {"unified": (Recommendation(id="A1", text="Wait.", phases=("strategic_synthesis",)),)},
    }
    analysis = Analysis(
        id="a1",
        by="ann",
        subject="Portal",
        question="?",
        status="completed",
        label=INTERNAL,
        started=datetime(2026, 11, 29, tzinfo=UTC),
        phases=tuple(replace(phase(name), **more.get(name, {})) for name in PHASES),
        executive_summary="The plan conflicts.",
        confidence=0.5,
    )
    out = StringIO()
    Console(file=out, width=120).print(shown(analysis))
    text = out.getvalue()
    assert text.count("Conflict with the strategy (date)") == 1
    for line in (
        "required  “Build a portal in 2027.”",
        "strategy  “No portals before 2028.” (Freeze)",
        "R1  Show bills.",
        "conditional · complexity unknown",
        "A1  Wait. (strategic synthesis)",
        "confidence 0.50",
    ):
        assert line in text
