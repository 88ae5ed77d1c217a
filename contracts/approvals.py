"""Approvals over HTTP: what waits, what exactly would run, what was decided."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from contracts.approval import Action, Digest, Reason, Status, Username
from contracts.domains import Clearance
from contracts.http import Body, Cursor, Limit


class ApprovalsQuery(Body, frozen=True, kw_only=True):
    """`decide`: those that wait for you; `asked`: of your own runs; `all`: every one that you may see."""

    which: Literal["decide", "asked", "all"] = "decide"
    status: Status | None = None
    after: Cursor | None = None
    limit: Limit = 50


class ApprovalLine(Struct, frozen=True, kw_only=True):
    """One approval in a list: what it is for, how it stands, and who has agreed."""

    id: str
    name: str
    status: Status
    digest: str
    principal: str
    quorum: int
    by: tuple[str, ...]
    label: Clearance
    requested: datetime
    expires: datetime
    correlation_id: str
    reason: str = ""


class Approvals(Struct, frozen=True, kw_only=True):
    approvals: tuple[ApprovalLine, ...]
    next: str | None = None


class ApprovalStep(Struct, frozen=True, kw_only=True):
    """One event: `principal` is who his token said he is; `body` the event as it was recorded."""

    type: str
    time: datetime
    principal: str
    sequence: int
    body: msgspec.Raw


class ApprovalView(Struct, frozen=True, kw_only=True):
    """An approval with the whole action as it will run, its digest, and its history."""

    id: str
    status: Status
    digest: str
    action: Action
    by: tuple[str, ...]
    label: Clearance
    requested: datetime
    expires: datetime
    reason: str
    history: tuple[ApprovalStep, ...]


class GrantBody(Body, frozen=True, kw_only=True):
    """`digest` is that of the action you saw: you agree to nothing else."""

    digest: Digest


class DenyBody(Body, frozen=True, kw_only=True):
    reason: Annotated[str, Meta(min_length=1, max_length=1_000, pattern=r"\S")]


class DelegateBody(Body, frozen=True, kw_only=True):
    """Your vote on this approval to `to`, until then (or until it ends)."""

    to: Username
    until: datetime | None = None


class WithdrawBody(Body, frozen=True, kw_only=True):
    reason: Reason = ""
