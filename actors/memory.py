"""Long-term memory: what a domain's agent learnt of a person, found again when he asks something alike in another session.

Each person's memories with an agent are his own: nobody else's search sees them, and never above his clearance.
"""

from collections.abc import Sequence

from msgspec import Struct

from actors.findable import remembering, whose
from contracts.conversation import Answered
from contracts.envelope import Event
from contracts.ids import derived_id
from contracts.memory import MemoryKind, Remember, memories_of
from contracts.model import FLOW
from contracts.retrieval import Hit
from contracts.subjects import ActorRef
from runtime.actor import Recorded
from runtime.effects import Effects

MEMORIES_MAX = 4
EARLIER_MEMORIES_MAX = 2
"""Of what was answered, before there were other kinds of memory."""

SCORE_MIN = 0.6
QUESTION_CHARS_MAX = 300
ANSWER_CHARS_MAX = 1_000
PROCEDURE_FROM = 0.5
"""How sure an answer has to be for the way that it was found to be worth remembering."""

_TOLD: dict[MemoryKind, str] = {
    "episodic": "In an earlier session, asked",
    "procedural": "How it was done before, asked",
}


class Recalled(Struct, frozen=True):
    """What the agent is reminded of: lines that help to understand the question, and what the asker taught it, as evidence."""

    lines: tuple[str, ...]
    taught: tuple[Hit, ...]


async def recall(recorded: Recorded[Event], question: str, flow: int, effects: Effects) -> Recalled:
    """What the agent remembers of questions like this one."""
    actor = recorded.actor
    hits = await effects.search(
        ("agent_memories",),
        question,
        limit=MEMORIES_MAX if flow >= FLOW else EARLIER_MEMORIES_MAX,
        source=whose(actor.domain, recorded.envelope.principal),
        score_min=SCORE_MIN,
    )
    kinds: Sequence[MemoryKind] = ("episodic", "procedural") if flow >= FLOW else ("episodic",)
    lines = tuple(
        f"{_TOLD[kind]} {hit.entry.title!r}: {hit.entry.text}"
        for hit in hits
        for kind in kinds
        if _remembered(hit, actor, kind)
    )
    taught = tuple(hit for hit in hits if flow >= FLOW and _remembered(hit, actor, "semantic"))
    return Recalled(lines, taught)


def _remembered(hit: Hit, session: ActorRef, kind: MemoryKind) -> bool:
    """Whether the agent itself keeps it, from another session: knowledge once put there under such a source is no memory.

    Judged after the search, since its query is what journals of older versions are compared by.
    """
    return hit.entry.fields == remembering(session.domain, kind) and session.id not in hit.entry.tags


async def remember(recorded: Recorded[Event], answered: Answered, effects: Effects) -> None:
    """Keep what was answered, and if it was any good who answered it."""
    envelope, actor = recorded.envelope, recorded.actor
    lines: dict[MemoryKind, str] = {"episodic": answered.content[:ANSWER_CHARS_MAX]}
    if answered.confidence >= PROCEDURE_FROM:
        lines["procedural"] = _procedure(answered)
    for kind, text in lines.items():
        message = Remember(
            id=derived_id(envelope.id, kind),
            owner=envelope.principal,
            kind=kind,
            title=answered.question[:QUESTION_CHARS_MAX],
            text=text,
            at=envelope.time,
            session=actor.id,
        )
        await effects.tell(message, to=memories_of(actor.domain, envelope.principal))


def _procedure(answered: Answered) -> str:
    helpers = [
        f"{one.domain.value} ({one.request_type.replace('_', ' ')})"
        for one in answered.contributions
        if one.status == "completed"
    ]
    helped = f" with {' and '.join(helpers)}" if helpers else ""
    return (
        f"The {answered.team.replace('_', ' ')} team answered it{helped}"
        f" from {len(answered.evidence)} pieces of evidence, confidence {answered.confidence:.2f}."
    )
