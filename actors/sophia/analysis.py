"""Comprehensive analysis: five phases over both domains and the CEO's context, one durable reaction.

Where a domain is away it is concluded in part, once, and waits on; it ends exactly once.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from actors.sophia.phases import EVIDENCE_MAX, RECOMMENDATIONS, REQUIREMENTS, ROLE, STATEMENTS_MAX, Phases
from actors.sophia.teams import SOPHIA_TEAMS
from actors.team import gathered, relevant, route, statements
from contracts.analysis import (
    PHASES,
    AnalysisCompleted,
    AnalysisConcludedInPart,
    AnalysisFailed,
    AnalysisLeftInPart,
    AnalysisStarted,
    ConcludeAnalysisInPart,
    FailAnalysis,
    FinishAnalysis,
    Phase,
    PhaseCompleted,
    PhaseResult,
    RecordPhase,
    StartAnalysis,
)
from contracts.collaboration import Outcome, Request
from contracts.domains import Clearance, Domain
from contracts.model import FLOW, Evidence, Prompt, Section
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError, Rejected

Command = StartAnalysis | RecordPhase | ConcludeAnalysisInPart | FinishAnalysis | FailAnalysis
Recordable = (
    AnalysisStarted | PhaseCompleted | AnalysisConcludedInPart | AnalysisLeftInPart | AnalysisCompleted | AnalysisFailed
)


class State(Struct, frozen=True):
    started: bool = False
    ended: bool = False
    results: tuple[PhaseResult, ...] = ()
    in_part: bool = False


def decide(state: State, message: Command) -> list[Recordable]:
    match message:
        case StartAnalysis():
            if state.started:
                return []
            return [
                AnalysisStarted(
                    by=message.by,
                    subject=message.subject,
                    question=message.question,
                    budget=message.budget,
                    flow=FLOW,
                    approval=message.approval,
                    grants=message.grants,
                    patient=True,
                )
            ]
        case RecordPhase():
            return _phase(state, message.result)
        case ConcludeAnalysisInPart():
            return [] if state.in_part or state.ended else [_in_part(state.results, message)]
        case FinishAnalysis():
            if state.ended:
                return []
            if len(state.results) < len(PHASES):
                raise Rejected(f"phase {PHASES[len(state.results)]} is not done")
            return [_completed(state.results)]
        case FailAnalysis():
            ending = AnalysisLeftInPart if state.in_part else AnalysisFailed
            return [] if state.ended else [ending(reason=message.reason, code=message.code)]
        case _:
            assert_never(message)


def _phase(state: State, result: PhaseResult) -> list[Recordable]:
    if state.ended or result.phase in {done.phase for done in state.results}:
        return []
    if len(state.results) >= len(PHASES) or result.phase != PHASES[len(state.results)]:
        raise Rejected(f"phase {result.phase} is not the next one")
    return [PhaseCompleted(result=result, label=result.label)]


def _in_part(done: tuple[PhaseResult, ...], message: ConcludeAnalysisInPart) -> AnalysisConcludedInPart:
    so_far = _completed((*done, *message.results))
    return AnalysisConcludedInPart(
        results=message.results,
        missing=message.missing,
        executive_summary=so_far.executive_summary,
        recommendations=so_far.recommendations,
        confidence=so_far.confidence,
        confidence_by_domain=so_far.confidence_by_domain,
        label=so_far.label,
    )


def _completed(results: tuple[PhaseResult, ...]) -> AnalysisCompleted:
    """The conclusion over these phases; one that is not among them counts as 0 in the confidence."""
    by_domain: dict[str, list[float]] = {}
    for result in results:
        by_domain.setdefault(result.domain.value, []).append(result.confidence)
    means = {domain: round(sum(given) / len(given), 3) for domain, given in sorted(by_domain.items())}
    sections = {result.phase: result.sections for result in results}
    return AnalysisCompleted(
        executive_summary=sections.get("strategic_synthesis", {}).get("executive_summary", ""),
        recommendations=sections.get("recommendations", {}).get("recommendations", ""),
        confidence=round(sum(result.confidence for result in results) / len(PHASES), 3),
        confidence_by_domain=means,
        label=max(result.label for result in results),
    )


def evolve(state: State, event: Recordable) -> State:
    match event:
        case AnalysisStarted():
            return replace(state, started=True)
        case PhaseCompleted():
            return replace(state, results=(*state.results, event.result))
        case AnalysisConcludedInPart():
            return replace(state, in_part=True)
        case AnalysisCompleted() | AnalysisFailed() | AnalysisLeftInPart():
            return replace(state, ended=True)
        case _:
            assert_never(event)


async def react(recorded: Recorded[AnalysisStarted], effects: Effects) -> None:
    try:
        if recorded.event.flow < 2:
            await _phases(recorded, effects)
        else:
            effects.allow(recorded.event.budget)
            effects.require(recorded.event.approval)
            effects.grant(recorded.event.grants)
            await Phases(recorded, effects).all()
    except OutcomeError as error:
        await effects.tell(FailAnalysis(reason=str(error), code=error.code))
    else:
        await effects.tell(FinishAnalysis())


async def _phases(recorded: Recorded[AnalysisStarted], effects: Effects) -> None:
    """Those of flow 1, for runs that began then."""
    effects.allow(recorded.event.budget)
    effects.require(recorded.event.approval)
    effects.grant(recorded.event.grants)
    question, envelope = recorded.event.question, recorded.envelope
    told: dict[str, str] = {}

    async def conclude(phase: Phase, result: PhaseResult) -> None:
        told[phase] = "\n".join(result.sections.values())
        await effects.tell(RecordPhase(result=result))

    def request(request_type: str, *, needs_ceo_context: bool = False) -> Request:
        return Request(
            request_type=request_type,
            question=question,
            context=dict(told),
            priority=envelope.priority,
            deadline=envelope.deadline,
            needs_ceo_context=needs_ceo_context,
        )

    team = route(question, SOPHIA_TEAMS)
    hits = await relevant(team.partitions, question, effects, EVIDENCE_MAX)
    examined = await team.at(recorded.event.flow)(question, hits, effects)
    evidence = gathered(hits, examined)
    business = await _chat("business_analysis", question, team.sections, evidence, examined.findings, effects)
    await conclude("business_analysis", business)
    technical = await _chat("technical_requirements", question, REQUIREMENTS, evidence, _lines(told), effects)
    await conclude("technical_requirements", technical)
    feasibility = await effects.ask(Domain.ARTEMIS, request("technical_feasibility_analysis", needs_ceo_context=True))
    await conclude("feasibility", _from_outcome("feasibility", Domain.ARTEMIS, feasibility, effects.label))
    alignment = await effects.ask(Domain.CEO, request("strategic_alignment", needs_ceo_context=True))
    synthesis = _from_outcome("strategic_synthesis", Domain.CEO, alignment, effects.label)
    await conclude("strategic_synthesis", synthesis)
    everything = {item.id: item for item in (*evidence, *feasibility.evidence, *alignment.evidence)}
    last = await _chat("recommendations", question, RECOMMENDATIONS, tuple(everything.values()), _lines(told), effects)
    await conclude("recommendations", last)


async def _chat(
    phase: Phase,
    question: str,
    sections: tuple[Section, ...],
    evidence: tuple[Evidence, ...],
    findings: tuple[str, ...],
    effects: Effects,
) -> PhaseResult:
    reply = await effects.chat(
        Prompt(role=ROLE, question=question, sections=sections, evidence=evidence, findings=findings)
    )
    return PhaseResult(
        phase=phase,
        domain=Domain.SOPHIA,
        sections=reply.sections,
        confidence=reply.confidence,
        evidence=evidence,
        model=reply.model,
        label=effects.label,
        citations=reply.citations,
    )


def _from_outcome(phase: Phase, domain: Domain, outcome: Outcome, label: Clearance) -> PhaseResult:
    return PhaseResult(
        phase=phase,
        domain=domain,
        sections=outcome.sections or {"reason": outcome.reason},
        confidence=outcome.confidence,
        evidence=outcome.evidence,
        model=outcome.model,
        label=max(outcome.label, label),
        status=outcome.status,
        citations=outcome.citations,
        comparisons=outcome.comparisons,
    )


def _lines(told: dict[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{phase.replace('_', ' ').capitalize()}: {statement}"
        for phase, text in told.items()
        for statement in statements(text, STATEMENTS_MAX)
    )


def abandon(recorded: Recorded[AnalysisStarted], reason: str) -> FailAnalysis:  # noqa: ARG001 - there is one analysis an actor
    return FailAnalysis(reason=reason)


analysis = Actor("analysis", State(), decide, evolve, react, abandon)
