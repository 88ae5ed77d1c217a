"""Technical feasibility analysis: can it be built, how, how hard and by when; Artemis's answer to other domains."""

from actors.artemis.teams import PARTITIONS, code_analysis
from actors.handling import synthesise, with_ceo_context
from actors.team import RELEVANT_FROM, united
from contracts.collaboration import Outcome, Request
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


async def technical_feasibility_analysis(request: Request, effects: Effects) -> Outcome:
    hits = await effects.search(PARTITIONS, request.question, limit=EVIDENCE_MAX, score_min=RELEVANT_FROM)
    examined = await code_analysis.examine(request.question, hits, effects)
    context = await with_ceo_context(request, effects)
    found = list(united(hits, examined.hits))
    return await synthesise("Artemis's engineers", request, SECTIONS, found, (*examined.findings, *context), effects)
