"""How a tool is declared: a typed function of its own argument Struct becomes a value of the port `Tool`."""

from collections.abc import Callable
from typing import TypeVar, get_type_hints

from msgspec import Struct

from contracts.users import Permission
from runtime.ports import Tool, ToolLimits

Fetch = Callable[[str], bytes]
"""The bytes of a stored file by its digest, one that the arguments name. Raises OutcomeError when there is none."""

DEFAULT_LIMITS = ToolLimits()

ArgumentsT = TypeVar("ArgumentsT", bound=Struct)
ResultT = TypeVar("ResultT", bound=Struct)


def tool(
    name: str,
    run: Callable[[ArgumentsT, Fetch], ResultT],
    description: str,
    *,
    permission: Permission,
    limits: ToolLimits = DEFAULT_LIMITS,
    approval: bool = False,
) -> Tool:
    """The port's value for a function of a module; what goes in and comes out follows from its annotations."""
    hints = get_type_hints(run)
    return Tool(
        name=name,
        description=description,
        arguments=hints["arguments"],
        result=hints["return"],
        run=run,
        permission=permission,
        limits=limits,
        approval=approval,
    )
