"""Approvals: what people must agree to, and how each stands."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct, structs

from contracts.approval import (
    DECIDE,
    ApprovalDelegated,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalUsed,
    ApprovalVoided,
    ApprovalWithdrawn,
    Status,
)
from contracts.domains import Clearance, Domain
from contracts.users import Permission, Role
from projections.paging import Page, bounded, from_cursor, to_cursor, types_of
from runtime.read_models import Db, Key, Logged, Projection

DDL = """
CREATE TABLE approvals (
  id text NOT NULL, name text NOT NULL, principal text NOT NULL, status text NOT NULL, digest text NOT NULL,
  quorum bigint NOT NULL, approvers text[] NOT NULL, roles text[] NOT NULL, self_approval boolean NOT NULL,
  delegates text[] NOT NULL, delegators text[] NOT NULL, granters text[] NOT NULL, votes text[] NOT NULL,
  correlation text NOT NULL, reason text NOT NULL, label diarchy.clearance NOT NULL, requested timestamptz NOT NULL,
  expires timestamptz NOT NULL, PRIMARY KEY (id)
)
"""
INDEXES = """
CREATE INDEX ON approvals (requested DESC, id DESC);
CREATE INDEX ON approvals (principal, requested DESC, id DESC);
CREATE INDEX ON approvals (correlation)
"""


class Approval(Struct, frozen=True, kw_only=True):
    """One approval. `delegates` have the votes of `delegators`, place by place; so do `granters` cast those of `votes`."""

    id: str
    name: str
    principal: str
    status: Status = "waiting"
    digest: str
    quorum: int
    approvers: tuple[str, ...]
    roles: tuple[str, ...]
    self_approval: bool
    delegates: tuple[str, ...] = ()
    delegators: tuple[str, ...] = ()
    granters: tuple[str, ...] = ()
    votes: tuple[str, ...] = ()
    correlation: str
    reason: str = ""
    label: Clearance
    requested: datetime
    expires: datetime


def key(logged: Logged) -> Key:
    return (logged.address.actor.id,)


def fold(row: Approval | None, logged: Logged) -> Approval | None:  # noqa: C901 - one case an event
    event, envelope = logged.event, logged.envelope
    if isinstance(event, ApprovalRequested):
        action, policy = event.action, event.action.policy
        return Approval(
            id=logged.address.actor.id,
            name=action.name,
            principal=action.principal,
            digest=event.digest,
            quorum=policy.quorum,
            approvers=policy.approvers,
            roles=policy.roles,
            self_approval=policy.self_approval,
            correlation=action.correlation,
            label=max(envelope.label, event.label),
            requested=envelope.time,
            expires=event.expires,
        )
    if row is None:
        return None
    row = structs.replace(row, label=max(row.label, envelope.label))
    match event:
        case ApprovalGranted():
            granters, votes = (*row.granters, event.by), (*row.votes, event.authority.delegated_by or event.by)
            status: Status = "granted" if len(granters) >= row.quorum else row.status
            return structs.replace(row, granters=granters, votes=votes, status=status)
        case ApprovalDelegated():
            return structs.replace(row, delegates=(*row.delegates, event.to), delegators=(*row.delegators, event.by))
        case ApprovalRevoked():
            return _without(row, event.by)
        case ApprovalDenied():
            return structs.replace(row, status="denied", reason=event.reason)
        case ApprovalWithdrawn():
            return structs.replace(row, status="withdrawn", reason=event.reason)
        case ApprovalExpired():
            return structs.replace(row, status="expired")
        case ApprovalUsed():
            return structs.replace(row, status="used")
        case ApprovalVoided():
            return structs.replace(row, status="voided", reason=event.reason)
        case _:
            return row


def _without(row: Approval, by: str) -> Approval:
    """Without what he granted, delegated, and had granted with his vote."""
    cast = [pair for pair in zip(row.granters, row.votes, strict=True) if by not in pair]
    handed = [pair for pair in zip(row.delegates, row.delegators, strict=True) if pair[1] != by]
    return structs.replace(
        row,
        granters=tuple(granter for granter, _ in cast),
        votes=tuple(vote for _, vote in cast),
        delegates=tuple(delegate for delegate, _ in handed),
        delegators=tuple(delegator for _, delegator in handed),
    )


APPROVALS = Projection(
    name="approvals",
    version=1,
    domains=(Domain.SYSTEM,),
    ddl=DDL,
    indexes=INDEXES,
    table="approvals",
    row=Approval,
    key_columns=("id",),
    takes=types_of(
        ApprovalRequested,
        ApprovalGranted,
        ApprovalDelegated,
        ApprovalRevoked,
        ApprovalDenied,
        ApprovalWithdrawn,
        ApprovalExpired,
        ApprovalUsed,
        ApprovalVoided,
    ),
    key=key,
    fold=fold,
)


class Reader(Struct, frozen=True, kw_only=True):
    """Who looks, and what his token says; `every`: he may see what others ask and decide."""

    username: str
    roles: tuple[Role, ...]
    permissions: frozenset[Permission]
    clearance: Clearance
    every: bool = False


def may_decide(row: Approval, reader: Reader) -> bool:
    """Whether he is one of those who may, by his own right or a delegate's."""
    if reader.username == row.principal and not row.self_approval:
        return False
    if reader.username in row.approvers or reader.username in row.delegates:
        return True
    if not row.approvers and not row.roles:
        return DECIDE in reader.permissions
    return any(role in row.roles for role in reader.roles)


def may_see(row: Approval, reader: Reader) -> bool:
    """Cleared, and his own, his to decide, or he sees every one."""
    if row.label > reader.clearance:
        return False
    return reader.every or reader.username in (row.principal, *row.granters) or may_decide(row, reader)


async def waiting(db: Db, runs: Sequence[str], *, clearance: Clearance) -> dict[str, tuple[str, ...]]:
    """Of these runs, those that people are waited for, each with its approvals that are not decided, the oldest first."""
    rows = await db.rows(
        Approval,
        "SELECT * FROM read.approvals WHERE correlation = ANY($1) AND status = 'waiting'"
        " AND label <= $2::text::diarchy.clearance ORDER BY requested, id",
        *(list(runs), clearance.value),
    )
    return by_run(rows)


def by_run(rows: Iterable[Approval]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        found[row.correlation] = (*found.get(row.correlation, ()), row.id)
    return found


class _Place(Struct, frozen=True, array_like=True):
    requested: datetime
    id: str


async def list_approvals(
    db: Db, reader: Reader, *, which: str, status: Status | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Approval]:
    """Newest first, of those he may see: `decide`, `asked` or `all`. Raises InvalidError for a bad limit or cursor."""
    place = from_cursor(_Place, cursor) if cursor else None
    rows = await db.rows(
        Approval,
        "SELECT a.* FROM read.approvals a CROSS JOIN LATERAL (SELECT (principal <> $2 OR self_approval) AND"
        " ($2 = ANY(approvers) OR $2 = ANY(delegates) OR roles && $3::text[]"
        " OR ($4 AND approvers = '{}' AND roles = '{}')) AS decides) AS d"
        " WHERE label <= $1::text::diarchy.clearance AND ($6::text IS NULL OR status = $6)"
        " AND (($10::text = 'decide' AND d.decides AND status = 'waiting' AND NOT $2 = ANY(granters))"
        " OR ($10 = 'asked' AND principal = $2)"
        " OR ($10 = 'all' AND ($5 OR d.decides OR principal = $2 OR $2 = ANY(granters))))"
        " AND ($7::timestamptz IS NULL OR (requested, id) < ($7, $8::text)) ORDER BY requested DESC, id DESC LIMIT $9",
        *(reader.clearance.value, reader.username, list(reader.roles), DECIDE in reader.permissions, reader.every),
        *(status, place.requested if place else None, place.id if place else None, bounded(limit), which),
    )
    last = rows[-1] if len(rows) == limit else None
    return Page(tuple(rows), to_cursor(_Place(last.requested, last.id)) if last else None)
