"""Technical feasibility analysis: can it be built, how, how hard and by when; Artemis's answer to other domains."""

from msgspec.structs import replace

from actors.artemis.teams import code_analysis
from actors.artemis.trees import PARTITIONS
from actors.artemis.verdict import feasibility
from actors.given import before, handed_over
from actors.handling import Wanted, assured, ceo_findings, synthesise, with_ceo_context
from actors.strategic import SECTIONS as CEO_SECTIONS
from actors.strategic import with_context
from actors.team import evidence_of, gathered, relevant, together, united
from contracts.collaboration import Outcome, Requested
from contracts.domains import Domain
from contracts.model import Section
from contracts.request_types import sections_of
from runtime.effects import Effects

EVIDENCE_MAX = 8
SECTIONS = sections_of(Domain.ARTEMIS, "technical_feasibility_analysis")
FIRST_CEO_SECTIONS = (
    Section("strategic_alignment", "How the technical plan fits the company's strategy."),
    Section("roadmap_impact", "What it means for the roadmap: what moves, what waits."),
    Section("implementation_recommendations", "How to go about it, given strategy and roadmap."),
)
"""What flow 1 answered besides when the CEO's context was wanted."""

ROLE = "Artemis's engineers"


async def technical_feasibility_analysis(requested: Requested, effects: Effects) -> Outcome:
    request, flow = requested.request, requested.flow
    now = await effects.now() if flow >= 2 else None
    hits = before(
        handed_over(request.sources or ()), await relevant(PARTITIONS, request.question, effects, EVIDENCE_MAX)
    )
    examined = await code_analysis.at(flow)(request.question, hits, effects)

    async def compose(ceo: Outcome | None) -> Outcome:
        findings = (*examined.findings, *ceo_findings(ceo))
        if now is None:
            known = evidence_of(united(hits, examined.hits))
            wanted = SECTIONS + FIRST_CEO_SECTIONS if request.needs_ceo_context else SECTIONS
            return await synthesise(Wanted(ROLE, wanted), request, known, findings, effects)
        found = together(gathered(hits, examined, flow), ceo.evidence if ceo else ())
        sections = SECTIONS + CEO_SECTIONS[Domain.ARTEMIS] if ceo else SECTIONS
        outcome = await synthesise(Wanted(ROLE, sections), request, found, findings, effects)
        outcome = with_context(assured(outcome, examined.rested(request.question, found, now)), ceo, Domain.ARTEMIS)
        return replace(outcome, feasibility=feasibility(outcome, now.date()))

    return await with_ceo_context(requested, effects, compose)
