"""The registry of agents: who they are, whether they live, how well they do it."""

from datetime import timedelta

from contracts import subjects
from contracts.agents import (
    REGISTRY,
    Agent,
    AgentProfile,
    AgentRegistered,
    AgentRetired,
    Agents,
    AgentState,
    Work,
    score_of,
)
from contracts.domains import Domain
from contracts.subjects import ActorRef
from gateway.commands import Incoming, event_of
from gateway.problems import NotFoundError
from gateway.services import Services

WINDOW = timedelta(hours=24)


async def agents(incoming: Incoming[None]) -> Agents:
    return Agents(agents=tuple(await _agents(incoming.services)))


async def agent(incoming: Incoming[None]) -> Agent:
    for one in await _agents(incoming.services):
        if one.profile.id == incoming.path["agent"]:
            return one
    raise NotFoundError("agent")


async def _agents(services: Services) -> list[Agent]:
    now = services.clock()
    done = {(work.domain, work.team): work for work in await services.reads.work(now - WINDOW)}
    found: list[Agent] = []
    for domain in Domain:
        named, retired = await _registered(services, domain)
        pulse = await services.pulse(domain) if named else None
        for profile in named.values():
            work = done.get((domain, profile.team)) or Work(domain=domain, team=profile.team)
            alive = pulse if profile.id not in retired else None
            state: AgentState = "retired" if profile.id in retired else "active" if alive else "silent"
            found.append(Agent(profile=profile, state=state, health=score_of(work, alive), work=work, pulse=alive))
    return found


async def _registered(services: Services, domain: Domain) -> tuple[dict[str, AgentProfile], set[str]]:
    """All agents that a domain ever registered, and which of them it runs no longer."""
    named: dict[str, AgentProfile] = {}
    retired: set[str] = set()
    for stored in await services.log.read(subjects.log(ActorRef(Domain.SYSTEM, REGISTRY, domain.value))):
        match event_of(stored):
            case AgentRegistered(profile=profile):
                named[profile.id] = profile
                retired.discard(profile.id)
            case AgentRetired(id=id_):
                retired.add(id_)
            case _:
                pass
    return named, retired
