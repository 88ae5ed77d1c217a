"""Users: who may do what, and what they are cleared to read."""

from typing import Literal

from contracts.domains import Clearance
from contracts.envelope import Event, Message

Role = Literal["admin", "sophia_user", "artemis_user", "cross_domain_user", "read_only"]
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
    "system:admin",
    "system:monitor",
    "dead_letters:read",
    "dead_letters:manage",
]


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
