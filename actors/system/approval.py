"""Approval: one action that waits for people; it is used once, as they saw it, or never."""

import hmac
from datetime import datetime
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from contracts.approval import (
    APPROVAL,
    DECIDE,
    ApprovalAnswered,
    ApprovalDelegated,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalUsed,
    ApprovalVoided,
    ApprovalWithdrawn,
    Authority,
    Decider,
    DelegateApproval,
    DenyApproval,
    ExpireApproval,
    GrantApproval,
    Policy,
    RequestApproval,
    RevokeApproval,
    Status,
    UseApproval,
    Verdict,
    VoidApproval,
    WithdrawApproval,
)
from contracts.domains import Clearance
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import Rejected, RejectionCode

DELEGATIONS_MAX = 20
EXPIRY = "expiry"
DIGITS_SHOWN = 12

Message = (
    RequestApproval
    | GrantApproval
    | DenyApproval
    | DelegateApproval
    | RevokeApproval
    | WithdrawApproval
    | ExpireApproval
    | UseApproval
    | VoidApproval
)
Decision = GrantApproval | DenyApproval | DelegateApproval | RevokeApproval
Recordable = (
    ApprovalRequested
    | ApprovalGranted
    | ApprovalDenied
    | ApprovalDelegated
    | ApprovalRevoked
    | ApprovalWithdrawn
    | ApprovalExpired
    | ApprovalUsed
    | ApprovalVoided
    | ApprovalAnswered
)
SAID: dict[Status, tuple[RejectionCode, str]] = {
    "granted": ("granted", "enough people have agreed already"),
    "used": ("used", "what was approved runs already, or has run"),
    "denied": ("denied", "it was denied"),
    "expired": ("expired", "its time is over"),
    "withdrawn": ("withdrawn", "who asked for it has withdrawn it"),
    "voided": ("voided", "it was voided"),
}
"""How somebody is refused who comes when it stands so."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What the decisions need of the request."""

    approval: str
    digest: str
    policy: Policy
    principal: str
    causation: str
    effect: int
    expires: datetime
    label: Clearance
    waiter: str


class Grant(Struct, frozen=True):
    """A vote that counts: who gave it, and whose it is."""

    by: str
    vote: str


class Delegation(Struct, frozen=True):
    by: str
    to: str
    until: datetime | None
    authority: Authority


class State(Struct, frozen=True):
    wanted: Wanted | None = None
    status: Status = "waiting"
    reason: str = ""
    grants: tuple[Grant, ...] = ()
    delegations: tuple[Delegation, ...] = ()
    told: frozenset[str] = frozenset()


def decide(state: State, message: Message) -> list[Recordable]:
    if isinstance(message, RequestApproval):
        return [] if state.wanted else [_requested(message)]
    wanted = state.wanted
    if wanted is None:
        raise Rejected("there is no such approval", "not_found")
    match message:
        case GrantApproval() | DenyApproval() | DelegateApproval() | RevokeApproval():
            return _decided(state, wanted, message)
        case WithdrawApproval():
            return _withdraw(state, wanted, message)
        case ExpireApproval():
            return _ended(state, wanted, ApprovalExpired()) if state.status in ("waiting", "granted") else []
        case UseApproval():
            return _use(state, wanted, message)
        case VoidApproval():
            if state.status not in ("waiting", "granted", "used"):
                return []
            return _ended(state, wanted, _differs(wanted, message.running, message.reason))
        case _:
            assert_never(message)


def _requested(message: RequestApproval) -> ApprovalRequested:
    return ApprovalRequested(
        id=message.id,
        action=message.action,
        digest=message.action.digest,
        expires=message.expires,
        label=message.label,
        waiter=message.waiter,
    )


def _decided(state: State, wanted: Wanted, message: Decision) -> list[Recordable]:
    decider = message.decider
    if decider.clearance < wanted.label:
        raise Rejected("there is no such approval", "not_found")
    if isinstance(message, RevokeApproval):
        return _revoke(state, wanted, message)
    authority = _authority(state, wanted, message.by, decider)
    if isinstance(message, GrantApproval) and any(grant.by == message.by for grant in state.grants):
        return []
    if state.status != "waiting":
        raise _refusal(state)
    if decider.at >= wanted.expires:
        raise Rejected(f"its time was over at {wanted.expires.isoformat()}", "expired")
    match message:
        case GrantApproval():
            return _grant(state, wanted, message, authority)
        case DenyApproval():
            denied = ApprovalDenied(by=message.by, digest=wanted.digest, authority=authority, reason=message.reason)
            return _ended(state, wanted, denied)
        case DelegateApproval():
            return _delegate(state, wanted, message, authority)
        case _:
            assert_never(message)


def _authority(state: State, wanted: Wanted, by: str, decider: Decider) -> Authority:
    """By what right he decides. Raises Rejected: he has none."""
    policy = wanted.policy
    if by == wanted.principal and not policy.self_approval:
        raise Rejected("you asked for it yourself: somebody else must decide", "forbidden")
    if own := _own(policy, by, decider):
        return own
    for delegation in state.delegations:
        if delegation.to == by and (delegation.until is None or decider.at < delegation.until):
            return replace(delegation.authority, delegated_by=delegation.by)
    raise Rejected(f"you are none of those who may decide: {_those(policy)}", "forbidden")


def _own(policy: Policy, by: str, decider: Decider) -> Authority | None:
    if by in policy.approvers:
        return Authority(how="named")
    for role in policy.roles:
        if role in decider.roles:
            return Authority(how="role", what=role)
    if not policy.approvers and not policy.roles and DECIDE in decider.permissions:
        return Authority(how="permission", what=DECIDE)
    return None


def _those(policy: Policy) -> str:
    named = [*policy.approvers, *(f"role {role}" for role in policy.roles)]
    return ", ".join(named) or f"permission {DECIDE}"


def _grant(state: State, wanted: Wanted, message: GrantApproval, authority: Authority) -> list[Recordable]:
    if not hmac.compare_digest(message.digest, wanted.digest):
        saw, is_ = message.digest[:DIGITS_SHOWN], wanted.digest[:DIGITS_SHOWN]
        raise Rejected(f"what you saw is {saw}…, what would run is {is_}…: look again", "digest-mismatch")
    vote = authority.delegated_by or message.by
    for grant in state.grants:
        if grant.vote == vote or _linked(state, grant.by, message.by):
            raise Rejected(f"{grant.by} has agreed already, and you two count as one: one is the other's delegate")
    granted = ApprovalGranted(by=message.by, digest=wanted.digest, authority=authority)
    after = evolve(state, granted)
    return [granted] if after.status == "waiting" else [granted, _answer(after, wanted, wanted.waiter)]


def _linked(state: State, one: str, other: str) -> bool:
    return any({one, other} == {delegation.by, delegation.to} for delegation in state.delegations)


def _delegate(state: State, wanted: Wanted, message: DelegateApproval, authority: Authority) -> list[Recordable]:
    by, to = message.by, message.to
    if not wanted.policy.delegation:
        raise Rejected("its policy allows no delegation", "forbidden")
    if authority.delegated_by is not None:
        raise Rejected(f"your vote is that of {authority.delegated_by}: only he can delegate it", "forbidden")
    if to == by or (to == wanted.principal and not wanted.policy.self_approval):
        raise Rejected("you cannot delegate to yourself, nor to who asked for it", "forbidden")
    if message.until is not None and message.until <= message.decider.at:
        raise Rejected(f"{message.until.isoformat()} has passed")
    if any(to in (grant.by, grant.vote) or by in (grant.by, grant.vote) for grant in state.grants):
        raise Rejected(f"{by} or {to} has agreed already")
    given = Delegation(by, to, message.until, authority)
    if given in state.delegations:
        return []
    if len(state.delegations) >= DELEGATIONS_MAX:
        raise Rejected(f"an approval has at most {DELEGATIONS_MAX} delegations", "limit")
    handed = replace(state, delegations=(*state.delegations, given))
    if not _reachable(handed, wanted, message.decider.at):
        told = f"a quorum of {wanted.policy.quorum} could not come together any more"
        raise Rejected(f"{by} and {to} would count as one, and {told}: delegate to one whose own vote is not needed")
    return [ApprovalDelegated(by=by, to=to, until=message.until, authority=authority)]


def _reachable(state: State, wanted: Wanted, at: datetime) -> bool:
    """Whether those whom the policy names, and their delegates, can still make up the quorum. Whom it names by role or
    permission nobody can count here."""
    policy = wanted.policy
    if policy.roles or not policy.approvers:
        return True
    votes = {name: name for name in policy.approvers if policy.self_approval or name != wanted.principal}
    for given in state.delegations:
        if given.until is None or at < given.until:
            votes.setdefault(given.to, given.by)
    return _completes(state, policy.quorum, tuple(Grant(by, vote) for by, vote in votes.items()))


def _completes(state: State, quorum: int, more: tuple[Grant, ...]) -> bool:
    """Whether the grants there are and some of `more` are a quorum of which no two count as one."""
    if len(state.grants) >= quorum:
        return True
    for number, one in enumerate(more):
        if any(one.vote == grant.vote or _linked(state, grant.by, one.by) for grant in state.grants):
            continue
        if _completes(replace(state, grants=(*state.grants, one)), quorum, more[number + 1 :]):
            return True
    return False


def _revoke(state: State, wanted: Wanted, message: RevokeApproval) -> list[Recordable]:
    by = message.by
    counted = any(by in (grant.by, grant.vote) for grant in state.grants)
    if not counted and all(delegation.by != by for delegation in state.delegations):
        raise Rejected("you have neither agreed nor delegated here")
    if state.status not in ("waiting", "granted"):
        raise _refusal(state)
    revoked = ApprovalRevoked(by=by)
    if state.status == "granted" and counted:
        return [revoked, ApprovalVoided(approved=wanted.digest, reason=f"{by} took his agreement back")]
    return [revoked]


def _withdraw(state: State, wanted: Wanted, message: WithdrawApproval) -> list[Recordable]:
    if message.by != wanted.principal:
        raise Rejected("only who asked for it can withdraw it", "forbidden")
    if state.status == "withdrawn":
        return []
    if state.status not in ("waiting", "granted"):
        raise _refusal(state)
    return _ended(state, wanted, ApprovalWithdrawn(by=message.by, reason=message.reason))


def _use(state: State, wanted: Wanted, message: UseApproval) -> list[Recordable]:
    """Nobody is refused here: an effect waits for the answer."""
    if message.waiter in state.told:
        return []
    if state.status == "granted":
        if not hmac.compare_digest(message.digest, wanted.digest):
            event: Recordable = _differs(wanted, message.digest, "what was to run is not what was approved")
        elif message.at >= wanted.expires:
            event = ApprovalExpired()
        else:
            event = ApprovalUsed(digest=wanted.digest, causation=wanted.causation, effect=wanted.effect)
        return [event, _answer(evolve(state, event), wanted, message.waiter)]
    answer = _answer(state, wanted, message.waiter)
    if state.status == "used":
        again = replace(answer.verdict, status="voided", reason="it was used already: it is good for one run")
        return [replace(answer, verdict=again)]
    return [answer]


def _differs(wanted: Wanted, running: str, reason: str) -> ApprovalVoided:
    return ApprovalVoided(approved=wanted.digest, running=running, reason=reason)


def _ended(state: State, wanted: Wanted, event: Recordable) -> list[Recordable]:
    """The event, and behind it what the effect is told, where it still waits."""
    if state.status != "waiting":
        return [event]
    return [event, _answer(evolve(state, event), wanted, wanted.waiter)]


def _answer(state: State, wanted: Wanted, waiter: str) -> ApprovalAnswered:
    by = tuple(grant.by for grant in state.grants)
    verdict = Verdict(approval=wanted.approval, status=state.status, digest=wanted.digest, by=by, reason=state.reason)
    return ApprovalAnswered(waiter=waiter, verdict=verdict)


def _refusal(state: State) -> Rejected:
    code, said = SAID[state.status]
    return Rejected(f"{said}{f': {state.reason}' if state.reason else ''}", code)


def evolve(state: State, event: Recordable) -> State:  # noqa: C901 - one case an event
    match event:
        case ApprovalRequested():
            return replace(state, wanted=_wanted(event))
        case ApprovalGranted():
            grants = (*state.grants, Grant(event.by, event.authority.delegated_by or event.by))
            quorum = state.wanted.policy.quorum if state.wanted else 1
            return replace(state, grants=grants, status="granted" if len(grants) >= quorum else state.status)
        case ApprovalDenied():
            return replace(state, status="denied", reason=f"{event.by}: {event.reason}" if event.reason else event.by)
        case ApprovalDelegated():
            given = Delegation(event.by, event.to, event.until, event.authority)
            return replace(state, delegations=(*state.delegations, given))
        case ApprovalRevoked():
            grants = tuple(grant for grant in state.grants if event.by not in (grant.by, grant.vote))
            delegations = tuple(given for given in state.delegations if given.by != event.by)
            return replace(state, grants=grants, delegations=delegations)
        case ApprovalWithdrawn():
            return replace(state, status="withdrawn", reason=event.reason)
        case ApprovalExpired():
            return replace(state, status="expired", reason="nobody used it in time" if state.grants else "")
        case ApprovalUsed():
            return replace(state, status="used")
        case ApprovalVoided():
            return replace(state, status="voided", reason=event.reason)
        case ApprovalAnswered():
            return replace(state, told=state.told | {event.waiter})
        case _:
            assert_never(event)


def _wanted(event: ApprovalRequested) -> Wanted:
    action = event.action
    return Wanted(
        approval=event.id,
        digest=event.digest,
        policy=action.policy,
        principal=action.principal,
        causation=action.causation,
        effect=action.effect,
        expires=event.expires,
        label=event.label,
        waiter=event.waiter,
    )


async def react(recorded: Recorded[ApprovalRequested | ApprovalAnswered], effects: Effects) -> None:
    event = recorded.event
    match event:
        case ApprovalRequested():
            await effects.schedule(EXPIRY, ExpireApproval(), event.expires)
        case ApprovalAnswered():
            if event.verdict.status != "granted":
                await effects.unschedule(EXPIRY)
            await effects.answer(event.waiter, event.verdict)
        case _:
            assert_never(event)


approval = Actor(APPROVAL, State(), decide, evolve, react)
