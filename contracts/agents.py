"""The registry of agents: who they are, what they can do, whether they live, how well they do it.

Each domain's worker says at its start which agents it runs; what it no longer names is retired.
"""

from typing import Literal

from msgspec import Struct

from contracts.domains import Domain
from contracts.envelope import Event, Message

REGISTRY = "registry"
"""The kind of actor, one a domain, in the system's domain; its id is the domain's name."""

AgentState = Literal["active", "silent", "retired"]
"""Active: a worker of its domain was heard just now. Silent: none was. Retired: no worker runs it any more."""


class AgentProfile(Struct, frozen=True, kw_only=True):
    """One agent: `sophia` as a whole or one of its teams, `sophia.client_analysis`; what it may be asked, and its tools."""

    id: str
    domain: Domain
    role: str
    team: str = ""
    requests: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


class RegisterAgents(Message, frozen=True, kw_only=True, tag="registry.register.v1"):
    """All agents that a domain has now."""

    profiles: tuple[AgentProfile, ...]


class AgentRegistered(Event, frozen=True, kw_only=True, tag="registry.registered.v1"):
    """A new agent, one that came back, or another profile of a known one."""

    profile: AgentProfile


class AgentRetired(Event, frozen=True, kw_only=True, tag="registry.retired.v1"):
    id: str


class Work(Struct, frozen=True, kw_only=True):
    """What was asked of an agent within the window: how it ended, what waits, and how long answers took (seconds).

    Left out is what is not the agent's: of failures those by the asker's budget, permission, request or cancelling; of what
    waits the runs that wait for people's approval, and of the times those that ever did.
    """

    domain: Domain
    team: str = ""
    answered: int = 0
    failed: int = 0
    waiting: int = 0
    p50_s: float | None = None
    p95_s: float | None = None


class Pulse(Struct, frozen=True):
    """How many workers of a domain live, and how long ago the last one was heard (seconds)."""

    workers: int
    age_s: float


class AgentHealth(Struct, frozen=True, kw_only=True):
    """The score and its four factors, each 0 to 1; see `score_of`."""

    score: int
    success: float
    latency: float
    backlog: float
    freshness: float


class Agent(Struct, frozen=True, kw_only=True):
    """An agent as it is. `work` is that of the last 24 hours, `pulse` None where no worker was heard."""

    profile: AgentProfile
    state: AgentState
    health: AgentHealth
    work: Work
    pulse: Pulse | None = None


class Agents(Struct, frozen=True, kw_only=True):
    agents: tuple[Agent, ...]


LATENCY_GOAL_S = 30.0
BACKLOG_HALF = 10
"""So many that wait halve the factor of the backlog."""

FRESH_S = 3.0
SILENT_S = 15.0
"""A pulse is whole up to the one age and gone from the other on."""


def score_of(work: Work, pulse: Pulse | None) -> AgentHealth:
    """0 to 100: freshness · (1/2 success + 1/4 latency + 1/4 backlog).

    Success is (answered + 1) / (answered + failed + 1): nothing asked counts as well done, one failure of one as a half (rule of
    succession on failures). Latency is 30 s / p95, at most 1. Backlog is 1 / (1 + waiting / 10). Freshness falls from 1 at 3 s
    since the last heartbeat to 0 at 15 s: who does not live does nothing well.
    """
    success = (work.answered + 1) / (work.answered + work.failed + 1)
    latency = 1.0 if not work.p95_s else min(1.0, LATENCY_GOAL_S / work.p95_s)
    backlog = 1 / (1 + work.waiting / BACKLOG_HALF)
    freshness = 0.0 if pulse is None else min(1.0, max(0.0, (SILENT_S - pulse.age_s) / (SILENT_S - FRESH_S)))
    score = round(100 * freshness * (success / 2 + latency / 4 + backlog / 4))
    return AgentHealth(
        score=score,
        success=round(success, 4),
        latency=round(latency, 4),
        backlog=round(backlog, 4),
        freshness=round(freshness, 4),
    )
