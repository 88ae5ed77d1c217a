"""Strategic alignment: what the CEO's knowledge, as far as the asker is cleared for it, says about a question."""

from msgspec.structs import replace

from actors.ceo import aligning
from actors.ceo.summary import PARTITIONS, priorities
from actors.confidence import Rested
from actors.handling import Wanted, assured, synthesise
from actors.team import dated, evidence_of, relevant
from contracts.collaboration import Outcome, Requested
from contracts.comparison import Comparison
from contracts.knowledge import BEST_MAX, CANDIDATES_MAX, Rank, best_first
from contracts.model import QUOTING, Section
from runtime.effects import Effects

COMPARED = (
    Section("alignment", "How the question fits the company's strategy and its priorities."),
    Section("conflicts", "Where it conflicts with commitments, budgets, risks or other priorities."),
)
"""What is compared statement by statement; the model wrote it in flow 1."""

WRITTEN = (
    Section("implications", "What follows for the strategy if the company goes ahead."),
    Section("market_position", "What is known of the company's market position."),
    Section("competitive_landscape", "Who competes, and how they stand."),
    Section("recommendations", "What the strategy recommends."),
    Section("executive_summary", "The executive's view in two or three sentences."),
)
ROLE = "the CEO's knowledge keeper"


async def strategic_alignment(requested: Requested, effects: Effects) -> Outcome:
    """Twenty candidates, the best ten by strategic priority, then relevance. Where the CEO's context is wanted the strategic
    summary's priorities come along, whatever they have to do with the question: so they are not taken in for every one.

    Alignment and conflicts are compared (`actors/ceo/comparing.py`), and told word for word; a language model, where there is
    one, is asked about the pairs, too, and what it says of them stands beside that."""
    request = requested.request
    candidates = await relevant(PARTITIONS, request.question, effects, CANDIDATES_MAX)
    best = best_first(candidates, lambda hit: Rank(hit.entry.priority, hit.relevance, hit.entry.id))[:BEST_MAX]
    found = {item.id: item for item in (dated if requested.flow >= 2 else evidence_of)(best)}
    if request.needs_ceo_context:
        for item in await priorities(requested.asker, effects):
            found.setdefault(item.id, item)
    evidence = tuple(found.values())
    if requested.flow < 2:
        return await synthesise(Wanted(ROLE, COMPARED + WRITTEN), request, evidence, (), effects)
    now = await effects.now()
    comparisons = await aligning.compared(request, evidence, effects, now.date())
    outcome = await synthesise(Wanted(ROLE, WRITTEN), request, evidence, aligning.findings(comparisons), effects)
    if not outcome.model.startswith(QUOTING):
        comparisons = await _judged(comparisons, effects)
    outcome = assured(outcome, Rested(question=request.question, evidence=evidence, now=now))
    return replace(outcome, sections=aligning.told(comparisons) | outcome.sections, comparisons=comparisons)


async def _judged(comparisons: tuple[Comparison, ...], effects: Effects) -> tuple[Comparison, ...]:
    if all(one.relation == "unrelated" for one in comparisons):
        return comparisons
    reply = await effects.chat(aligning.judging(comparisons))
    return aligning.judged(comparisons, reply.sections)
