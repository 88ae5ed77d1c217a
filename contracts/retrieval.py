"""What is kept in the vector store and how it is searched: always under a clearance."""

from datetime import datetime

from msgspec import Struct

from contracts.domains import Clearance, Partition


class Entry(Struct, frozen=True, kw_only=True):
    """A text to be found again. `id` is a UUID; `priority` 1 to 10; `expires` None means never.

    `attachment` is the digest of a stored file (a table, an archive) that the entry describes.
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
