"""What a row of the API's table is: who may ask what, what it becomes, what comes back."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from falcon.asgi import SSEvent
from msgspec import Struct

from contracts.catalogue import tag
from contracts.envelope import Event
from contracts.http import EventView
from contracts.users import Permission
from gateway.commands import Incoming
from gateway.execution import Command, Ended, Execution

Method = Literal["GET", "POST", "PUT", "DELETE"]
LimitClass = Literal["open", "sign_in", "sophia", "artemis", "cross_domain", "import", "embedding", "system"]
"""Which rate limit a route counts against: those of mission F3, for questions; an import has one that a program can work with."""

COUNTED: frozenset[LimitClass] = frozenset({"sophia", "artemis", "cross_domain", "import", "embedding", "system"})
"""The classes whose requests are counted, a user and path; signing in has its own bound (Passwords)."""

MEDIA_JSON = "application/json"

ErrorForm = Literal["problem", "openai"]
"""How a route tells of its errors: RFC 9457 problems, or as OpenAI's API does (`gateway/openai_errors.py`)."""


def _none(_command: Command, _ended: Ended | None) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Does:
    """A command: the message it becomes, the events that end the wait for it, and the reply made of the one that did.

    `parts` end the wait, too, but no stream: the answer they hold becomes whole later. `chunks` is its own form of a stream, else
    that of progress and answer; `headers` go with the reply and the stream.
    """

    build: Callable[[Incoming[Any]], Awaitable[Command]]
    ends: tuple[type[Event], ...]
    reply: Callable[[Incoming[Any], Command, Ended], Awaitable[Struct | None]]
    chunks: Callable[[Incoming[Any], Command, Execution], AsyncIterator[SSEvent]] | None = None
    headers: Callable[[Command, Ended | None], Mapping[str, str]] = _none
    parts: tuple[type[Event], ...] = ()
    tags: frozenset[str] = field(init=False)
    part_tags: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", frozenset(map(tag, self.ends)))
        object.__setattr__(self, "part_tags", frozenset(map(tag, self.parts)))


@dataclass(frozen=True)
class Answers:
    """A query: its answer, and where it can be followed live, a stream of events with their cursors."""

    answer: Callable[[Incoming[Any]], Awaitable[Struct | bytes]]
    live: Callable[[Incoming[Any]], AsyncIterator[tuple[str | None, EventView]]] | None = None


@dataclass(frozen=True, kw_only=True)
class Route:
    """One row. `request` is the type of the JSON body (`bytes`: any file), `query` that of the query parameters.

    `optional`: the body may be left out, and is then what its type's defaults say. `streamed`: whether the body wants a
    stream; where there is none, the Accept header says. `rest`: the last field of the path is all that is left of it.
    """

    method: Method
    path: str
    summary: str
    action: Does | Answers
    limit: LimitClass
    request: Any = None
    optional: bool = False
    query: type[Struct] | None = None
    reply: type[Struct] | None = None
    status: int = 200
    permissions: tuple[Permission, ...] = ()
    public: bool = False
    media: str = MEDIA_JSON
    example: Struct | None = None
    errors: ErrorForm = "problem"
    streamed: Callable[[Any], bool] | None = None
    rest: bool = False

    @property
    def streams(self) -> bool:
        return isinstance(self.action, Does) or self.action.live is not None
