"""What a strategic summary is made of: the items of the highest priority in each category, out of the knowledge read model."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from contracts.domains import Clearance, Partition
from contracts.knowledge import Category
from runtime.read_models import Db

CATEGORY_ITEMS_MAX = 20
CONTENT_CHARS_MAX = 4_000


class Outlook(Struct, frozen=True, kw_only=True):
    """Which items: of these categories and partitions, changed at or after `since` or expiring up to `until`, and there `now`."""

    categories: tuple[Category, ...]
    partitions: tuple[Partition, ...]
    since: datetime
    until: datetime
    now: datetime


class StrategicItem(Struct, frozen=True, kw_only=True):
    """An item with the beginning of its content."""

    id: str
    title: str
    content: str
    category: Category
    label: Clearance
    strategic_priority: int
    expires: datetime | None
    updated: datetime


def best_first(item: StrategicItem) -> tuple[int, float, str]:
    """By strategic priority, then by the last change."""
    return -item.strategic_priority, -item.updated.timestamp(), item.id


async def strategic_items(db: Db, outlook: Outlook, *, clearance: Clearance) -> list[StrategicItem]:
    """At most CATEGORY_ITEMS_MAX items of each category, `best_first`."""
    found = await db.rows(
        StrategicItem,
        "SELECT id, title, left(content, $1::int) AS content, category, label, strategic_priority, expires, updated FROM ("
        " SELECT *, row_number() OVER (PARTITION BY category ORDER BY strategic_priority DESC, updated DESC, id) AS nth"
        " FROM read.knowledge WHERE label <= $2::text::diarchy.clearance"
        " AND category = ANY($3::text[]) AND partition = ANY($4::text[])"
        " AND (expires IS NULL OR expires > $5::timestamptz) AND (updated >= $6::timestamptz OR expires <= $7::timestamptz)"
        ") ranked WHERE nth <= $8::int",
        *(CONTENT_CHARS_MAX, clearance.value, outlook.categories, outlook.partitions),
        *(outlook.now, outlook.since, outlook.until, CATEGORY_ITEMS_MAX),
    )
    return sorted(found, key=best_first)


class _Epoch(Struct, frozen=True):
    build: int
    sequence: int


async def knowledge_epoch(db: Db) -> str:
    """Another text whenever the knowledge read model may have changed: its build, and how far it has come.

    What is read after it is at least as new.
    """
    rows: Sequence[_Epoch] = await db.rows(
        _Epoch,
        "SELECT build, sequence FROM diarchy.projections JOIN diarchy.positions USING (name, build)"
        " WHERE name = 'knowledge' AND domain = 'ceo'",
    )
    return f"{rows[0].build}.{rows[0].sequence}" if rows else "0.0"
