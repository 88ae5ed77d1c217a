"""Approvals as tests make them: an action, deciders, and what they say."""

from datetime import UTC, datetime, timedelta

import msgspec

from contracts.approval import (
    DECIDE,
    Action,
    ApprovalRequested,
    Decider,
    DelegateApproval,
    DenyApproval,
    GrantApproval,
    Policy,
    RequestApproval,
    RevokeApproval,
)
from contracts.approvals import ApprovalsQuery
from contracts.domains import Clearance, Domain
from contracts.users import Role
from projections import approvals

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
EXPIRES = NOW + timedelta(days=1)
WAITER = "sophia/conversation/s1/01999999-0000-7000-8000-000000000001/7/1/ab/approval"
ID = "01999999-0000-7000-8000-00000000000a"


def acting(policy: Policy | None = None, arguments: bytes = b'{"total":2}') -> Action:
    return Action(
        name="tool double",
        arguments=msgspec.Raw(arguments),
        policy=policy or Policy(),
        domain=Domain.SOPHIA,
        actor="conversation/s1",
        principal="ann",
        causation="01999999-0000-7000-8000-000000000001",
        correlation="01999999-0000-7000-8000-000000000002",
        effect=3,
    )


def request(action: Action, label: Clearance = Clearance.INTERNAL) -> RequestApproval:
    return RequestApproval(id=ID, action=action, expires=EXPIRES, label=label, waiter=WAITER)


def requested(action: Action, label: Clearance = Clearance.INTERNAL) -> ApprovalRequested:
    return ApprovalRequested(id=ID, action=action, digest=action.digest, expires=EXPIRES, label=label, waiter=WAITER)


def decider(
    role: Role = "admin", *, at: datetime = NOW, clearance: Clearance = Clearance.RESTRICTED, decides: bool = True
) -> Decider:
    return Decider(roles=(role,), permissions=(DECIDE,) if decides else (), clearance=clearance, at=at)


def grant(by: str, action: Action, who: Decider | None = None) -> GrantApproval:
    return GrantApproval(by=by, digest=action.digest, decider=who or decider())


def deny(by: str, reason: str = "no", who: Decider | None = None) -> DenyApproval:
    return DenyApproval(by=by, reason=reason, decider=who or decider())


def delegate(by: str, to: str, until: datetime | None = None, who: Decider | None = None) -> DelegateApproval:
    return DelegateApproval(by=by, to=to, until=until, decider=who or decider())


def revoke(by: str, who: Decider | None = None) -> RevokeApproval:
    return RevokeApproval(by=by, decider=who or decider())


def wanted(row: approvals.Approval, query: ApprovalsQuery, reader: approvals.Reader) -> bool:
    """Whether the list that is asked for holds it."""
    mine = reader.username
    if query.which == "decide":
        return row.status == "waiting" and mine not in row.granters and approvals.may_decide(row, reader)
    return query.which == "all" or row.principal == mine
