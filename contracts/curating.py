"""What is asked of the knowledge base and what it answers: items, searches, imports, versions, and the strategic summary."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.domains import Clearance, Partition
from contracts.http import Body, Cursor, Limit
from contracts.knowledge import FIELDS_MAX, Category, Knowledge, Reason, Tags
from contracts.partitions import FieldValue
from contracts.span import Span

RUNS_MAX = 1_000
COLLECTIONS_MAX = 128
Collection = Annotated[
    str, Meta(min_length=1, max_length=1_000, pattern=r"\S", description="Names what is imported together: one's own.")
]
SourceKey = Annotated[
    str, Meta(min_length=1, max_length=2_000, pattern=r"\S", description="The place in the collection: a path.")
]


class SearchKnowledge(Body, frozen=True, kw_only=True):
    """Search by meaning and words: of 20 candidates the best `limit`, by strategic priority, then relevance, those at least 0.85
    times as relevant as the best one; behind them the others by relevance."""

    query: Annotated[str, Meta(min_length=1, max_length=4_000, pattern=r"\S")]
    limit: Annotated[int, Meta(ge=1, le=50)] = 10
    partitions: Annotated[tuple[Partition, ...], Meta(min_length=1, max_length=8)] = (
        "ceo_knowledge",
        "shared_knowledge",
    )
    category: Category | None = None
    priority_min: Annotated[int, Meta(ge=1, le=10)] = 1
    confidentiality_max: Annotated[Clearance | None, Meta(description="Nothing more confidential than this.")] = None
    tags: Annotated[Tags, Meta(description="Only what has all of these.")] = ()
    updated_from: Annotated[datetime, Meta(tz=True)] | None = None
    updated_to: Annotated[datetime, Meta(tz=True)] | None = None
    fields: (
        Annotated[
            dict[str, FieldValue],
            Meta(
                max_length=FIELDS_MAX,
                description="Only what says exactly this: in those of the partitions that have these fields.",
            ),
        ]
        | UnsetType
    ) = UNSET


class Declassify(Body, frozen=True, kw_only=True):
    """To which level, and why; whoever may see the item then may see the reason, too."""

    confidentiality: Clearance
    reason: Reason


class KnowledgeItem(Struct, frozen=True, kw_only=True):
    id: str
    knowledge: Knowledge
    by: str
    created: datetime
    updated: datetime


class KnowledgeHit(Struct, frozen=True, kw_only=True):
    """`score` is the cosine of the query and the nearest passage of the content, -1 to 1; `relevance` adds how well its words
    match.

    `passage` is the part of the content that answers best by meaning and words, null where that is all; `highlights` are what
    matches in it: first the sentence that covers most of the query's words, then these words. All are places in the content.
    """

    id: str
    score: float
    relevance: float = 0.0
    partition: Partition
    knowledge: Knowledge
    passage: Span | None = None
    highlights: tuple[Span, ...] = ()


class KnowledgeHits(Struct, frozen=True, kw_only=True):
    """By strategic priority, then relevance, those about as relevant as the best one; behind them the others by relevance."""

    hits: tuple[KnowledgeHit, ...]


class ImportItem(Body, frozen=True, kw_only=True):
    """What stands at one place of a collection now: the item made of that place becomes this, or is made.

    `item` is the one that is listed for the place, or one of your own that follows no place yet and follows this one from now
    on; if it tells the same, its other fields stay. It may be left out for what was made by importing.
    """

    collection: Collection
    key: SourceKey
    knowledge: Knowledge
    item: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class KnowledgeQuery(Body, frozen=True, kw_only=True):
    """Filters are joined by AND; without `partition` in all that you may read. `since`: last changed then or later."""

    category: Category | None = None
    partition: Partition | None = None
    priority_min: Annotated[int, Meta(ge=1, le=10)] = 1
    since: Annotated[datetime, Meta(tz=True)] | None = None
    after: Cursor | None = None
    limit: Limit = 50


class KnowledgeLine(Struct, frozen=True, kw_only=True):
    """An item without its text; `by` changed it last."""

    id: str
    title: str
    category: Category
    confidentiality: Clearance
    strategic_priority: int
    partition: Partition
    tags: tuple[str, ...]
    expires: datetime | None
    updated: datetime
    by: str


class KnowledgeLines(Struct, frozen=True, kw_only=True):
    """By last change, newest first; go on with `next` until it is null."""

    items: tuple[KnowledgeLine, ...]
    next: str | None = None


class ImportsQuery(Body, frozen=True, kw_only=True):
    collection: Collection
    after: Cursor | None = None
    limit: Limit = 50


class ImportedItem(Struct, frozen=True, kw_only=True):
    """An item and what it was last made of; `digest` is of all that stood there, `contracts.knowledge.digest`."""

    id: str
    key: str
    digest: str
    updated: datetime


class ImportedItems(Struct, frozen=True, kw_only=True):
    """Your own of the collection, by id; go on with `next` until it is null."""

    items: tuple[ImportedItem, ...]
    next: str | None = None


class CollectionsQuery(Body, frozen=True, kw_only=True):
    among: Annotated[list[Collection], Meta(min_length=1, max_length=COLLECTIONS_MAX)]


class Collections(Struct, frozen=True, kw_only=True):
    """Those of them into which you have imported something that is there."""

    collections: tuple[str, ...]


class AdoptableQuery(Body, frozen=True, kw_only=True):
    after: Cursor | None = None
    limit: Limit = 50


class AdoptableItem(Struct, frozen=True, kw_only=True):
    """`digest` is of what the item tells, `contracts.knowledge.text_digest`."""

    id: str
    digest: str


class AdoptableItems(Struct, frozen=True, kw_only=True):
    """Your own that follow no place, by id; go on with `next` until it is null."""

    items: tuple[AdoptableItem, ...]
    next: str | None = None


class SearchableQuery(Body, frozen=True, kw_only=True):
    """Correlation ids of your imports."""

    runs: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(min_length=1, max_length=RUNS_MAX)]


class SearchableRuns(Struct, frozen=True, kw_only=True):
    """Those of them whose item can be found by searching, as the journals say."""

    runs: list[str]


class VersionsQuery(Body, frozen=True, kw_only=True):
    before: Annotated[int, Meta(ge=1)] | None = None
    limit: Limit = 50


class KnowledgeVersion(Struct, frozen=True, kw_only=True):
    """What an item said from `since` on; `number` counts from 1. `label` is what reading it takes now."""

    number: int
    knowledge: Knowledge
    by: str
    since: datetime
    label: Clearance


class VersionLine(Struct, frozen=True, kw_only=True):
    number: int
    title: str
    by: str
    since: datetime
    label: Clearance


class KnowledgeVersions(Struct, frozen=True, kw_only=True):
    """The versions that you may read, newest first; the next page is `before` the last number. `ended`: how the item did."""

    id: str
    versions: tuple[VersionLine, ...]
    ended: Literal["deleted", "expired"] | None = None
    ended_at: datetime | None = None
    more: bool = False


SummaryDomain = Literal["business", "technical", "market"]
Horizon = Literal["week", "month", "quarter", "year"]


class SummaryQuery(Body, frozen=True, kw_only=True):
    domain: SummaryDomain
    horizon: Horizon = "quarter"


class Statement(Struct, frozen=True, kw_only=True):
    """One thing that the knowledge base says, and the items that say it, by id."""

    text: str
    items: tuple[str, ...]
    category: Category
    strategic_priority: int
    label: Clearance


class StrategicSummary(Struct, frozen=True, kw_only=True):
    """What matters to a domain: of items that changed since `since` or expire before `until`, as far as you are cleared.

    `priorities` are the items of the highest strategic priority; `key_insights` those of 7 and above, three a category at most.
    `recommendations` are what items say should be done, and which of them have to be looked at again. `label` is the highest of
    what is shown; `items` is how many up to that were looked at, of a
    category not more than 20, those of the highest strategic priority.
    """

    domain: SummaryDomain
    horizon: Horizon
    since: datetime
    until: datetime
    priorities: tuple[Statement, ...]
    key_insights: tuple[Statement, ...]
    risks: tuple[Statement, ...]
    opportunities: tuple[Statement, ...]
    recommendations: tuple[Statement, ...]
    items: int
    label: Clearance

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All of them, some of which say the same."""
        return (*self.priorities, *self.key_insights, *self.risks, *self.opportunities, *self.recommendations)

    @property
    def quoted(self) -> frozenset[str]:
        """The items that it rests on, by id."""
        return frozenset(item for one in self.statements for item in one.items)
