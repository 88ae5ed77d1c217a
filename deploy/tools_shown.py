"""The tools of all domains as the API shows them."""

from actors.roster import TOOLS
from contracts.tools import ToolView
from runtime.tool_schema import parameters, result


def shown() -> tuple[ToolView, ...]:
    """By domain and name."""
    return tuple(
        ToolView(
            name=tool.name,
            domain=domain,
            description=tool.description,
            permission=tool.permission,
            approval=tool.approval,
            s_max=tool.limits.s_max,
            memory_bytes_max=tool.limits.memory_bytes_max,
            arguments=parameters(tool.arguments),
            result=result(tool),
        )
        for domain, tools in sorted(TOOLS.items())
        for tool in sorted(tools.values(), key=lambda one: one.name)
    )
