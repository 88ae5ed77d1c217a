"""Long-term memory: what a domain answered somebody, found again when he asks something alike in another session.

Each person's memories with a domain are his own: nobody else's search sees them, and never above his clearance.
"""

from collections.abc import Sequence

from actors.findable import remembering, whose
from contracts.envelope import Event
from contracts.retrieval import Hit
from contracts.subjects import ActorRef
from runtime.actor import Recorded
from runtime.effects import Effects

MEMORIES_MAX = 2
SCORE_MIN = 0.6


async def recall(recorded: Recorded[Event], question: str, effects: Effects) -> tuple[str, ...]:
    """What was answered before to questions like this one, in other sessions."""
    hits = await effects.search(
        ("agent_memories",),
        question,
        limit=MEMORIES_MAX,
        source=whose(recorded.actor, recorded.envelope),
        score_min=SCORE_MIN,
    )
    return tuple(
        f"In an earlier session, asked {hit.entry.title!r}: {hit.entry.text}"
        for hit in _remembered(hits, recorded.actor)
    )


def _remembered(hits: Sequence[Hit], session: ActorRef) -> list[Hit]:
    """Those that the agent itself wrote, in other sessions: knowledge that was once put there under such a source is none.

    Judged after the search, since its query is what journals of older versions are compared by.
    """
    wrote = remembering(session.domain)
    return [hit for hit in hits if hit.entry.fields == wrote and session.id not in hit.entry.tags]
