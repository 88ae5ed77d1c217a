"""Approval: people agree to exactly what will run. What they agreed to is named by its digest; anything else is not run."""

import hashlib
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message, Personal
from contracts.users import Permission, Role

APPROVAL = "approval"
"""The kind of the actors, all of the system domain: what people decide does not wait for the domain that asked."""

QUORUM_MAX = 5
EXPIRES_S_DEFAULT = 86_400
EXPIRES_S_MAX = 30 * 86_400
APPROVERS_MAX = 50
ARGUMENTS_BYTES_MAX = 262_144
DECIDE: Permission = "approvals:decide"
EVERY_TOOL = "*"

_PREFIX = b"diarchy approval: what will run, v1\n"

Username = Annotated[str, Meta(min_length=1, max_length=128, pattern="^[A-Za-z0-9_-]+$")]
Reason = Annotated[str, Meta(max_length=1_000)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Policy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many different people must agree, who they may be, and until when, in seconds from the asking.

    `approvers` are users by name; `roles` are those whose holders may decide. Where neither names anybody, it is whoever has the
    permission `approvals:decide`. Unless `self_approval`, who asked for the run is none of them. With `delegation` each
    may hand his vote to one who could not decide himself.
    """

    quorum: Annotated[int, Meta(ge=1, le=QUORUM_MAX)] = 1
    expires_s: Annotated[int, Meta(ge=1, le=EXPIRES_S_MAX)] = EXPIRES_S_DEFAULT
    approvers: Annotated[tuple[Username, ...], Meta(max_length=APPROVERS_MAX)] = ()
    roles: tuple[Role, ...] = ()
    self_approval: bool = False
    delegation: bool = True

    def unreachable(self, asker: str = "") -> str:
        """Why the quorum can never come together, whoever agrees; empty: it can."""
        if self.roles or not self.approvers:
            return ""
        named = set(self.approvers) if self.self_approval else set(self.approvers) - {asker}
        if len(named) >= self.quorum:
            return ""
        return f"a quorum of {self.quorum} cannot come together: of those named {len(named)} may decide"


class ApprovalRule(Policy, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which tools need an approval (`*`: all), and under which policy."""

    tools: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(min_length=1, max_length=50)
    ] = (EVERY_TOOL,)

    def names(self, tool: str) -> bool:
        return EVERY_TOOL in self.tools or tool in self.tools

    @property
    def policy(self) -> Policy:
        return Policy(**{name: getattr(self, name) for name in Policy.__struct_fields__})


class Action(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Exactly what will run: the effect's name, its arguments as JSON that is always the same bytes, under which policy, and why.

    `causation` is the event whose reaction wants it, of the actor `actor`; `effect` is its number there; `correlation` the run;
    `principal` who asked for that. What is left out is at its default, so that a field of a later version changes no digest.
    """

    name: str
    arguments: msgspec.Raw
    policy: Policy
    domain: Domain
    actor: str
    principal: str
    causation: str
    correlation: str
    effect: int

    @property
    def digest(self) -> str:
        """SHA-256 of the encoding, in 64 hex digits; nothing else that is hashed here begins as it does."""
        return hashlib.sha256(_PREFIX + msgspec.json.encode(self, order="deterministic")).hexdigest()


Status = Literal["waiting", "granted", "used", "denied", "expired", "withdrawn", "voided"]


class Verdict(Struct, frozen=True, kw_only=True):
    """How an approval stands: `by` are those who agreed; `reason` says why it is not granted, where it is not."""

    approval: str
    status: Status
    digest: str
    by: tuple[str, ...] = ()
    reason: str = ""


class Authority(Struct, frozen=True, kw_only=True):
    """By what right somebody decides: because he is `named`, by a `role` or the `permission` he has (`what`).

    `delegated_by` is whose vote it is, where that is another's.
    """

    how: Literal["named", "role", "permission"]
    what: str = ""
    delegated_by: str | None = None


class Decider(Struct, frozen=True, kw_only=True):
    """What the token said of who decides, and when he did."""

    roles: tuple[Role, ...]
    permissions: tuple[Permission, ...]
    clearance: Clearance
    at: datetime


class RequestApproval(Message, frozen=True, kw_only=True, tag="approval.request.v1"):
    """`id` is the approval's own; `waiter` is the effect that waits for the verdict, as `runtime.asking.resolution` reads it."""

    id: str
    action: Action
    expires: datetime
    label: Clearance
    waiter: str


class GrantApproval(Personal, frozen=True, kw_only=True, tag="approval.grant.v1"):
    """`digest` is that of what he saw: one approves nothing else."""

    digest: Digest
    decider: Decider


class DenyApproval(Personal, frozen=True, kw_only=True, tag="approval.deny.v1"):
    reason: Reason
    decider: Decider


class DelegateApproval(Personal, frozen=True, kw_only=True, tag="approval.delegate.v1"):
    """His vote on this approval, to another, until then."""

    to: Username
    until: datetime | None
    decider: Decider


class RevokeApproval(Personal, frozen=True, kw_only=True, tag="approval.revoke.v1"):
    """Take back what he granted and delegated here."""

    decider: Decider


class WithdrawApproval(Personal, frozen=True, kw_only=True, tag="approval.withdraw.v1"):
    """Who asked wants it no longer."""

    reason: Reason


class ExpireApproval(Message, frozen=True, kw_only=True, tag="approval.expire.v1"):
    """Its time is over."""


class UseApproval(Message, frozen=True, kw_only=True, tag="approval.use.v1"):
    """What is about to run, by its digest: from here on it runs once, or never."""

    digest: Digest
    at: datetime
    waiter: str


class VoidApproval(Message, frozen=True, kw_only=True, tag="approval.void.v1"):
    """At the last look what would have run was something else; it did not run."""

    running: Digest
    reason: str


class ApprovalRequested(Event, frozen=True, kw_only=True, tag="approval.requested.v1"):
    """The whole action and its digest: what people see and agree to."""

    id: str
    action: Action
    digest: str
    expires: datetime
    label: Clearance
    waiter: str


class ApprovalGranted(Event, frozen=True, kw_only=True, tag="approval.granted.v1"):
    """One vote: `by` (the envelope's principal, from his token) agreed to the action of this digest."""

    by: str
    digest: str
    authority: Authority


class ApprovalDenied(Event, frozen=True, kw_only=True, tag="approval.denied.v1"):
    by: str
    digest: str
    authority: Authority
    reason: str


class ApprovalDelegated(Event, frozen=True, kw_only=True, tag="approval.delegated.v1"):
    """`authority` is the one that he has himself, and hands on."""

    by: str
    to: str
    until: datetime | None
    authority: Authority


class ApprovalRevoked(Event, frozen=True, kw_only=True, tag="approval.revoked.v1"):
    """What `by` granted and delegated counts no longer, nor does what was granted with his vote."""

    by: str


class ApprovalWithdrawn(Event, frozen=True, kw_only=True, tag="approval.withdrawn.v1"):
    by: str
    reason: str


class ApprovalExpired(Event, frozen=True, kw_only=True, tag="approval.expired.v1"):
    """Not used in time."""


class ApprovalUsed(Event, frozen=True, kw_only=True, tag="approval.used.v1"):
    """What was approved runs now: effect `effect` of the reaction to `causation`."""

    digest: str
    causation: str
    effect: int


class ApprovalVoided(Event, frozen=True, kw_only=True, tag="approval.voided.v1"):
    """It is worth nothing any more. `running` is the digest of what would have run instead of `approved`, where that is why."""

    approved: str
    running: str | None = None
    reason: str


class ApprovalAnswered(Event, frozen=True, kw_only=True, tag="approval.answered.v1"):
    """What the effect that waits is told."""

    waiter: str
    verdict: Verdict
