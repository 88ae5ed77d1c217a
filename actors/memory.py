"""Long-term memory: what a domain answered somebody, found again when he asks something alike in another session.

Each person's memories with a domain are his own: nobody else's search sees them, and never above his clearance.
"""

from collections.abc import Sequence

from contracts.conversation import Answered
from contracts.envelope import Envelope, Event
from contracts.retrieval import Entry, Hit
from contracts.subjects import ActorRef
from runtime.actor import Recorded
from runtime.effects import Effects

MEMORIES_MAX = 2
SCORE_MIN = 0.6
QUESTION_CHARS_MAX = 300
ANSWER_CHARS_MAX = 1_000


async def remember(recorded: Recorded[Event], answered: Answered, effects: Effects) -> None:
    """Keep an answer for later sessions of the same person with this domain."""
    if not answered.question:
        return
    entry = Entry(
        id=recorded.envelope.id,
        title=answered.question[:QUESTION_CHARS_MAX],
        text=answered.content[:ANSWER_CHARS_MAX],
        label=recorded.envelope.label,
        source=_whose(recorded.actor, recorded.envelope),
        tags=(recorded.actor.id,),
    )
    await effects.index("agent_memories", entry)


async def recall(recorded: Recorded[Event], question: str, effects: Effects) -> tuple[str, ...]:
    """What was answered before to questions like this one, in other sessions."""
    whose = _whose(recorded.actor, recorded.envelope)
    hits = await effects.search(("agent_memories",), question, limit=MEMORIES_MAX, source=whose, score_min=SCORE_MIN)
    return tuple(
        f"In an earlier session, asked {hit.entry.title!r}: {hit.entry.text}" for hit in _others(hits, recorded.actor)
    )


def _others(hits: Sequence[Hit], session: ActorRef) -> list[Hit]:
    return [hit for hit in hits if session.id not in hit.entry.tags]


def _whose(actor: ActorRef, envelope: Envelope) -> str:
    return f"{actor.domain.value}:{envelope.principal}"
