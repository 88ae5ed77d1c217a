"""Knowledge item: one piece of what the CEO knows, at one level of confidentiality."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from contracts.domains import Clearance
from contracts.knowledge import (
    AddKnowledge,
    DeleteKnowledge,
    Knowledge,
    KnowledgeAdded,
    KnowledgeDeleted,
    KnowledgeUpdated,
    UpdateKnowledge,
)
from contracts.retrieval import Entry
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import Rejected

Recordable = KnowledgeAdded | KnowledgeUpdated | KnowledgeDeleted


class State(Struct, frozen=True):
    knowledge: Knowledge | None = None
    deleted: bool = False


def decide(state: State, message: AddKnowledge | UpdateKnowledge | DeleteKnowledge) -> list[Recordable]:
    match message:
        case AddKnowledge():
            if state.knowledge or state.deleted:
                return []
            return [KnowledgeAdded(by=message.by, knowledge=message.knowledge)]
        case UpdateKnowledge():
            held = _held(state, message.clearance)
            if message.knowledge == held:
                return []
            return [KnowledgeUpdated(by=message.by, knowledge=message.knowledge, previous_partition=held.partition)]
        case DeleteKnowledge():
            if state.deleted:
                return []
            return [KnowledgeDeleted(by=message.by, partition=_held(state, message.clearance).partition)]
        case _:
            assert_never(message)


def _held(state: State, clearance: Clearance) -> Knowledge:
    """What is there, for a writer who may see it; for any other it does not exist."""
    if state.knowledge is None or state.knowledge.confidentiality > clearance:
        raise Rejected("no such knowledge item", "not_found")
    return state.knowledge


def evolve(state: State, event: Recordable) -> State:
    match event:
        case KnowledgeAdded() | KnowledgeUpdated():
            return replace(state, knowledge=event.knowledge)
        case KnowledgeDeleted():
            return State(deleted=True)
        case _:
            assert_never(event)


async def react(recorded: Recorded[KnowledgeAdded | KnowledgeUpdated | KnowledgeDeleted], effects: Effects) -> None:
    match recorded.event:
        case KnowledgeAdded(knowledge=knowledge):
            await effects.index(knowledge.partition, _entry(recorded.actor.id, knowledge))
        case KnowledgeUpdated(knowledge=knowledge, previous_partition=previous):
            await effects.index(knowledge.partition, _entry(recorded.actor.id, knowledge))
            if previous != knowledge.partition:
                await effects.remove(previous, recorded.actor.id)
        case KnowledgeDeleted(partition=partition):
            await effects.remove(partition, recorded.actor.id)
        case _:
            assert_never(recorded.event)


def _entry(item: str, knowledge: Knowledge) -> Entry:
    attachment = knowledge.attachment
    return Entry(
        id=item,
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
    )


knowledge_item = Actor("knowledge_item", State(), decide, evolve, react)
