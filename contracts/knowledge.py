"""The CEO's knowledge base: items with a category, a confidentiality and a strategic priority."""

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.domains import Clearance, Partition
from contracts.envelope import Event, Message
from contracts.partitions import FieldValue

T = TypeVar("T")
Category = Literal[
    "strategic_planning",
    "financial_analysis",
    "market_intelligence",
    "competitive_analysis",
    "operational_metrics",
    "technology_roadmap",
    "human_resources",
    "risk_management",
    "customer_insights",
    "partnership_opportunities",
]
TITLE_CHARS_MAX = 300
CONTENT_CHARS_MAX = 100_000
Title = Annotated[str, Meta(min_length=1, max_length=TITLE_CHARS_MAX, pattern=r"\S")]
Content = Annotated[str, Meta(min_length=1, max_length=CONTENT_CHARS_MAX, pattern=r"\S")]
FILE_NAME = r"^[^\S/\\\x00-\x1f\x7f-\x9f]*[^\s/\\\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]*(?![\s\S])"
"""Not blank, and nothing in it that is a path or a control character. (`$` would let a last line break through.)"""

FIELDS_MAX = 8
Reason = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\S")]
StrategicPriority = Annotated[int, Meta(ge=1, le=10)]
Tags = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=60, pattern=r"\S")], ...], Meta(max_length=32)]


CANDIDATES_MAX = 20
BEST_MAX = 10
KEY_INSIGHT_FROM = 7
"""Strategic priority from which an item is a key insight, and its changes are announced to the domains that it concerns."""


REACH = 0.85
"""The share of the best candidate's relevance from which on candidates compete by priority (docs/adr/0025 has the figures)."""


class Rank(Struct, frozen=True):
    """What a candidate's place depends on."""

    strategic_priority: int
    relevance: float
    id: str


def best_first(candidates: Iterable[T], rank: Callable[[T], Rank]) -> list[T]:
    """The candidates of a query in order (mission C2): by strategic priority, then relevance, those within REACH of the most
    relevant one; behind them, by relevance alone, what matches so much less that no priority makes it an answer."""
    ranked = [(rank(candidate), candidate) for candidate in candidates]
    top = max((one.relevance for one, _ in ranked), default=0.0)
    least = top - (1 - REACH) * abs(top)

    def place(pair: tuple[Rank, T]) -> tuple[bool, int, float, str]:
        one = pair[0]
        behind = one.relevance < least
        return behind, 0 if behind else -one.strategic_priority, -one.relevance, one.id

    return [candidate for _, candidate in sorted(ranked, key=place)]


class Attachment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stored file the item describes: SHA-256 of its bytes as 64 hex digits, media type, name, size in bytes."""

    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    media_type: Annotated[str, Meta(min_length=3, max_length=100)]
    name: Annotated[str, Meta(min_length=1, max_length=255, pattern=FILE_NAME)]
    size_bytes: Annotated[int, Meta(ge=0)]


class Knowledge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an item says. `partition` is where it is searched, `fields` what items there say besides (contracts/partitions.py).

    Without fields they are left out of the encoding, too: it is what an import is compared by.
    """

    title: Title
    content: Content
    category: Category
    confidentiality: Clearance
    strategic_priority: StrategicPriority = 5
    source: Annotated[str, Meta(max_length=300)] = ""
    tags: Tags = ()
    expires: datetime | None = None
    partition: Partition = "ceo_knowledge"
    attachment: Attachment | None = None
    fields: Annotated[dict[str, FieldValue], Meta(max_length=FIELDS_MAX)] | UnsetType = UNSET


class Imported(Struct, frozen=True, kw_only=True):
    """What an item was made of: the place `key` in the import named `collection`, and the digest of what stood there."""

    collection: str
    key: str
    digest: str


class Outline(Struct, frozen=True, kw_only=True):
    """What an item was before it changed, without a word of what it said."""

    category: Category
    confidentiality: Clearance
    strategic_priority: int
    expires: datetime | None = None


class AddKnowledge(Message, frozen=True, kw_only=True, tag="knowledge.add.v1"):
    by: str
    knowledge: Knowledge


class UpdateKnowledge(Message, frozen=True, kw_only=True, tag="knowledge.update.v1"):
    """Replaces the item. `clearance` is the writer's: an item above it is not his to change."""

    by: str
    clearance: Clearance
    knowledge: Knowledge


class ImportKnowledge(Message, frozen=True, kw_only=True, tag="knowledge.import.v1"):
    """Makes the item what its source is now. What was changed by hand stays until the source changes."""

    by: str
    clearance: Clearance
    knowledge: Knowledge
    imported: Imported


class DeclassifyKnowledge(Message, frozen=True, kw_only=True, tag="knowledge.declassify.v1"):
    """Lowers the item to `confidentiality`: the one way to do that. `clearance` is as for an update."""

    by: str
    clearance: Clearance
    confidentiality: Clearance
    reason: Reason


class DeleteKnowledge(Message, frozen=True, kw_only=True, tag="knowledge.delete.v1"):
    by: str
    clearance: Clearance


class ExpireKnowledge(Message, frozen=True, kw_only=True, tag="knowledge.expire.v1"):
    """Sent by the item's timer: it ends if this is still the moment when it expires."""

    expires: datetime


class KnowledgeAdded(Event, frozen=True, kw_only=True, tag="knowledge.added.v1"):
    by: str
    knowledge: Knowledge
    imported: Imported | None = None

    @property
    def label(self) -> Clearance:
        return self.knowledge.confidentiality


class KnowledgeUpdated(Event, frozen=True, kw_only=True, tag="knowledge.updated.v1"):
    by: str
    knowledge: Knowledge
    previous_partition: Partition
    previous: Outline | None = None
    imported: Imported | None = None

    @property
    def label(self) -> Clearance:
        return self.knowledge.confidentiality


class KnowledgeDeclassified(Event, frozen=True, kw_only=True, tag="knowledge.declassified.v1"):
    """Who lowered the item, from which level and why; `knowledge` is the whole item as it is now."""

    by: str
    previous: Clearance
    reason: str
    knowledge: Knowledge

    @property
    def label(self) -> Clearance:
        return self.knowledge.confidentiality


class KnowledgeDeleted(Event, frozen=True, kw_only=True, tag="knowledge.deleted.v1"):
    by: str
    partition: Partition
    previous: Outline | None = None

    @property
    def label(self) -> Clearance:
        return self.previous.confidentiality if self.previous else Clearance.PUBLIC


class KnowledgeExpired(Event, frozen=True, kw_only=True, tag="knowledge.expired.v1"):
    """It is gone from search and read models; its versions are kept."""

    partition: Partition
    previous: Outline

    @property
    def label(self) -> Clearance:
        return self.previous.confidentiality


def outline(knowledge: Knowledge) -> Outline:
    return Outline(
        category=knowledge.category,
        confidentiality=knowledge.confidentiality,
        strategic_priority=knowledge.strategic_priority,
        expires=knowledge.expires,
    )


def text_digest(title: str, content: str, source: str) -> str:
    """SHA-256 of what an item tells and where from, as 64 hex digits."""
    return hashlib.sha256(msgspec.json.encode((title, content, source))).hexdigest()


def digest(knowledge: Knowledge) -> str:
    """SHA-256 of all that an item says, as 64 hex digits: the same moment in another time zone is the same."""
    expires = knowledge.expires
    said = knowledge if expires is None else msgspec.structs.replace(knowledge, expires=expires.astimezone(UTC))
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()
