"""Tools as the HTTP API shows them."""

from typing import Any

from msgspec import Struct

from contracts.domains import Domain
from contracts.users import Permission


class ToolView(Struct, frozen=True, kw_only=True):
    """A tool: what it does, which permission its asker needs, whether people have to agree to each call, and what one may take.

    `arguments` and `result` are JSON Schemas.
    """

    name: str
    domain: Domain
    description: str
    permission: Permission
    approval: bool
    s_max: float
    memory_bytes_max: int
    arguments: dict[str, Any]
    result: dict[str, Any]


class Tools(Struct, frozen=True):
    """All tools, by domain and name."""

    tools: tuple[ToolView, ...]
