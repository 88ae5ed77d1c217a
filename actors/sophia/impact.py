"""Business impact analysis: what a technical question means for customers and money; Sophia's answer to other domains."""

from actors.handling import synthesise, with_ceo_context
from actors.team import evidence_of, relevant
from contracts.collaboration import Outcome, Requested
from contracts.domains import Partition
from contracts.model import Section
from runtime.effects import Effects

EVIDENCE_MAX = 8
SECTIONS = (
    Section("business_impact", "What it means for revenue, costs and customers."),
    Section("customers_affected", "Which customers or segments are affected, with figures."),
    Section("urgency", "How soon it matters, and why."),
)


async def business_impact_analysis(requested: Requested, effects: Effects) -> Outcome:
    request = requested.request
    partitions: tuple[Partition, ...] = ("sophia_business", "shared_knowledge", "ceo_knowledge")
    hits = await relevant(partitions, request.question, effects, EVIDENCE_MAX)

    async def compose(context: tuple[str, ...]) -> Outcome:
        return await synthesise(
            "Sophia's business insight team", request, SECTIONS, evidence_of(hits), context, effects
        )

    return await with_ceo_context(requested, effects, compose)
