"""The rows of the API's table about the registry of agents: figures over everybody's runs, so not for everybody."""

from contracts import agents
from contracts.users import Permission
from gateway import registry
from gateway.rows import Answers, Route

MAY: tuple[Permission, ...] = ("system:monitor", "cross_domain:read")

AGENTS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/agents",
        summary="The agents, whether they live, and how well they did in the last 24 hours",
        action=Answers(registry.agents),
        limit="system",
        reply=agents.Agents,
        permissions=MAY,
    ),
    Route(
        method="GET",
        path="/v1/agents/{agent}",
        summary="One agent",
        action=Answers(registry.agent),
        limit="system",
        reply=agents.Agent,
        permissions=MAY,
    ),
)
