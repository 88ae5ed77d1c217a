"""User: who may sign in; created once."""

from msgspec import Struct

from contracts.users import CreateUser, UserCreated
from runtime.actor import Actor
from runtime.errors import Rejected


class State(Struct, frozen=True):
    created: UserCreated | None = None


def decide(state: State, message: CreateUser) -> list[UserCreated]:
    created = UserCreated(
        username=message.username, password_hash=message.password_hash, roles=message.roles, clearance=message.clearance
    )
    if state.created not in (None, created):
        raise Rejected(f"user {message.username} exists")
    return [] if state.created else [created]


def evolve(state: State, event: UserCreated) -> State:  # noqa: ARG001 - the first event is the whole state
    return State(created=event)


user = Actor("user", State(), decide, evolve)
