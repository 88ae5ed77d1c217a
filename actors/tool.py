"""How a tool is declared: a function of its own argument Struct becomes a value of the port `Tool`."""

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from runtime.errors import OutcomeError
from runtime.ports import Tool

Fetch = Callable[[str], bytes]
"""The bytes of a stored file by its digest. Raises OutcomeError when there is none."""

ArgumentsT = TypeVar("ArgumentsT", bound=Struct)
ResultT = TypeVar("ResultT", bound=Struct)


def tool(
    name: str, arguments: type[ArgumentsT], result: type[ResultT], run: Callable[[ArgumentsT, Fetch], ResultT]
) -> Tool:
    """The port's value for a typed function; arguments of another type are an OutcomeError."""

    def checked(given: Struct, blobs: Fetch) -> Struct:
        if not isinstance(given, arguments):
            raise OutcomeError(f"{name} takes {arguments.__name__}, not {type(given).__name__}")
        return run(given, blobs)

    return Tool(name=name, arguments=arguments, result=result, run=checked)
