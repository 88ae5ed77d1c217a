"""The port through which reactions run tools: in a process of their own (adapters/sandbox.py), or in tests within this one."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from runtime.ports import Tool

Blob = Callable[[str], Awaitable[bytes]]
"""The bytes of a stored file by its digest. Raises OutcomeError when there is no such blob, UnavailableError."""


class ToolRunner(Protocol):
    """Runs tools, a bounded number at once."""

    async def run(self, tool: Tool, arguments: Struct, blob: Blob, s_max: float) -> Struct:
        """What the tool returns. When the call is cancelled, the tool ends.

        Raises OutcomeError for what the tool raises and when it breaks one of its limits (`s_max` is that of its time),
        UnavailableError when there is no place for it.
        """
        ...
