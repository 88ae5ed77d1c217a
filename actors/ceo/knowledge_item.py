"""Knowledge item: one piece of what the CEO knows, at one level of confidentiality."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from actors.findable import make_findable
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
    await make_findable(recorded, effects)


knowledge_item = Actor("knowledge_item", State(), decide, evolve, react)
