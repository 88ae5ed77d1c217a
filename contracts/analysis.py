"""Comprehensive analysis: five phases over both domains and the CEO's context, one durable reaction."""

from typing import Literal

from msgspec import Struct

from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from contracts.model import Evidence

Phase = Literal["business_analysis", "technical_requirements", "feasibility", "strategic_synthesis", "recommendations"]
PHASES: tuple[Phase, ...] = (
    "business_analysis",
    "technical_requirements",
    "feasibility",
    "strategic_synthesis",
    "recommendations",
)


class PhaseResult(Struct, frozen=True, kw_only=True):
    """One phase's named sections, its confidence 0 to 1, evidence, the domain that did it and the model that answered."""

    phase: Phase
    domain: Domain
    sections: dict[str, str]
    confidence: float
    evidence: tuple[Evidence, ...]
    model: str
    label: Clearance
    status: str = "completed"


class StartAnalysis(Message, frozen=True, kw_only=True, tag="analysis.start.v1"):
    by: str
    subject: str
    question: str


class RecordPhase(Message, frozen=True, kw_only=True, tag="analysis.record_phase.v1"):
    result: PhaseResult


class FinishAnalysis(Message, frozen=True, kw_only=True, tag="analysis.finish.v1"):
    pass


class AnalysisStarted(Event, frozen=True, kw_only=True, tag="analysis.started.v1"):
    by: str
    subject: str
    question: str


class PhaseCompleted(Event, frozen=True, kw_only=True, tag="analysis.phase_completed.v1"):
    result: PhaseResult


class AnalysisCompleted(Event, frozen=True, kw_only=True, tag="analysis.completed.v1"):
    """The end: confidence per domain and overall (0 to 1), the executive summary, the highest label of what it rests on."""

    executive_summary: str
    recommendations: str
    confidence: float
    confidence_by_domain: dict[str, float]
    label: Clearance
