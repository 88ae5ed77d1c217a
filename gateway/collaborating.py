"""Asking a domain for one of its request types, and what was asked so far."""

import msgspec
from msgspec.structs import replace

from contracts.collaborating import (
    AskDomain,
    Collaborations,
    CollaborationsQuery,
    CollaborationView,
    RequestTypes,
    RequestTypeView,
)
from contracts.collaboration import COLLABORATION, Collaborate, Request
from contracts.domains import Domain
from contracts.request_types import REQUEST_TYPES, request_type
from gateway import untaken
from gateway.commands import WRITE, Incoming, allowance, checked_deadline, label_of, named_actor, new_actor
from gateway.execution import Command, Ended
from gateway.problems import ForbiddenError, NotFoundError, ProblemError
from gateway.row_views import collaboration_view
from gateway.standing import standing
from projections import collaborations as read_model
from runtime.read_models import logged

ANSWERING = (Domain.SOPHIA, Domain.ARTEMIS, Domain.CEO)


async def types(_incoming: Incoming[None]) -> RequestTypes:
    return RequestTypes(
        types=tuple(
            RequestTypeView(
                domain=one.domain,
                name=one.name,
                description=one.description,
                context=msgspec.Raw(msgspec.json.encode(msgspec.json.schema(one.context))),
                sections=one.sections,
                permission=one.permission,
            )
            for one in REQUEST_TYPES
        )
    )


async def ask(incoming: Incoming[AskDomain]) -> Command:
    """The request. One of an unknown type is asked all the same: its outcome says which are known. Raises ForbiddenError."""
    body, principal = incoming.body, incoming.principal
    domain = Domain(body.domain)
    kind = request_type(domain, body.request_type)
    principal.require(kind.permission if kind else WRITE[domain])
    deadline = checked_deadline(body.deadline, incoming.services.clock())
    actor = new_actor(domain, COLLABORATION, incoming.id)
    request = Request(
        request_type=body.request_type,
        question=body.question,
        context=body.context,
        priority=body.priority,
        deadline=deadline,
        needs_ceo_context=body.needs_ceo_context,
    )
    return Command(
        actor=actor,
        message=Collaborate(
            asker=Domain.SYSTEM,
            request=request,
            budget=allowance(body.budget, incoming.services.settings.budget),
            grants=principal.grants,
        ),
        label=label_of(principal, body.confidentiality),
        status_path=f"/v1/collaborations/{actor.id}",
        priority=body.priority,
        deadline=deadline,
        alternatives=tuple(new_actor(other, COLLABORATION, incoming.id) for other in ANSWERING if other is not domain),
    )


async def ask_reply(incoming: Incoming[AskDomain], _command: Command, ended: Ended) -> CollaborationView:
    """The request with its outcome, however it ended. Raises ProblemError where that rests on what the asker may not see."""
    label = max(stored.record.envelope.label for stored in ended.records)
    if label > incoming.principal.clearance:
        raise ForbiddenError("the outcome rests on something above your clearance")
    row = read_model.folded(read_model.COLLABORATIONS.wanted(logged(ended.records)))
    if row is None:
        raise ProblemError(409, "unchanged", "this was asked before")
    return collaboration_view(row, incoming.services.clock())


async def collaborations(incoming: Incoming[CollaborationsQuery]) -> Collaborations:
    """His own, those that domains asked for him among them; an administrator sees everybody's."""
    principal, services = incoming.principal, incoming.services
    by = None if principal.may("system:admin") else principal.username
    page = await services.reads.collaborations(
        incoming.body, by=by, clearance=principal.clearance, now=services.clock()
    )
    now = await standing(services, principal, ((one.by, one.correlation_id) for one in page.collaborations))
    seen = (
        one for one in page.collaborations if now.label(one.by, one.correlation_id, one.label) <= principal.clearance
    )
    return replace(page, collaborations=tuple(seen))


async def collaboration(incoming: Incoming[None]) -> CollaborationView:
    """One of his (an administrator: anybody's), else NotFoundError."""
    principal, services = incoming.principal, incoming.services
    identity = named_actor(Domain.SYSTEM, COLLABORATION, incoming.path["collaboration"], "collaboration").id
    found = await services.reads.collaboration(identity, clearance=principal.clearance, now=services.clock())
    if found is None and (asked := await untaken.collaboration(incoming, identity)):
        return asked
    if found is None or not principal.owns(found.by):
        raise NotFoundError("collaboration")
    now = await standing(services, principal, [(found.by, found.correlation_id)])
    if now.label(found.by, found.correlation_id, found.label) > principal.clearance:
        raise NotFoundError("collaboration")
    return found
