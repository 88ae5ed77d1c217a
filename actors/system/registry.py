"""Registry: the agents of one domain, as its workers say which they run."""

from typing import assert_never

from msgspec import Struct

from contracts.agents import REGISTRY, AgentProfile, AgentRegistered, AgentRetired, RegisterAgents
from runtime.actor import Actor

Recordable = AgentRegistered | AgentRetired


class State(Struct, frozen=True):
    agents: dict[str, AgentProfile] = {}


def decide(state: State, message: RegisterAgents) -> list[Recordable]:
    """What is new or other than before, and what is named no longer."""
    named = {profile.id: profile for profile in message.profiles}
    changed = [AgentRegistered(profile=one) for id_, one in named.items() if state.agents.get(id_) != one]
    return [*changed, *(AgentRetired(id=id_) for id_ in state.agents if id_ not in named)]


def evolve(state: State, event: Recordable) -> State:
    match event:
        case AgentRegistered():
            return State({**state.agents, event.profile.id: event.profile})
        case AgentRetired():
            return State({id_: one for id_, one in state.agents.items() if id_ != event.id})
        case _:
            assert_never(event)


registry = Actor(REGISTRY, State(), decide, evolve)
