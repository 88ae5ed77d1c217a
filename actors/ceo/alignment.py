"""Strategic alignment: what the CEO's knowledge, as far as the asker is cleared for it, says about a question."""

from actors.handling import synthesise
from actors.team import RELEVANT_FROM
from contracts.collaboration import Outcome, Request
from contracts.domains import Partition
from contracts.knowledge import BEST_MAX, CANDIDATES_MAX, best_first
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


async def strategic_alignment(request: Request, effects: Effects) -> Outcome:
    """Twenty candidates, the best ten by strategic priority, then relevance."""
    partitions: tuple[Partition, ...] = ("ceo_knowledge", "shared_knowledge")
    candidates = await effects.search(partitions, request.question, limit=CANDIDATES_MAX, score_min=RELEVANT_FROM)
    best = sorted(candidates, key=lambda hit: best_first(hit.entry.priority, hit.relevance))[:BEST_MAX]
    return await synthesise("the CEO's knowledge keeper", request, SECTIONS, best, (), effects)
