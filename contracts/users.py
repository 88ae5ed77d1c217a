"""Users: who may do what, and what they are cleared to read."""

from typing import Literal

from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message

Role = Literal["admin", "sophia_user", "artemis_user", "cross_domain_user", "read_only", "approver"]
Permission = Literal[
    "sophia:read",
    "sophia:write",
    "sophia:admin",
    "artemis:read",
    "artemis:write",
    "artemis:admin",
    "cross_domain:collaborate",
    "cross_domain:read",
    "knowledge:declassify",
    "approvals:decide",
    "system:admin",
    "system:monitor",
    "dead_letters:read",
    "dead_letters:manage",
]

Grants = tuple[Permission, ...] | None
"""What the asker of a run may do, as it was when he asked: what its tools need has to be among it. None: nothing was recorded, as
before there were grants; then it is what the domain's own teams need (`granted`)."""


def granted(grants: Grants, domain: Domain) -> frozenset[Permission]:
    """What a run of the domain may do for its asker."""
    return frozenset(_UNRECORDED.get(domain, ()) if grants is None else grants)


_UNRECORDED: dict[Domain, tuple[Permission, ...]] = {
    Domain.SOPHIA: ("sophia:read",),
    Domain.ARTEMIS: ("artemis:read",),
}


class CreateUser(Message, frozen=True, kw_only=True, tag="user.create.v1"):
    """`password_hash` is argon2id's encoded form; the password itself never travels."""

    username: str
    password_hash: str
    roles: tuple[Role, ...]
    clearance: Clearance


class UserCreated(Event, frozen=True, kw_only=True, tag="user.created.v1"):
    username: str
    password_hash: str
    roles: tuple[Role, ...]
    clearance: Clearance
