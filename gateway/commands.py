"""What every writing route begins with: the request as it came in, and the actor, label and deadline it names."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from contracts.approval import EVERY_TOOL, ApprovalRule
from contracts.catalogue import decode_event
from contracts.domains import Clearance, Domain, Partition
from contracts.envelope import Event, Stored
from contracts.http import Budget
from contracts.model import NOTHING_USED, Allowance, BudgetSpent, Usage
from contracts.partitions import FieldValue, misfit
from contracts.subjects import ActorRef, actor_ref
from contracts.users import Permission
from gateway.execution import Command, Ended
from gateway.identity import Principal
from gateway.problems import ForbiddenError, NotFoundError, ValidationProblemError
from gateway.services import Services

B = TypeVar("B")
SESSION_HEADER = "Diarchy-Session"
"""Names the session that a chat in OpenAI's form goes on in, and in the answer the one it was held in."""

EXPIRES_YEAR_MAX = 9_000
READ: dict[Domain, Permission] = {Domain.SOPHIA: "sophia:read", Domain.ARTEMIS: "artemis:read"}
WRITE: dict[Domain, Permission] = {
    Domain.SOPHIA: "sophia:write",
    Domain.ARTEMIS: "artemis:write",
    Domain.CEO: "cross_domain:collaborate",
    Domain.EMBEDDING: "system:admin",
    Domain.SYSTEM: "system:admin",
}
WRITE_ANY: tuple[Permission, ...] = ("sophia:write", "artemis:write")
CURATE: tuple[Permission, ...] = ("cross_domain:collaborate", "system:admin")
"""Either lets its holder change the knowledge base."""

PARTITION_READ: dict[Partition, Permission | None] = {
    "ceo_knowledge": None,
    "shared_knowledge": None,
    "sophia_business": "sophia:read",
    "research_data": "sophia:read",
    "artemis_technical": "artemis:read",
    "code_knowledge": "artemis:read",
    "agent_memories": "system:admin",
    "swarm_coordination": "system:admin",
}
"""What reading (and writing) in a partition needs; None: any valid token."""


@dataclass(frozen=True, kw_only=True)
class Incoming(Generic[B]):
    """A request that was authenticated, authorised and validated. `id` is its message's id and its run's."""

    services: Services
    principal: Principal
    path: Mapping[str, str]
    body: B
    id: str
    media_type: str = ""
    last_event_id: str = ""
    session: str = ""


async def nothing(_incoming: Incoming[None], _command: Command, _ended: Ended) -> None:
    """The reply of what is gone."""


def event_of(stored: Stored) -> Event | None:
    try:
        return decode_event(stored.record.envelope.type, stored.record.body)
    except KeyError:
        return None


def new_actor(domain: Domain, kind: str, message: str) -> ActorRef:
    return ActorRef(domain, kind, f"{domain.value}-{UUID(message).hex}")


def named_actor(domain: Domain, kind: str, id: str, what: str) -> ActorRef:  # noqa: A002 - the field's name
    try:
        return actor_ref(domain, kind, id)
    except ValueError as error:
        raise NotFoundError(what) from error


def label_of(principal: Principal, confidentiality: Clearance | None) -> Clearance:
    """How confidential what is written is: as said, else as the writer is cleared. Raises ForbiddenError above that."""
    if confidentiality is None:
        return principal.clearance
    if confidentiality > principal.clearance:
        raise ForbiddenError(f"you are cleared for {principal.clearance.value}, not for {confidentiality.value}")
    return confidentiality


def may_read(principal: Principal, partition: Partition) -> bool:
    """Whether this reader may know what is in the partition."""
    permission = PARTITION_READ[partition]
    return permission is None or principal.may(permission)


def require_partition(principal: Principal, partition: Partition) -> None:
    """Raise ForbiddenError naming the permission, unless this reader may know what is in the partition."""
    permission = PARTITION_READ[partition]
    if permission is not None:
        principal.require(permission)


def having(partitions: Iterable[Partition], fields: Mapping[str, FieldValue], where: str) -> tuple[Partition, ...]:
    """Those of the partitions that have these fields, each once. Raises ValidationProblemError where none has."""
    problems = {partition: misfit(partition, fields) for partition in partitions}
    found = tuple(partition for partition, problem in problems.items() if problem is None)
    if not found:
        raise ValidationProblemError(where, "; ".join(problem for problem in problems.values() if problem))
    return found


def allowance(budget: Budget | None, default: Allowance | None) -> Allowance | None:
    """What a run may spend: as asked; what the request leaves open, as the settings say."""
    asked, default = budget or Budget(), default or Allowance()
    tokens = default.tokens if asked.tokens_max is None else asked.tokens_max
    cost = default.cost_micros if asked.cost_max is None else math.ceil(asked.cost_max * 1_000_000)
    return None if tokens is None and cost is None else Allowance(tokens=tokens, cost_micros=cost)


def budget_spent(budget: Allowance | None, spent: Usage | None) -> BudgetSpent | None:
    """What was spent of a run's budget; None: it has none."""
    if budget is None:
        return None
    used = spent or NOTHING_USED
    over_tokens = budget.tokens is not None and used.tokens > budget.tokens
    over_cost = budget.cost_micros is not None and used.cost_micros > budget.cost_micros
    return BudgetSpent(
        tokens=used.tokens,
        cost=used.cost_micros / 1_000_000,
        tokens_max=budget.tokens,
        cost_max=None if budget.cost_micros is None else budget.cost_micros / 1_000_000,
        exceeded=over_tokens or over_cost,
    )


def checked_approval(incoming: Incoming[Any], rule: ApprovalRule | None) -> ApprovalRule | None:
    """What the run is to wait for. Raises ValidationProblemError for a quorum that can never come together, and for what is no
    tool: nobody would be asked about the one that was meant."""
    if rule is None:
        return None
    if problem := rule.unreachable(incoming.principal.username):
        raise ValidationProblemError("$.approval.quorum", problem)
    known = {tool.name for tool in incoming.services.tools}
    if unknown := [name for name in rule.tools if name != EVERY_TOOL and name not in known]:
        told = f"{', '.join(unknown)} is none of the tools {', '.join(sorted(known))}"
        raise ValidationProblemError("$.approval.tools", told)
    return rule


def checked_deadline(deadline: datetime | None, now: datetime) -> datetime | None:
    if deadline is None:
        return None
    if deadline <= now:
        raise ValidationProblemError("$.deadline", "has passed")
    if deadline.year >= EXPIRES_YEAR_MAX:
        raise ValidationProblemError("$.deadline", "lies too far ahead")
    return deadline
