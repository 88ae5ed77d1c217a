"""The rows of the API's table about tools."""

from contracts.tools import Tools, ToolView
from gateway.commands import Incoming
from gateway.problems import NotFoundError
from gateway.rows import Answers, Route


async def listed(incoming: Incoming[None]) -> Tools:
    return Tools(incoming.services.tools)


async def shown(incoming: Incoming[None]) -> ToolView:
    """Raises NotFoundError."""
    for tool in incoming.services.tools:
        if tool.name == incoming.path["tool"]:
            return tool
    raise NotFoundError("tool")


TOOLS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/tools",
        summary="What the domains' tools do, take and give back",
        action=Answers(listed),
        limit="system",
        reply=Tools,
    ),
    Route(
        method="GET",
        path="/v1/tools/{tool}",
        summary="One tool, with the schemas of its arguments and its result",
        action=Answers(shown),
        limit="system",
        reply=ToolView,
    ),
)
