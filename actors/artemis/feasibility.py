"""Technical feasibility analysis: can it be built, how, how hard and by when; Artemis's answer to other domains."""

from actors.artemis.teams import PARTITIONS, code_analysis
from actors.handling import synthesise, with_ceo_context
from actors.team import evidence_of, relevant, united
from contracts.collaboration import Outcome, Requested
from contracts.model import Section
from runtime.effects import Effects

EVIDENCE_MAX = 8
SECTIONS = (
    Section("feasibility", "Whether it can be built with what the company has, and under which conditions."),
    Section("recommended_architecture", "How to build it: components, interfaces, existing systems to use."),
    Section("complexity", "How hard it is and why: dependencies, hot spots, unknowns."),
    Section("timeline", "How long it takes: phases, dates, milestones."),
    Section("risks", "What could go wrong technically, with known incidents."),
)

CEO_SECTIONS = (
    Section("strategic_alignment", "How the technical plan fits the company's strategy."),
    Section("roadmap_impact", "What it means for the roadmap: what moves, what waits."),
    Section("implementation_recommendations", "How to go about it, given strategy and roadmap."),
)
"""What is answered besides when the CEO's context is wanted (mission B4)."""


async def technical_feasibility_analysis(requested: Requested, effects: Effects) -> Outcome:
    request = requested.request
    hits = await relevant(PARTITIONS, request.question, effects, EVIDENCE_MAX)
    examined = await code_analysis.examine(request.question, hits, effects)
    found = evidence_of(united(hits, examined.hits))
    sections = SECTIONS + CEO_SECTIONS if request.needs_ceo_context else SECTIONS

    async def compose(context: tuple[str, ...]) -> Outcome:
        findings = (*examined.findings, *context)
        return await synthesise("Artemis's engineers", request, sections, found, findings, effects)

    return await with_ceo_context(requested, effects, compose)
