"""Approvals: what waits for whom, and what people say. Who says it is his token's to tell, never the body's."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from contracts import subjects
from contracts.approval import (
    APPROVAL,
    ApprovalDelegated,
    ApprovalDenied,
    ApprovalGranted,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalWithdrawn,
    Decider,
    DelegateApproval,
    DenyApproval,
    GrantApproval,
    RevokeApproval,
    WithdrawApproval,
)
from contracts.approvals import (
    Approvals,
    ApprovalsQuery,
    ApprovalStep,
    ApprovalView,
    DelegateBody,
    DenyBody,
    GrantBody,
    WithdrawBody,
)
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message, Stored
from contracts.subjects import ActorRef
from gateway.commands import Incoming, named_actor
from gateway.execution import Command, Ended
from gateway.heads import KERNEL_TYPES
from gateway.identity import Principal
from gateway.problems import NotFoundError
from gateway.rows import Answers, Does, Route
from gateway.standing import standing
from gateway.views import event_view
from projections.approvals import Approval, Reader, fold, may_see
from runtime.read_models import logged

WHAT = "approval"
DECISIONS: tuple[type[Event], ...] = (
    ApprovalGranted,
    ApprovalDenied,
    ApprovalDelegated,
    ApprovalRevoked,
    ApprovalWithdrawn,
)


async def page(incoming: Incoming[ApprovalsQuery]) -> Approvals:
    """As confidential as what the runs rest on is now, to who did not ask."""
    principal = incoming.principal
    found = await incoming.services.reads.approvals(incoming.body, _reader(principal))
    now = await standing(incoming.services, principal, ((one.principal, one.correlation_id) for one in found.approvals))
    lines = (replace(one, label=now.label(one.principal, one.correlation_id, one.label)) for one in found.approvals)
    return replace(found, approvals=tuple(one for one in lines if one.label <= principal.clearance))


class _Found(Struct, frozen=True):
    """An approval as its log has it, and `label`, how confidential it is to the reader now."""

    row: Approval
    request: ApprovalRequested
    records: Sequence[Stored]
    label: Clearance


async def one(incoming: Incoming[Any]) -> ApprovalView:
    """As its log says now. Raises NotFoundError for what is above his clearance by now, or not his to see."""
    found = await _found(incoming)
    row, clearance = found.row, incoming.principal.clearance
    shown = [
        stored
        for stored in found.records
        if stored.record.envelope.type not in KERNEL_TYPES and stored.record.envelope.label <= clearance
    ]
    return ApprovalView(
        id=row.id,
        status=row.status,
        digest=row.digest,
        action=found.request.action,
        by=row.granters,
        label=found.label,
        requested=row.requested,
        expires=row.expires,
        reason=row.reason,
        history=tuple(_step(event_view(stored, body=True)) for stored in shown),
    )


async def _found(incoming: Incoming[Any]) -> _Found:
    """Raises NotFoundError."""
    principal = incoming.principal
    records = await incoming.services.log.read(subjects.log(_actor(incoming)))
    row, request = None, None
    for record in logged(records):
        row = fold(row, record)
        if isinstance(record.event, ApprovalRequested):
            request = record.event
    if row is None or request is None or not may_see(row, _reader(principal)):
        raise NotFoundError(WHAT)
    now = await standing(incoming.services, principal, [(row.principal, row.correlation)])
    label = now.label(row.principal, row.correlation, row.label)
    if label > principal.clearance:
        raise NotFoundError(WHAT)
    return _Found(row, request, records, label)


def _step(view: Any) -> ApprovalStep:
    return ApprovalStep(
        type=view.type, time=view.time, principal=view.principal, sequence=view.sequence, body=view.body
    )


async def grant(incoming: Incoming[GrantBody]) -> Command:
    message = GrantApproval(by=incoming.principal.username, digest=incoming.body.digest, decider=_decider(incoming))
    return await _command(incoming, message)


async def deny(incoming: Incoming[DenyBody]) -> Command:
    message = DenyApproval(by=incoming.principal.username, reason=incoming.body.reason, decider=_decider(incoming))
    return await _command(incoming, message)


async def delegate(incoming: Incoming[DelegateBody]) -> Command:
    body = incoming.body
    message = DelegateApproval(by=incoming.principal.username, to=body.to, until=body.until, decider=_decider(incoming))
    return await _command(incoming, message)


async def revoke(incoming: Incoming[None]) -> Command:
    return await _command(incoming, RevokeApproval(by=incoming.principal.username, decider=_decider(incoming)))


async def withdraw(incoming: Incoming[WithdrawBody]) -> Command:
    message = WithdrawApproval(by=incoming.principal.username, reason=incoming.body.reason)
    return await _command(incoming, message)


async def decided(incoming: Incoming[Any], _command: Command, _ended: Ended) -> ApprovalView:
    """How it stands afterwards."""
    return await one(incoming)


async def _command(incoming: Incoming[Any], message: Message) -> Command:
    """What is said of it is labelled as it was recorded: who asked may still see how it went."""
    found = await _found(incoming)
    return Command(
        actor=_actor(incoming),
        message=message,
        label=found.row.label,
        status_path=f"/v1/approvals/{found.row.id}",
        after=found.records[0].sequence,
    )


def _actor(incoming: Incoming[Any]) -> ActorRef:
    return named_actor(Domain.SYSTEM, APPROVAL, incoming.path["approval"], WHAT)


def _decider(incoming: Incoming[Any]) -> Decider:
    principal = incoming.principal
    return Decider(
        roles=principal.roles,
        permissions=tuple(sorted(principal.permissions)),
        clearance=principal.clearance,
        at=incoming.services.clock(),
    )


def _reader(principal: Principal) -> Reader:
    return Reader(
        username=principal.username,
        roles=principal.roles,
        permissions=principal.permissions,
        clearance=principal.clearance,
        every=principal.may("system:admin"),
    )


APPROVALS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/approvals",
        summary="What waits for your approval (or `which`: of your own runs, all that you may see), newest first",
        action=Answers(page),
        limit="system",
        query=ApprovalsQuery,
        reply=Approvals,
    ),
    Route(
        method="GET",
        path="/v1/approvals/{approval}",
        summary="One approval: exactly what will run, its digest, its policy, who said what",
        action=Answers(one),
        limit="system",
        reply=ApprovalView,
    ),
    Route(
        method="POST",
        path="/v1/approvals/{approval}/grant",
        summary="Agree to what you saw, by its digest",
        action=Does(grant, DECISIONS, decided),
        limit="system",
        request=GrantBody,
        reply=ApprovalView,
        example=GrantBody(digest="9f" * 32),
    ),
    Route(
        method="POST",
        path="/v1/approvals/{approval}/deny",
        summary="Deny it: one denial ends it",
        action=Does(deny, DECISIONS, decided),
        limit="system",
        request=DenyBody,
        reply=ApprovalView,
        example=DenyBody(reason="the table holds names"),
    ),
    Route(
        method="POST",
        path="/v1/approvals/{approval}/delegate",
        summary="Hand your vote on it to somebody else",
        action=Does(delegate, DECISIONS, decided),
        limit="system",
        request=DelegateBody,
        reply=ApprovalView,
        example=DelegateBody(to="eve"),
    ),
    Route(
        method="POST",
        path="/v1/approvals/{approval}/revoke",
        summary="Take back what you granted and delegated, while it is not used",
        action=Does(revoke, DECISIONS, decided),
        limit="system",
        reply=ApprovalView,
    ),
    Route(
        method="POST",
        path="/v1/approvals/{approval}/withdraw",
        summary="Withdraw what your own run asked for: it goes on without",
        action=Does(withdraw, DECISIONS, decided),
        limit="system",
        request=WithdrawBody,
        optional=True,
        reply=ApprovalView,
    ),
)
