"""Business impact analysis: what a technical question means for customers and money; Sophia's answer to other domains."""

from actors.confidence import Rested
from actors.handling import Wanted, assured, ceo_findings, synthesise, with_ceo_context
from actors.strategic import SECTIONS as CEO_SECTIONS
from actors.strategic import with_context
from actors.team import dated, evidence_of, relevant, together
from contracts.collaboration import Outcome, Requested
from contracts.domains import Domain, Partition
from contracts.request_types import sections_of
from runtime.effects import Effects

EVIDENCE_MAX = 8
SECTIONS = sections_of(Domain.SOPHIA, "business_impact_analysis")


PARTITIONS: tuple[Partition, ...] = ("sophia_business", "shared_knowledge", "ceo_knowledge")
ROLE = "Sophia's business insight team"


async def business_impact_analysis(requested: Requested, effects: Effects) -> Outcome:
    request, flow = requested.request, requested.flow
    now = await effects.now() if flow >= 2 else None
    hits = await relevant(PARTITIONS, request.question, effects, EVIDENCE_MAX)

    async def compose(ceo: Outcome | None) -> Outcome:
        if now is None:
            return await synthesise(Wanted(ROLE, SECTIONS), request, evidence_of(hits), ceo_findings(ceo), effects)
        found = together(dated(hits), ceo.evidence if ceo else ())
        sections = SECTIONS + CEO_SECTIONS[Domain.SOPHIA] if ceo else SECTIONS
        outcome = await synthesise(Wanted(ROLE, sections), request, found, ceo_findings(ceo), effects)
        rested = Rested(question=request.question, evidence=found, now=now)
        return with_context(assured(outcome, rested), ceo, Domain.SOPHIA)

    return await with_ceo_context(requested, effects, compose)
