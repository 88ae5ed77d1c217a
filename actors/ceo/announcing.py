"""Knowledge updates for the domains that subscribe to them: that an item changed, by title and reference."""

from typing import assert_never

from msgspec.structs import replace

from actors.subscriptions import announced_to, told_of_item
from contracts.domains import Domain
from contracts.facts import KnowledgeUpdate, Operation
from contracts.knowledge import (
    Knowledge,
    KnowledgeAdded,
    KnowledgeDeclassified,
    KnowledgeDeleted,
    KnowledgeExpired,
    KnowledgeUpdated,
    outline,
)
from runtime.actor import Recorded
from runtime.effects import Effects

ORIGIN = "the CEO's knowledge base"
UNTITLED = "An item without a title"  # Titles had to say nothing once.
Changed = KnowledgeAdded | KnowledgeUpdated | KnowledgeDeclassified | KnowledgeDeleted | KnowledgeExpired


async def announce(recorded: Recorded[Changed], effects: Effects) -> None:
    """Tell who subscribes what the item is now; who was told of it before and may be no longer, that it is gone."""
    event, item = recorded.event, recorded.actor.id
    before = _told_before(event)
    if isinstance(event, KnowledgeDeleted | KnowledgeExpired):
        now = frozenset[Domain]()
    else:
        now = told_of_item(outline(event.knowledge), event.knowledge.partition)
        said = _update(item, event.knowledge, "update" if before else "create")
        for domain in sorted(now):
            await effects.tell(said, to=announced_to(domain, item))
    for domain in sorted(before - now):
        await effects.tell(_gone(item), to=announced_to(domain, item))


def _told_before(event: Changed) -> frozenset[Domain]:
    match event:
        case KnowledgeAdded():
            return frozenset()
        case KnowledgeUpdated():
            return told_of_item(event.previous, event.previous_partition) if event.previous else frozenset()
        case KnowledgeDeclassified():
            before = replace(outline(event.knowledge), confidentiality=event.previous)
            return told_of_item(before, event.knowledge.partition)
        case KnowledgeDeleted() | KnowledgeExpired():
            return told_of_item(event.previous, event.partition) if event.previous else frozenset()
        case _:
            assert_never(event)


def _update(item: str, knowledge: Knowledge, operation: Operation) -> KnowledgeUpdate:
    title, category = knowledge.title.strip() or UNTITLED, knowledge.category.replace("_", " ")
    done = "was added to" if operation == "create" else "was changed in"
    return KnowledgeUpdate(
        title=title,
        text=f"{title}: an item on {category} of strategic priority {knowledge.strategic_priority} {done} {ORIGIN}.",
        origin=ORIGIN,
        confidentiality=knowledge.confidentiality,
        operation=operation,
        item=item,
        strategic_priority=knowledge.strategic_priority,
        expires=knowledge.expires,
    )


def _gone(item: str) -> KnowledgeUpdate:
    return KnowledgeUpdate(
        title="A knowledge item is gone",
        text=f"An item that was announced is no longer to be had from {ORIGIN}.",
        origin=ORIGIN,
        operation="delete",
        item=item,
    )
