"""Strategic alignment: what the CEO's knowledge, as far as the asker is cleared for it, says about a question."""

from actors.ceo.summary import PARTITIONS, priorities
from actors.handling import synthesise
from actors.team import evidence_of, relevant
from contracts.collaboration import Outcome, Requested
from contracts.knowledge import BEST_MAX, CANDIDATES_MAX, Rank, best_first
from contracts.model import Section
from runtime.effects import Effects

SECTIONS = (
    Section("alignment", "How the question fits the company's strategy and its priorities."),
    Section("conflicts", "Where it conflicts with commitments, budgets, risks or other priorities."),
    Section("implications", "What follows for the strategy if the company goes ahead."),
    Section("market_position", "What is known of the company's market position."),
    Section("competitive_landscape", "Who competes, and how they stand."),
    Section("recommendations", "What the strategy recommends."),
    Section("executive_summary", "The executive's view in two or three sentences."),
)


async def strategic_alignment(requested: Requested, effects: Effects) -> Outcome:
    """Twenty candidates, the best ten by strategic priority, then relevance. Where the CEO's context is wanted the strategic
    summary's priorities come along, whatever they have to do with the question: so they are not taken in for every one."""
    request = requested.request
    candidates = await relevant(PARTITIONS, request.question, effects, CANDIDATES_MAX)
    best = best_first(candidates, lambda hit: Rank(hit.entry.priority, hit.relevance, hit.entry.id))[:BEST_MAX]
    found = {item.id: item for item in evidence_of(best)}
    if request.needs_ceo_context:
        for item in await priorities(requested.asker, effects):
            found.setdefault(item.id, item)
    return await synthesise("the CEO's knowledge keeper", request, SECTIONS, tuple(found.values()), (), effects)
