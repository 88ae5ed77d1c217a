"""Knowledge item: one piece of what the CEO knows, at one level of confidentiality, until it is deleted or expires.

An item that has ended comes back only where its source is imported again and says something; its versions stay in the log.
"""

from datetime import datetime, timedelta
from typing import assert_never

from msgspec import UNSET, Struct
from msgspec.structs import replace

from actors.ceo.announcing import announce
from actors.findable import make_findable
from contracts.domains import Clearance
from contracts.knowledge import (
    AddKnowledge,
    DeclassifyKnowledge,
    DeleteKnowledge,
    ExpireKnowledge,
    Imported,
    ImportKnowledge,
    Knowledge,
    KnowledgeAdded,
    KnowledgeDeclassified,
    KnowledgeDeleted,
    KnowledgeExpired,
    KnowledgeUpdated,
    UpdateKnowledge,
    outline,
)
from contracts.partitions import misfit
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import Rejected
from runtime.schedule import HORIZON_S_MAX

Understood = AddKnowledge | UpdateKnowledge | ImportKnowledge | DeclassifyKnowledge | DeleteKnowledge | ExpireKnowledge
Recordable = KnowledgeAdded | KnowledgeUpdated | KnowledgeDeclassified | KnowledgeDeleted | KnowledgeExpired

HORIZON = timedelta(seconds=HORIZON_S_MAX) - timedelta(days=1)
"""An item that expires later gets no timer: every read leaves it out from that moment on all the same."""


class State(Struct, frozen=True):
    """`imported` is what the item was last made of; it outlives an expiry, so that the same again does not revive it.

    `ended` is how confidential the item was when it ended: coming back does not lower it either.
    """

    knowledge: Knowledge | None = None
    deleted: bool = False
    expired: bool = False
    imported: Imported | None = None
    ended: Clearance = Clearance.PUBLIC


def decide(state: State, message: Understood) -> list[Recordable]:
    match message:
        case AddKnowledge():
            if state.knowledge or state.deleted or state.expired:
                return []
            return [KnowledgeAdded(by=message.by, knowledge=_fitting(message.knowledge))]
        case UpdateKnowledge():
            return _changed(message.by, _held(state, message.clearance), _fitting(message.knowledge), None)
        case ImportKnowledge():
            return _imported(state, message)
        case DeclassifyKnowledge():
            return _declassified(_held(state, message.clearance), message)
        case DeleteKnowledge():
            if state.deleted:
                return []
            held = _held(state, message.clearance)
            return [KnowledgeDeleted(by=message.by, partition=held.partition, previous=outline(held))]
        case ExpireKnowledge():
            ended = state.knowledge
            if ended is None or ended.expires != message.expires:
                return []  # It was deleted, or expires at another time now.
            return [KnowledgeExpired(partition=ended.partition, previous=outline(ended))]
        case _:
            assert_never(message)


def _held(state: State, clearance: Clearance) -> Knowledge:
    """What is there, for a writer who may see it; for any other it does not exist."""
    if state.knowledge is None or state.knowledge.confidentiality > clearance:
        raise Rejected("no such knowledge item", "not_found")
    return state.knowledge


def _fitting(knowledge: Knowledge) -> Knowledge:
    problem = misfit(knowledge.partition, knowledge.fields or {})
    if problem:
        raise Rejected(f"fields: {problem}")
    return knowledge if knowledge.fields else replace(knowledge, fields=UNSET)


def _imported(state: State, message: ImportKnowledge) -> list[Recordable]:
    """Only what differs from the last import counts: a correction by hand is not undone by importing the same again.

    Nor is an item lowered by importing it: it stays as confidential as it was. One that was not imported, and tells what stands
    at the place, follows it from now on: what else it says stays until the source changes.
    """
    before, now = state.imported, message.imported
    if before is not None and (before.collection, before.key) != (now.collection, now.key):
        raise Rejected(f"the item follows {before.key} in {before.collection}", "conflict")
    level = state.knowledge.confidentiality if state.knowledge else state.ended
    if level > message.clearance:
        raise Rejected("no such knowledge item", "not_found")
    said = replace(_fitting(message.knowledge), confidentiality=max(message.knowledge.confidentiality, level))
    if state.knowledge is None and not (state.expired and state.imported == message.imported):
        return [KnowledgeAdded(by=message.by, knowledge=said, imported=message.imported)]
    if state.knowledge is None or state.imported == message.imported:
        return []
    if before is None and _told(state.knowledge) == _told(said):
        said = replace(state.knowledge, attachment=said.attachment)
    return _changed(message.by, state.knowledge, said, message.imported)


def _told(knowledge: Knowledge) -> tuple[str, str, str]:
    return knowledge.title, knowledge.content, knowledge.source


def _changed(by: str, held: Knowledge, said: Knowledge, imported: Imported | None) -> list[Recordable]:
    if said == held and imported is None:
        return []
    if said.confidentiality < held.confidentiality:
        raise Rejected(f"{_levels(held, said.confidentiality)} is no update: declassify it")
    return [
        KnowledgeUpdated(
            by=by, knowledge=said, previous_partition=held.partition, previous=outline(held), imported=imported
        )
    ]


def _declassified(held: Knowledge, message: DeclassifyKnowledge) -> list[Recordable]:
    if message.confidentiality == held.confidentiality:
        return []
    if message.confidentiality > held.confidentiality:
        raise Rejected(f"{_levels(held, message.confidentiality)} is no declassification: update it")
    knowledge = replace(held, confidentiality=message.confidentiality)
    return [
        KnowledgeDeclassified(by=message.by, previous=held.confidentiality, reason=message.reason, knowledge=knowledge)
    ]


def _levels(held: Knowledge, wanted: Clearance) -> str:
    return f"from {held.confidentiality.value} to {wanted.value}"


def evolve(state: State, event: Recordable) -> State:
    match event:
        case KnowledgeAdded() | KnowledgeUpdated():
            return State(knowledge=event.knowledge, imported=event.imported or state.imported)
        case KnowledgeDeclassified():
            return replace(state, knowledge=event.knowledge)
        case KnowledgeDeleted():
            return State(deleted=True, ended=event.label)
        case KnowledgeExpired():
            return State(expired=True, imported=state.imported, ended=event.label)
        case _:
            assert_never(event)


async def react(recorded: Recorded[Recordable], effects: Effects) -> None:
    await make_findable(recorded, effects)
    await _keep_time(recorded, effects)
    await announce(recorded, effects)


async def _keep_time(recorded: Recorded[Recordable], effects: Effects) -> None:
    """See to it that the item expires when it says so now, and not when it said so before."""
    expires: datetime | None = None
    before: datetime | None = None
    match recorded.event:
        case KnowledgeAdded(knowledge=knowledge) | KnowledgeDeclassified(knowledge=knowledge):
            expires = knowledge.expires  # Set anew, the timer's message is no more confidential than the item.
        case KnowledgeUpdated(knowledge=knowledge, previous=previous):
            expires, before = knowledge.expires, previous.expires if previous else None
        case KnowledgeDeleted(previous=previous):
            before = previous.expires if previous else None
        case KnowledgeExpired():
            pass  # That was the timer.
        case _:
            assert_never(recorded.event)
    if before is not None and before != expires:
        await effects.unschedule(_timer(before))
    if expires is not None and expires - recorded.envelope.time < HORIZON:
        await effects.schedule(_timer(expires), ExpireKnowledge(expires=expires), expires)


def _timer(expires: datetime) -> str:
    """One name a moment: an older timer that is set late can then not take the place of a newer one."""
    return f"expires-{int(expires.timestamp() * 1_000_000)}"


knowledge_item = Actor("knowledge_item", State(), decide, evolve, react)
