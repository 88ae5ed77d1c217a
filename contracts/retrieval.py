"""What is kept in the vector store and how it is searched: always under a clearance."""

import hashlib
from datetime import datetime

import msgspec
from msgspec import UNSET, Struct, UnsetType

from contracts.domains import Clearance, Partition
from contracts.partitions import FieldValue
from contracts.span import Span


class Entry(Struct, frozen=True, kw_only=True):
    """A text to be found again. `id` is a UUID; `priority` 1 to 10; `expires` None means never.

    `attachment` is the digest of a stored file (a table, an archive) that the entry describes. `version` is the log sequence of
    the event that says so, `updated` that event's time. `fields` are those of its partition (contracts/partitions.py).
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
    fields: dict[str, FieldValue] | UnsetType = UNSET


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


class Ranking(Struct, frozen=True, kw_only=True):
    """What the order of hits owes to other things than their text; each 0 (nothing) to 0.2, above which it counts as 0.2.

    A hit's place is its relevance + `priority` · (its priority - 1) / 9 + `recency` · 2^(-its age / `half_life_days`); what has
    no time of change has no recency. Relevance goes from 0 to about 1.5, so these decide between texts about as relevant.
    """

    priority: float = 0.05
    recency: float = 0.05
    half_life_days: float = 180.0


class Query(Struct, frozen=True, kw_only=True):
    """A search over one or several partitions; entries above `clearance` or expired at `now` are never returned.

    Found is what has all of the `tags` and last changed between `updated_from` and `updated_to`, both included.
    `fields` are matched exactly; each has to be a field of every partition that is named.

    What may be left out is left out of the encoding too: a query is part of what a journal is compared by.
    """

    partitions: tuple[Partition, ...]
    text: str
    clearance: Clearance
    now: datetime
    limit: int = 10
    category: str | None = None
    source: str | None = None
    media_type: str | None = None
    priority_min: int = 1
    ranking: "Ranking | UnsetType" = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    updated_from: datetime | UnsetType = UNSET
    updated_to: datetime | UnsetType = UNSET
    fields: dict[str, FieldValue] | UnsetType = UNSET


class Hit(Struct, frozen=True, kw_only=True):
    """One entry found, best first. `score` is the cosine of its nearest passage, -1 to 1; `relevance` adds how well its words
    match (adapters/ranking.py), `place` what `Ranking` adds to that: hits come by descending place.

    `passage` is the part of the text that answers the query best by meaning and words, None where that is the whole; `highlights`
    are what matches in it: the sentence that covers most of the query's words, then these words.
    """

    entry: Entry
    partition: Partition
    score: float
    relevance: float = 0.0
    place: float = 0.0
    passage: Span | None = None
    highlights: tuple[Span, ...] = ()


def digest(entry: Entry) -> str:
    """SHA-256 of all that an entry says, as 64 hex digits; its version is left out."""
    said = msgspec.structs.replace(entry, version=0)
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()
