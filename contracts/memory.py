"""Memory: what one agent keeps of its work with one person. Each agent's and each person's memories are an actor of their own.

Three kinds: what is so (semantic: somebody told the agent), what happened (episodic: an answer), how something is done
(procedural: who answered such a question, and how well).
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from contracts.ids import keyed_id
from contracts.subjects import ActorRef

MEMORY = "memory"
"""The kind of actor."""

MemoryKind = Literal["semantic", "episodic", "procedural"]
AgentName = Literal["sophia", "artemis"]
"""Who remembers: the agents that people talk with."""

Title = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\S")]
Text = Annotated[str, Meta(min_length=1, max_length=2_000, pattern=r"\S")]


class Retention(Struct, frozen=True):
    """How many memories of a kind an agent keeps of one person, and for how long (None: until they make room for newer ones)."""

    memories_max: int
    kept: timedelta | None


RETENTION: dict[MemoryKind, Retention] = {
    "semantic": Retention(500, None),
    "episodic": Retention(500, timedelta(days=180)),
    "procedural": Retention(100, timedelta(days=365)),
}
"""The policy: beyond the number the oldest of the kind is forgotten, beyond the time nothing is found any more."""


def memories_of(domain: Domain, owner: str) -> ActorRef:
    """The actor that holds what a domain's agent remembers of a person."""
    return ActorRef(domain, MEMORY, keyed_id(MEMORY, domain.value, owner))


class Remember(Message, frozen=True, kw_only=True, tag="memory.remember.v1"):
    """Keep something from `at` on. `id` is a UUID; a known one changes nothing. `session`: what it comes from."""

    id: str
    owner: str
    kind: MemoryKind
    title: Title
    text: Text
    at: datetime
    session: str = ""
    expires: datetime | None = None


class ReviseMemory(Message, frozen=True, kw_only=True, tag="memory.revise.v1"):
    """Say something else instead; the time it is kept stays."""

    id: str
    title: Title
    text: Text


class ForgetMemory(Message, frozen=True, kw_only=True, tag="memory.forget.v1"):
    id: str


class Remembered(Event, frozen=True, kw_only=True, tag="memory.remembered.v1"):
    """`expires` None: kept until it makes room."""

    id: str
    owner: str
    kind: MemoryKind
    title: str
    text: str
    session: str = ""
    expires: datetime | None = None


class Revised(Event, frozen=True, kw_only=True, tag="memory.revised.v1"):
    """What is remembered instead, whole: nothing but this event says it."""

    id: str
    owner: str
    kind: MemoryKind
    title: str
    text: str
    session: str = ""
    expires: datetime | None = None


class Forgotten(Event, frozen=True, kw_only=True, tag="memory.forgotten.v1"):
    """`asked`: somebody wanted it; `room`: there were more than the policy keeps."""

    id: str
    why: Literal["asked", "room"]


# Over HTTP -----------------------------------------------------------------------------------------------------------


class TeachMemory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that an agent is to keep in mind for you."""

    agent: AgentName
    title: Title
    text: Text
    kind: Literal["semantic", "procedural"] = "semantic"
    expires: Annotated[datetime, Meta(tz=True)] | None = None
    confidentiality: Clearance | None = None


class ChangeMemory(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it says instead; never less confidential than before."""

    title: Title
    text: Text
    confidentiality: Clearance | None = None


class MemoryView(Struct, frozen=True, kw_only=True):
    """One memory. `score` is the cosine to what was searched for, left out elsewhere."""

    id: str
    agent: Domain
    kind: MemoryKind
    title: str
    text: str
    label: Clearance
    updated: datetime
    expires: datetime | None = None
    session: str = ""
    score: float | UnsetType = UNSET


class MemoriesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Filters are joined by AND."""

    agent: AgentName | None = None
    kind: MemoryKind | None = None
    after: Annotated[str, Meta(max_length=400)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class Memories(Struct, frozen=True, kw_only=True):
    """Newest first; go on with `next` until it is null."""

    memories: tuple[MemoryView, ...]
    next: str | None = None


class SearchMemories(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    agent: AgentName
    query: Annotated[str, Meta(min_length=1, max_length=2_000, pattern=r"\S")]
    kind: MemoryKind | None = None
    limit: Annotated[int, Meta(ge=1, le=50)] = 10
