"""Knowledge that follows its source: what stands at a place of somebody's collection is one item, however often it is sent."""

from contracts.curating import (
    AdoptableItems,
    AdoptableQuery,
    Collections,
    CollectionsQuery,
    ImportedItems,
    ImportItem,
    ImportsQuery,
    SearchableQuery,
    SearchableRuns,
)
from contracts.domains import Domain
from contracts.ids import keyed_id
from contracts.knowledge import Imported, ImportKnowledge, digest
from contracts.subjects import ActorRef
from gateway.commands import Incoming, label_of
from gateway.curating import KNOWLEDGE_ITEM, check_attachment, check_expiry, check_partition
from gateway.execution import Command
from gateway.problems import NotFoundError


async def import_item(incoming: Incoming[ImportItem]) -> Command:
    """The item's id follows from asker, collection and key, or he names one of his own: nobody else's import reaches it."""
    principal, body = incoming.principal, incoming.body
    knowledge = body.knowledge
    check_partition(principal, knowledge, "$.knowledge")
    check_expiry(knowledge, "$.knowledge.expires")
    await check_attachment(incoming.services, knowledge, "$.knowledge.attachment")
    item = keyed_id(principal.username, KNOWLEDGE_ITEM, body.collection, body.key)
    if body.item not in (None, item):
        item = await _own(incoming, str(body.item))
    message = ImportKnowledge(
        by=principal.username,
        clearance=principal.clearance,
        knowledge=knowledge,
        imported=Imported(collection=body.collection, key=body.key, digest=digest(knowledge)),
    )
    return Command(
        actor=ActorRef(Domain.CEO, KNOWLEDGE_ITEM, item),
        message=message,
        label=label_of(principal, knowledge.confidentiality),
        status_path=f"/v1/knowledge/{item}",
    )


async def _own(incoming: Incoming[ImportItem], item: str) -> str:
    services, principal = incoming.services, incoming.principal
    now = services.clock()
    if not await services.reads.owns(principal.username, item, clearance=principal.clearance, now=now):
        raise NotFoundError("knowledge item")
    return item


async def searchable(incoming: Incoming[SearchableQuery]) -> SearchableRuns:
    """Which of the asker's imports have ended in the index."""
    principal = incoming.principal
    found = await incoming.services.reads.searchable(
        incoming.body.runs, by=principal.username, clearance=principal.clearance
    )
    return SearchableRuns(runs=found)


async def imports(incoming: Incoming[ImportsQuery]) -> ImportedItems:
    """What the asker imported into the collection, as far as he is cleared for what became of it."""
    principal = incoming.principal
    return await incoming.services.reads.imports(
        incoming.body, owner=principal.username, clearance=principal.clearance, now=incoming.services.clock()
    )


async def collections(incoming: Incoming[CollectionsQuery]) -> Collections:
    """Which collections the asker has."""
    principal, services = incoming.principal, incoming.services
    known = await services.reads.collections(
        incoming.body.among, owner=principal.username, clearance=principal.clearance, now=services.clock()
    )
    return Collections(collections=tuple(sorted(known)))


async def adoptable(incoming: Incoming[AdoptableQuery]) -> AdoptableItems:
    """What the asker added without importing it, as far as he is cleared for what became of it."""
    principal, services = incoming.principal, incoming.services
    return await services.reads.adoptable(
        incoming.body, owner=principal.username, clearance=principal.clearance, now=services.clock()
    )
