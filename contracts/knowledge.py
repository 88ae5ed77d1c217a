"""The CEO's knowledge base: items with a category, a confidentiality and a strategic priority."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from contracts.domains import Clearance, Partition
from contracts.envelope import Event, Message

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
Title = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\S")]
Content = Annotated[str, Meta(min_length=1, max_length=100_000, pattern=r"\S")]
FILE_NAME = r"^[^\S/\\\x00-\x1f\x7f-\x9f]*[^\s/\\\x00-\x1f\x7f-\x9f][^/\\\x00-\x1f\x7f-\x9f]*(?![\s\S])"
"""Not blank, and nothing in it that is a path or a control character. (`$` would let a last line break through.)"""

StrategicPriority = Annotated[int, Meta(ge=1, le=10)]
Tags = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=60, pattern=r"\S")], ...], Meta(max_length=32)]


class Attachment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stored file the item describes: SHA-256 of its bytes as 64 hex digits, media type, name, size in bytes."""

    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    media_type: Annotated[str, Meta(min_length=3, max_length=100)]
    name: Annotated[str, Meta(min_length=1, max_length=255, pattern=FILE_NAME)]
    size_bytes: Annotated[int, Meta(ge=0)]


class Knowledge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an item says. `partition` is where it is searched."""

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


class AddKnowledge(Message, frozen=True, kw_only=True, tag="knowledge.add.v1"):
    by: str
    knowledge: Knowledge


class UpdateKnowledge(Message, frozen=True, kw_only=True, tag="knowledge.update.v1"):
    """Replaces the item. `clearance` is the writer's: an item above it is not his to change."""

    by: str
    clearance: Clearance
    knowledge: Knowledge


class DeleteKnowledge(Message, frozen=True, kw_only=True, tag="knowledge.delete.v1"):
    by: str
    clearance: Clearance


class KnowledgeAdded(Event, frozen=True, kw_only=True, tag="knowledge.added.v1"):
    by: str
    knowledge: Knowledge


class KnowledgeUpdated(Event, frozen=True, kw_only=True, tag="knowledge.updated.v1"):
    by: str
    knowledge: Knowledge
    previous_partition: Partition


class KnowledgeDeleted(Event, frozen=True, kw_only=True, tag="knowledge.deleted.v1"):
    by: str
    partition: Partition
