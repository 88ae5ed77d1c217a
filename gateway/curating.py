"""Commands about knowledge and facts, and their replies."""

from collections.abc import Sequence
from datetime import datetime
from typing import get_args

import msgspec
from msgspec import Struct

from contracts import subjects
from contracts.business import BUSINESS_FACTS, BusinessRecorded
from contracts.curating import Declassify, ImportItem, KnowledgeItem
from contracts.domains import Clearance, Domain, ItemPartition
from contracts.envelope import Stored
from contracts.facts import FACT_DOMAINS, SIGNAL, AnyPublished, SignalRecorded, fact_kind
from contracts.http import EventView
from contracts.ids import derived_id
from contracts.knowledge import (
    AddKnowledge,
    DeclassifyKnowledge,
    DeleteKnowledge,
    Knowledge,
    KnowledgeAdded,
    KnowledgeDeclassified,
    KnowledgeDeleted,
    KnowledgeExpired,
    KnowledgeUpdated,
    UpdateKnowledge,
)
from contracts.subjects import ActorRef
from gateway.commands import (
    EXPIRES_YEAR_MAX,
    WRITE,
    Incoming,
    event_of,
    having,
    label_of,
    may_read,
    named_actor,
    require_partition,
)
from gateway.execution import Command, Ended
from gateway.heads import before_run
from gateway.identity import Principal
from gateway.problems import NotFoundError, ValidationProblemError
from gateway.services import Services
from gateway.views import event_view
from runtime.errors import OutcomeError

KNOWLEDGE_ITEM = "knowledge_item"


class Held(Struct, frozen=True):
    """A knowledge item as its log has it; `knowledge` None once it has ended. What this request caused is behind `after`."""

    knowledge: Knowledge | None
    label: Clearance
    by: str
    created: datetime
    updated: datetime
    after: int


async def add_knowledge(incoming: Incoming[Knowledge]) -> Command:
    item = derived_id(incoming.id, KNOWLEDGE_ITEM)
    check_partition(incoming.principal, incoming.body, "$")
    check_expiry(incoming.body, "$.expires")
    await check_attachment(incoming.services, incoming.body, "$.attachment")
    return Command(
        actor=ActorRef(Domain.CEO, KNOWLEDGE_ITEM, item),
        message=AddKnowledge(by=incoming.principal.username, knowledge=incoming.body),
        label=label_of(incoming.principal, incoming.body.confidentiality),
        status_path=f"/v1/knowledge/{item}",
    )


async def update_knowledge(incoming: Incoming[Knowledge]) -> Command:
    principal = incoming.principal
    check_partition(principal, incoming.body, "$")
    check_expiry(incoming.body, "$.expires")
    await check_attachment(incoming.services, incoming.body, "$.attachment")
    label = label_of(principal, incoming.body.confidentiality)
    actor, held = await _held(incoming)
    if held.knowledge is None:
        raise NotFoundError("knowledge item")
    message = UpdateKnowledge(by=principal.username, clearance=principal.clearance, knowledge=incoming.body)
    return Command(actor=actor, message=message, label=label, status_path=f"/v1/knowledge/{actor.id}", after=held.after)


async def declassify_knowledge(incoming: Incoming[Declassify]) -> Command:
    principal, body = incoming.principal, incoming.body
    actor, held = await _held(incoming)
    if held.knowledge is None:
        raise NotFoundError("knowledge item")
    return Command(
        actor=actor,
        message=DeclassifyKnowledge(
            by=principal.username,
            clearance=principal.clearance,
            confidentiality=body.confidentiality,
            reason=body.reason,
        ),
        label=body.confidentiality,
        status_path=f"/v1/knowledge/{actor.id}",
        after=held.after,
    )


async def delete_knowledge(incoming: Incoming[None]) -> Command:
    principal = incoming.principal
    actor, held = await _held(incoming)
    message = DeleteKnowledge(by=principal.username, clearance=principal.clearance)
    return Command(
        actor=actor, message=message, label=held.label, status_path=f"/v1/runs/{incoming.id}", after=held.after
    )


async def item_reply(
    incoming: Incoming[Knowledge] | Incoming[Declassify] | Incoming[ImportItem], command: Command, ended: Ended
) -> KnowledgeItem:
    """The item as the request left it. Raises NotFoundError once its asker may not read it any more, as everywhere."""
    records = await incoming.services.log.read(subjects.log(command.actor))
    held, now = folded(records, until=ended.ending.sequence), folded(records)
    if held is None or held.knowledge is None or now is None:
        raise NotFoundError("knowledge item")
    principal = incoming.principal
    if max(held.label, now.label) > principal.clearance or not may_read(principal, held.knowledge.partition):
        raise NotFoundError("knowledge item")
    return _item(command.actor, held, held.knowledge)


async def _held(incoming: Incoming[Knowledge] | Incoming[Declassify] | Incoming[None]) -> tuple[ActorRef, Held]:
    """The item that is to be changed. Raises NotFoundError, also for one that the asker may not know of, and for one that
    another request deleted."""
    actor = named_actor(Domain.CEO, KNOWLEDGE_ITEM, incoming.path["item"], "knowledge item")
    records = await incoming.services.log.read(subjects.log(actor))
    held = folded(records)
    if held is None or held.label > incoming.principal.clearance:
        raise NotFoundError("knowledge item")
    if held.knowledge is not None and not may_read(incoming.principal, held.knowledge.partition):
        raise NotFoundError("knowledge item")
    if held.knowledge is None and records[-1].record.envelope.correlation != incoming.id:
        raise NotFoundError("knowledge item")
    return actor, msgspec.structs.replace(held, after=before_run(records, incoming.id))


def folded(records: Sequence[Stored], until: int | None = None) -> Held | None:
    """The item as its log has it, up to a sequence; None: it was never added."""
    held: Held | None = None
    for stored in records:
        if until is not None and stored.sequence > until:
            break
        envelope = stored.record.envelope
        match event_of(stored):
            case KnowledgeAdded(by=by, knowledge=knowledge):
                time = envelope.time
                held = Held(knowledge, knowledge.confidentiality, by, created=time, updated=time, after=0)
            case KnowledgeUpdated(by=by, knowledge=knowledge) | KnowledgeDeclassified(by=by, knowledge=knowledge) if (
                held
            ):
                held = Held(knowledge, knowledge.confidentiality, by, held.created, updated=envelope.time, after=0)
            case KnowledgeDeleted() | KnowledgeExpired() if held is not None:
                held = msgspec.structs.replace(held, knowledge=None)
            case _:
                pass
    return held


def _item(actor: ActorRef, held: Held, knowledge: Knowledge) -> KnowledgeItem:
    return KnowledgeItem(id=actor.id, knowledge=knowledge, by=held.by, created=held.created, updated=held.updated)


def check_partition(principal: Principal, knowledge: Knowledge, where: str) -> None:
    """Raises ForbiddenError for a partition that is closed to the writer, ValidationProblemError for one that takes no items, or
    not these fields."""
    require_partition(principal, knowledge.partition)
    taken = get_args(ItemPartition)
    if knowledge.partition not in taken:
        raise ValidationProblemError(
            f"{where}.partition", f"agents alone write in {knowledge.partition}; take one of {', '.join(taken)}"
        )
    having((knowledge.partition,), knowledge.fields or {}, f"{where}.fields")


def check_expiry(knowledge: Knowledge, field: str) -> None:
    """Raises ValidationProblemError for a moment that cannot be."""
    if knowledge.expires is None:
        return
    if knowledge.expires.tzinfo is None:
        raise ValidationProblemError(field, "must have an offset from UTC, such as Z")
    if not 1970 < knowledge.expires.year < EXPIRES_YEAR_MAX:
        raise ValidationProblemError(field, f"must lie between 1971 and {EXPIRES_YEAR_MAX}")


async def publish_fact(incoming: Incoming[AnyPublished]) -> Command:
    principal, fact = incoming.principal, incoming.body
    domain = next((known for known in Domain if known == incoming.path["domain"]), None)
    if domain is None:
        raise NotFoundError("domain")
    kind = incoming.path["kind"]
    if kind not in (SIGNAL, *BUSINESS_FACTS):
        raise NotFoundError(f"kind of actor that takes facts; that is {', '.join((SIGNAL, *BUSINESS_FACTS))}")
    principal.require(WRITE[domain])
    if FACT_DOMAINS[type(fact)] is not domain:
        raise ValidationProblemError("$.type", f"this fact is meant for the domain {FACT_DOMAINS[type(fact)].value}")
    if fact_kind(type(fact)) != kind:
        raise ValidationProblemError("$.type", f"this fact is about a {fact_kind(type(fact))}, not a {kind}")
    actor = named_actor(domain, kind, incoming.path["id"], kind)
    label = label_of(principal, fact.confidentiality)
    records = await incoming.services.log.read(subjects.log(actor))
    status_path = f"/v1/events?domain={domain.value}&kind={kind}&id={actor.id}"
    after = before_run(records, incoming.id)
    return Command(actor=actor, message=fact, label=label, status_path=status_path, after=after)


async def fact_reply(incoming: Incoming[AnyPublished], command: Command, ended: Ended) -> EventView:
    """The event that holds the fact: this run's, or where the fact was known already the earlier one.

    Who may not see the earlier one is shown that nothing was recorded: not when, by whom or in which run it was.
    """
    if isinstance(event_of(ended.ending), SignalRecorded | BusinessRecorded):
        return event_view(ended.ending, body=True)
    for stored in reversed(await incoming.services.log.read(subjects.log(command.actor))):
        event = event_of(stored)
        known = isinstance(event, SignalRecorded | BusinessRecorded) and event.fact == incoming.body
        if known and stored.record.envelope.label <= incoming.principal.clearance:
            return event_view(stored, body=True)
    return event_view(ended.ending)


async def check_attachment(services: Services, knowledge: Knowledge, field: str) -> None:
    """Raises ValidationProblemError for an attachment that was not stored before, or is of another size."""
    attachment = knowledge.attachment
    if attachment is None:
        return
    try:
        content = await services.blobs.get(attachment.digest)
    except OutcomeError as error:
        raise ValidationProblemError(f"{field}.digest", "no such file; store it with POST /v1/files first") from error
    if len(content) != attachment.size_bytes:
        raise ValidationProblemError(f"{field}.size_bytes", f"the file has {len(content)} bytes")
