"""What is kept in the vector store and how it is searched: always under a clearance."""

import hashlib
from datetime import datetime

import msgspec
from msgspec import Struct

from contracts.domains import Clearance, Partition


class Entry(Struct, frozen=True, kw_only=True):
    """A text to be found again. `id` is a UUID; `priority` 1 to 10; `expires` None means never.

    `attachment` is the digest of a stored file (a table, an archive) that the entry describes. `version` is the log sequence of
    the event that says so, `updated` that event's time.
    """

    id: str
    title: str
    text: str
    label: Clearance
    category: str = ""
    priority: int = 5
    source: str = ""
    tags: tuple[str, ...] = ()
    expires: datetime | None = None
    attachment: str | None = None
    media_type: str | None = None
    version: int = 0
    updated: datetime | None = None


class Put(Struct, frozen=True):
    """An event made this findable, in place of what had its id in the partition."""

    partition: Partition
    entry: Entry


class Remove(Struct, frozen=True):
    """An event took this out of a partition."""

    partition: Partition
    id: str


Change = Put | Remove


class Kept(Struct, frozen=True):
    """What a store says of an entry it keeps: enough to compare it with the log. `digest` is `retrieval.digest` of the entry."""

    id: str
    version: int
    digest: str


class Query(Struct, frozen=True, kw_only=True):
    """A search over one or several partitions; entries above `clearance` or expired at `now` are never returned."""

    partitions: tuple[Partition, ...]
    text: str
    clearance: Clearance
    now: datetime
    limit: int = 10
    category: str | None = None
    source: str | None = None
    media_type: str | None = None
    priority_min: int = 1


class Hit(Struct, frozen=True, kw_only=True):
    """One entry found: cosine `score` -1 to 1, best first."""

    entry: Entry
    partition: Partition
    score: float


def digest(entry: Entry) -> str:
    """SHA-256 of all that an entry says, as 64 hex digits; its version is left out."""
    said = msgspec.structs.replace(entry, version=0)
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()
