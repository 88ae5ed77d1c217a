"""How the business is looked into: clients, sales and the market first, the CEO's strategy, then the tool that joins them.

The order of effects is that of the parts, each with its own; then one search of the CEO's knowledge under the asker's clearance,
then the tool. No other domain is asked: who forbids that has it so, and alignment is asked for later by who answers.
"""

from collections.abc import Sequence

from actors.sophia.tools.business_insight import BusinessInsightArguments, Part
from actors.team import RELEVANT_FROM, Examine, Examined, evidence_of, once, run_tool, united
from contracts.knowledge import Rank, best_first
from contracts.model import NOT_TAKEN
from contracts.retrieval import Hit
from runtime.effects import Effects

STRATEGY = "strategic priorities, goals and targets"
STRATEGY_MAX = 5

Parts = tuple[tuple[str, Examine], ...]
"""What is joined, by its name for people."""


async def strategy(effects: Effects) -> tuple[Hit, ...]:
    """What the CEO's knowledge asks for, under the asker's clearance, what matters most first."""
    found = await effects.search(("ceo_knowledge",), STRATEGY, limit=STRATEGY_MAX, score_min=RELEVANT_FROM)
    return tuple(best_first(once(found), lambda hit: Rank(hit.entry.priority, hit.relevance, hit.entry.id)))


def insight_work(parts: Parts) -> Examine:
    """What the business insight team does, over the work of the others."""

    async def work(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
        joined = [(name, await part(question, hits, effects)) for name, part in parts]
        wanted = await strategy(effects)
        arguments = BusinessInsightArguments(
            question=question,
            evidence=evidence_of(hits),
            parts=tuple(Part(name=name, findings=_to_join(one), label=effects.label) for name, one in joined),
            strategy=evidence_of(wanted),
        )
        told = await run_tool("business_insight", arguments, "the figures", effects)
        more = united([hit for _, one in joined for hit in one.hits], wanted)
        evidence = {one.id: one for _, examined in joined for one in examined.evidence}
        works = tuple(work for _, one in joined for work in one.works)
        return Examined(told.findings, more, tuple(evidence.values()), works=works)

    return work


def _to_join(examined: Examined) -> tuple[str, ...]:
    """What its table says nothing of, others may."""
    return tuple(finding for finding in examined.findings if not finding.startswith(NOT_TAKEN))
