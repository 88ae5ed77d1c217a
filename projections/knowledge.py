"""Knowledge: the items of the CEO's knowledge base as they are now; one that was deleted or has expired has no row."""

from datetime import datetime
from typing import get_args

from msgspec import UNSET, Struct, structs

from contracts.domains import Clearance, Domain, Partition
from contracts.knowledge import (
    Attachment,
    Category,
    Imported,
    Knowledge,
    KnowledgeAdded,
    KnowledgeDeclassified,
    KnowledgeDeleted,
    KnowledgeExpired,
    KnowledgeUpdated,
)
from contracts.partitions import FieldValue
from projections.paging import Page, bounded, from_cursor, to_cursor, types_of
from runtime.read_models import Db, Key, Logged, Projection

DDL = """
CREATE TABLE knowledge (
  id text PRIMARY KEY, title text NOT NULL, content text NOT NULL, category text NOT NULL,
  confidentiality diarchy.clearance NOT NULL, label diarchy.clearance NOT NULL, strategic_priority bigint NOT NULL,
  source text NOT NULL, tags text[] NOT NULL, expires timestamptz, partition text NOT NULL, attachment jsonb, fields jsonb,
  created timestamptz NOT NULL, updated timestamptz NOT NULL, created_by text NOT NULL, updated_by text NOT NULL,
  collection text, place text, digest text
)
"""
INDEXES = """
CREATE INDEX ON knowledge (updated DESC, id DESC);
CREATE INDEX ON knowledge (category, updated DESC, id DESC);
CREATE INDEX ON knowledge (collection, created_by, id) WHERE collection IS NOT NULL
"""


class KnowledgeItem(Struct, frozen=True, kw_only=True):
    """One item. `label` is at least its confidentiality. One that was imported has its place in a collection, and the digest of
    what stood there then."""

    id: str
    title: str
    content: str
    category: Category
    confidentiality: Clearance
    label: Clearance
    strategic_priority: int
    source: str
    tags: tuple[str, ...]
    expires: datetime | None
    partition: Partition
    attachment: Attachment | None
    fields: dict[str, FieldValue] | None = None
    created: datetime
    updated: datetime
    created_by: str
    updated_by: str
    collection: str | None = None
    place: str | None = None
    digest: str | None = None

    @property
    def imported(self) -> Imported | None:
        """What the item was last made of, if it was imported."""
        if self.collection is None or self.place is None or self.digest is None:
            return None
        return Imported(collection=self.collection, key=self.place, digest=self.digest)

    def knowledge(self) -> Knowledge:
        """What the item says, in the language of the contracts."""
        said = {name: getattr(self, name) for name in Knowledge.__struct_fields__}
        return Knowledge(**{**said, "fields": self.fields or UNSET})


def key(logged: Logged) -> Key:
    return (logged.address.actor.id,)


def fold(row: KnowledgeItem | None, logged: Logged) -> KnowledgeItem | None:
    event, time = logged.event, logged.envelope.time
    match event:
        case KnowledgeAdded() | KnowledgeUpdated() | KnowledgeDeclassified():
            before = row.imported if row else None
            said = event.knowledge
            imported = before if isinstance(event, KnowledgeDeclassified) else event.imported or before
            return KnowledgeItem(
                id=logged.address.actor.id,
                **{**structs.asdict(said), "fields": said.fields or None},
                label=max(logged.envelope.label, said.confidentiality),
                created=row.created if row else time,
                updated=time,
                created_by=row.created_by if row else event.by,
                updated_by=event.by,
                collection=imported.collection if imported else None,
                place=imported.key if imported else None,
                digest=imported.digest if imported else None,
            )
        case KnowledgeDeleted() | KnowledgeExpired():
            return None
        case _:
            return row


KNOWLEDGE = Projection(
    name="knowledge",
    version=3,
    domains=(Domain.CEO,),
    ddl=DDL,
    indexes=INDEXES,
    table="knowledge",
    row=KnowledgeItem,
    key_columns=("id",),
    takes=types_of(KnowledgeAdded, KnowledgeUpdated, KnowledgeDeclassified, KnowledgeDeleted, KnowledgeExpired),
    key=key,
    fold=fold,
)


class ItemRow(Struct, frozen=True, kw_only=True):
    """An item without what it tells."""

    id: str
    title: str
    category: Category
    confidentiality: Clearance
    label: Clearance
    strategic_priority: int
    tags: tuple[str, ...]
    expires: datetime | None
    partition: Partition
    updated: datetime
    updated_by: str


class _Place(Struct, frozen=True, array_like=True):
    updated: datetime
    id: str


async def get_items(db: Db, ids: list[str], *, clearance: Clearance, now: datetime) -> list[KnowledgeItem]:
    """The items among `ids` (at most 200) that exist, have not expired at `now` and may be read; in any order."""
    bounded(max(len(ids), 1))
    return await db.rows(
        KnowledgeItem,
        "SELECT * FROM read.knowledge WHERE id = ANY($1::text[]) AND label <= $2::text::diarchy.clearance"
        " AND (expires IS NULL OR expires > $3::timestamptz)",
        *(ids, clearance.value, now),
    )


async def get_item(db: Db, id: str, *, clearance: Clearance, now: datetime) -> KnowledgeItem | None:  # noqa: A002 - the column
    rows = await get_items(db, [id], clearance=clearance, now=now)
    return rows[0] if rows else None


async def list_items(  # noqa: PLR0913 - each is a filter
    db: Db,
    *,
    clearance: Clearance,
    now: datetime,
    category: Category | None = None,
    partitions: tuple[Partition, ...] = get_args(Partition),
    priority_min: int = 1,
    since: datetime | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[ItemRow]:
    """Unexpired items by last change (at or after `since`), newest first. Raises InvalidError for a bad limit or cursor."""
    place = from_cursor(_Place, cursor) if cursor else None
    rows = await db.rows(
        ItemRow,
        "SELECT id, title, category, confidentiality, label, strategic_priority, tags, expires, partition, updated, updated_by"
        " FROM read.knowledge WHERE label <= $1::text::diarchy.clearance"
        " AND (expires IS NULL OR expires > $2::timestamptz) AND ($3::text IS NULL OR category = $3)"
        " AND partition = ANY($4::text[]) AND strategic_priority >= $5::bigint"
        " AND ($6::timestamptz IS NULL OR updated >= $6)"
        " AND ($7::timestamptz IS NULL OR (updated, id) < ($7, $8::text)) ORDER BY updated DESC, id DESC LIMIT $9",
        *(clearance.value, now, category, list(partitions), priority_min, since),
        *(place.updated if place else None, place.id if place else None, bounded(limit)),
    )
    last = rows[-1] if len(rows) == limit else None
    return Page(tuple(rows), to_cursor(_Place(last.updated, last.id)) if last else None)


class ImportedRow(Struct, frozen=True, kw_only=True):
    """Where an item was imported from, and the digest of what stood there."""

    id: str
    place: str
    digest: str
    updated: datetime


class _ImportPlace(Struct, frozen=True, array_like=True):
    id: str


async def list_imports(  # noqa: PLR0913 - each is a filter
    db: Db,
    collection: str,
    *,
    owner: str,
    clearance: Clearance,
    now: datetime,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[ImportedRow]:
    """Unexpired items that their owner imported into the collection, by id. Raises InvalidError as `list_items` does."""
    after = from_cursor(_ImportPlace, cursor) if cursor else None
    rows = await db.rows(
        ImportedRow,
        "SELECT id, place, digest, updated FROM read.knowledge WHERE collection = $1 AND created_by = $2"
        " AND label <= $3::text::diarchy.clearance AND (expires IS NULL OR expires > $4::timestamptz)"
        " AND ($5::text IS NULL OR id > $5) ORDER BY id LIMIT $6",
        *(collection, owner, clearance.value, now, after.id if after else None, bounded(limit)),
    )
    last = rows[-1] if len(rows) == limit else None
    return Page(tuple(rows), to_cursor(_ImportPlace(last.id)) if last else None)


class _Named(Struct, frozen=True):
    collection: str


async def collections(db: Db, among: list[str], *, owner: str, clearance: Clearance, now: datetime) -> list[str]:
    """Those of the collections into which their owner imported what `list_imports` would tell."""
    rows = await db.rows(
        _Named,
        "SELECT DISTINCT collection FROM read.knowledge WHERE collection = ANY($1::text[]) AND created_by = $2"
        " AND label <= $3::text::diarchy.clearance AND (expires IS NULL OR expires > $4::timestamptz)",
        *(among, owner, clearance.value, now),
    )
    return [row.collection for row in rows]


class LooseRow(Struct, frozen=True, kw_only=True):
    """An item that was not imported, and what it tells."""

    id: str
    title: str
    content: str
    source: str


async def list_loose(
    db: Db, *, owner: str, clearance: Clearance, now: datetime, limit: int = 50, cursor: str | None = None
) -> Page[LooseRow]:
    """Unexpired items that their owner added one by one, by id. Raises InvalidError as `list_items` does."""
    after = from_cursor(_ImportPlace, cursor) if cursor else None
    rows = await db.rows(
        LooseRow,
        "SELECT id, title, content, source FROM read.knowledge WHERE collection IS NULL AND created_by = $1"
        " AND label <= $2::text::diarchy.clearance AND (expires IS NULL OR expires > $3::timestamptz)"
        " AND ($4::text IS NULL OR id > $4) ORDER BY id LIMIT $5",
        *(owner, clearance.value, now, after.id if after else None, bounded(limit)),
    )
    last = rows[-1] if len(rows) == limit else None
    return Page(tuple(rows), to_cursor(_ImportPlace(last.id)) if last else None)
