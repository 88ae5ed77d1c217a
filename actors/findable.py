"""What can be found: which events put something into the vector store, and which take it out.

The reactions do it as it happens, a rebuild folds the same function over the logs, and the check holds the store against that.
"""

from typing import assert_never

from msgspec import UNSET

from actors.subscriptions import announcement
from contracts.conversation import Answered
from contracts.domains import Domain, Partition
from contracts.envelope import Event
from contracts.facts import KnowledgeUpdate, SignalRecorded, StrategicAlert
from contracts.knowledge import (
    Knowledge,
    KnowledgeAdded,
    KnowledgeDeclassified,
    KnowledgeDeleted,
    KnowledgeExpired,
    KnowledgeUpdated,
)
from contracts.memory import Forgotten, MemoryKind, Remembered, Revised
from contracts.model import FLOW
from contracts.partitions import FieldValue
from contracts.retrieval import Change, Entry, Put, Remove
from runtime.actor import Recorded
from runtime.effects import Effects

SIGNALS: dict[Domain, Partition] = {
    Domain.SOPHIA: "sophia_business",
    Domain.ARTEMIS: "artemis_technical",
    Domain.CEO: "ceo_knowledge",
}
"""Where a domain's signals are found; those of others are not."""

QUESTION_CHARS_MAX = 300
ANSWER_CHARS_MAX = 1_000


def changes(recorded: Recorded[Event]) -> tuple[Change, ...]:
    """What an event changes in the vector store, in the order in which it is to be done. Pure: the log alone says it."""
    match recorded.event:
        case KnowledgeAdded(knowledge=knowledge) | KnowledgeDeclassified(knowledge=knowledge):
            return (_knowledge(recorded, knowledge),)
        case KnowledgeUpdated(knowledge=knowledge, previous_partition=previous):
            put = _knowledge(recorded, knowledge)
            return (put,) if previous == knowledge.partition else (put, Remove(previous, recorded.actor.id))
        case KnowledgeDeleted(partition=partition) | KnowledgeExpired(partition=partition):
            return (Remove(partition, recorded.actor.id),)
        case SignalRecorded() as event:
            return _signal(recorded, event)
        case Answered() as answered:
            return _memory(recorded, answered)
        case Remembered() | Revised() as memory:
            return (_remembered(recorded, memory),)
        case Forgotten(id=id_):
            return (Remove("agent_memories", id_),)
        case _:
            return ()


async def make_findable(recorded: Recorded[Event], effects: Effects) -> None:
    """Have the vector store follow the event."""
    for change in changes(recorded):
        match change:
            case Put(partition=partition, entry=entry):
                await effects.index(partition, entry)
            case Remove(partition=partition, id=id_):
                await effects.remove(partition, id_)
            case _:
                assert_never(change)


def whose(domain: Domain, person: str) -> str:
    """The source of one person's memories with one domain's agent."""
    return f"{domain.value}:{person}"


def remembering(domain: Domain, kind: MemoryKind) -> dict[str, FieldValue]:
    """The fields of what a domain's agent remembers."""
    return {"agent": domain.value, "kind": kind}


def _knowledge(recorded: Recorded[Event], knowledge: Knowledge) -> Put:
    attachment = knowledge.attachment
    entry = Entry(
        id=recorded.actor.id,
        title=knowledge.title,
        text=knowledge.content,
        label=knowledge.confidentiality,
        category=knowledge.category,
        priority=knowledge.strategic_priority,
        source=knowledge.source,
        tags=knowledge.tags,
        expires=knowledge.expires,
        attachment=attachment.digest if attachment else None,
        media_type=attachment.media_type if attachment else None,
        updated=recorded.envelope.time,
        fields=knowledge.fields or UNSET,
    )
    return Put(knowledge.partition, entry)


def _signal(recorded: Recorded[Event], event: SignalRecorded) -> tuple[Change, ...]:
    partition = SIGNALS.get(recorded.actor.domain)
    if partition is None:
        return ()
    fact = event.fact
    told = announcement(recorded.actor, fact.item) if isinstance(fact, KnowledgeUpdate) else None
    if told is not None and isinstance(fact, KnowledgeUpdate) and fact.operation == "delete":
        return (Remove(partition, told),)
    priority, expires = 5, None
    if isinstance(fact, StrategicAlert):
        priority = fact.alert_priority
    elif isinstance(fact, KnowledgeUpdate):
        priority, expires = fact.strategic_priority, fact.expires
    entry = Entry(
        id=told or recorded.envelope.id,
        title=fact.title,
        text=fact.text,
        label=recorded.envelope.label,
        priority=priority,
        source=fact.origin,
        tags=(recorded.actor.id,),
        expires=expires,
        updated=recorded.envelope.time,
    )
    return (Put(partition, entry),)


def _memory(recorded: Recorded[Event], answered: Answered) -> tuple[Change, ...]:
    if not answered.question or answered.flow >= FLOW:
        return ()  # Since then a memory is an event of its own.
    entry = Entry(
        id=recorded.envelope.id,
        title=answered.question[:QUESTION_CHARS_MAX],
        text=answered.content[:ANSWER_CHARS_MAX],
        label=recorded.envelope.label,
        source=whose(recorded.actor.domain, recorded.envelope.principal),
        tags=(recorded.actor.id,),
        updated=recorded.envelope.time,
        fields=remembering(recorded.actor.domain, "episodic"),
    )
    return (Put("agent_memories", entry),)


def _remembered(recorded: Recorded[Event], memory: Remembered | Revised) -> Put:
    domain = recorded.actor.domain
    entry = Entry(
        id=memory.id,
        title=memory.title,
        text=memory.text,
        label=recorded.envelope.label,
        source=whose(domain, memory.owner),
        tags=(memory.session,) if memory.session else (),
        expires=memory.expires,
        updated=recorded.envelope.time,
        fields=remembering(domain, memory.kind),
    )
    return Put("agent_memories", entry)
