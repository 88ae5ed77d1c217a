"""Comprehensive analysis: five phases over both domains and the CEO's context, one durable reaction."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from contracts.approval import ApprovalRule
from contracts.collaboration import Missing
from contracts.comparison import Comparison
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from contracts.feasibility import Feasibility
from contracts.grounds import Grounds
from contracts.model import Allowance, Citation, Evidence, Failure
from contracts.users import Grants

Phase = Literal["business_analysis", "technical_requirements", "feasibility", "strategic_synthesis", "recommendations"]
PHASES: tuple[Phase, ...] = (
    "business_analysis",
    "technical_requirements",
    "feasibility",
    "strategic_synthesis",
    "recommendations",
)
ASKED_OF: Mapping[Phase, Domain] = {"feasibility": Domain.ARTEMIS, "strategic_synthesis": Domain.CEO}
"""Which domain does a phase that is not Sophia's own."""


class Requirement(Struct, frozen=True, kw_only=True):
    """One technical requirement or constraint, R1 … or C1 …, and the ids of the evidence that its sentence cites."""

    id: str
    kind: Literal["requirement", "constraint"]
    text: str
    evidence: tuple[str, ...] = ()


class Recommendation(Struct, frozen=True, kw_only=True):
    """One recommendation of the whole analysis, the evidence that it cites, and the phases that say or cite the same."""

    id: str
    text: str
    phases: tuple[Phase, ...] = ()
    evidence: tuple[str, ...] = ()


class PhaseResult(Struct, frozen=True, kw_only=True):
    """One phase's named sections, its confidence 0 to 1, evidence, the domain that did it and the model that answered.

    `citations` are places in the sections' texts, `comparisons` what is required beside the strategy. Typed are `requirements`,
    of the technical requirements, `feasibility`, and `unified`, the recommendations; `grounds` are the confidence's.
    """

    phase: Phase
    domain: Domain
    sections: dict[str, str]
    confidence: float
    evidence: tuple[Evidence, ...]
    model: str
    label: Clearance
    status: str = "completed"
    citations: tuple[Citation, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    grounds: Grounds | None = None
    requirements: tuple[Requirement, ...] = ()
    feasibility: Feasibility | None = None
    unified: tuple[Recommendation, ...] = ()


class PhaseMissing(Missing, frozen=True, kw_only=True):
    """A phase that is not done, or not whole, so far: which domain it waits for, and why there is nothing of that yet."""

    phase: Phase


class StartAnalysis(Message, frozen=True, kw_only=True, tag="analysis.start.v1"):
    by: str
    subject: Annotated[str, Meta(min_length=1, max_length=300)]
    question: Annotated[str, Meta(min_length=1, max_length=8_000)]
    budget: Allowance | None = None
    approval: ApprovalRule | None = None
    grants: Grants = None


class RecordPhase(Message, frozen=True, kw_only=True, tag="analysis.record_phase.v1"):
    result: PhaseResult


class ConcludeAnalysisInPart(Message, frozen=True, kw_only=True, tag="analysis.conclude_in_part.v1"):
    """`results` are of the phases that were worked out without what is `missing`, and will be anew."""

    results: tuple[PhaseResult, ...]
    missing: tuple[PhaseMissing, ...]


class FinishAnalysis(Message, frozen=True, kw_only=True, tag="analysis.finish.v1"):
    pass


class FailAnalysis(Message, frozen=True, kw_only=True, tag="analysis.fail.v1"):
    reason: str
    code: Failure | None = None


class AnalysisFailed(Event, frozen=True, kw_only=True, tag="analysis.failed.v1"):
    reason: str
    code: Failure | None = None


class AnalysisStarted(Event, frozen=True, kw_only=True, tag="analysis.started.v1"):
    """`patient`: it concludes in part where another domain is away, and waits on. Those of before did not."""

    by: str
    subject: str
    question: str
    budget: Allowance | None = None
    flow: int = 1
    approval: ApprovalRule | None = None
    grants: Grants = None
    patient: bool = False


class PhaseCompleted(Event, frozen=True, kw_only=True, tag="analysis.phase_completed.v1"):
    result: PhaseResult
    label: Clearance


class AnalysisCompleted(Event, frozen=True, kw_only=True, tag="analysis.completed.v1"):
    """The end: confidence per domain and overall (0 to 1), the executive summary, the highest label of what it rests on."""

    executive_summary: str
    recommendations: str
    confidence: float
    confidence_by_domain: dict[str, float]
    label: Clearance


class AnalysisConcludedInPart(Event, frozen=True, kw_only=True, tag="analysis.concluded_in_part.v1"):
    """The conclusion without what is `missing`; `AnalysisCompleted` follows when that has come, or `AnalysisLeftInPart`.

    `results` are the phases that were worked out without it, beside those completed. In `confidence` a phase that there is
    nothing of counts as 0.
    """

    results: tuple[PhaseResult, ...]
    missing: tuple[PhaseMissing, ...]
    executive_summary: str
    recommendations: str
    confidence: float
    confidence_by_domain: dict[str, float]
    label: Clearance


class AnalysisLeftInPart(Event, frozen=True, kw_only=True, tag="analysis.left_in_part.v1"):
    """What is missing is waited for no longer: the part that was concluded is all there will be."""

    reason: str
    code: Failure | None = None
