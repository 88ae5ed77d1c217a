"""What a vector engine stores beside a vector, and a query's filter in terms every engine has: one meaning, three stores."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_args
from uuid import UUID

import msgspec
from msgspec import Struct

from adapters.passages import EMBEDDED_MAX
from adapters.ranking import Candidate
from contracts import partitions as partitions_
from contracts.domains import Partition
from contracts.partitions import FieldValue
from contracts.retrieval import Entry, Kept, Query, digest
from contracts.span import Span
from runtime.errors import InvalidError
from runtime.vector_ports import Item

T = TypeVar("T")

SCHEMA = 4
"""Of payloads and vectors as they are stored; what was stored under another number is indexed anew."""

SEARCHED_FROM = 3
"""Of a layout that is older than this nothing can be found; what is in between serves until it is indexed anew. In layout 3 the
words of a text are in one part, numbered by more bits of their hash: a search counts some of them."""

PARTITIONS: tuple[Partition, ...] = get_args(Partition)
HITS_MAX = 1_000
UPSERT_ENTRIES_MAX = 256
LISTED_MAX = 1_000

RANK = "label_rank"
PRIORITY = "priority"
EXPIRES = "expires_epoch_s"
FIELDS = "fields"
VERSION = "version"
UPDATED = "updated_epoch_s"
PASSAGES = "passages"
PRIORITY_MIN = 1
"""Every entry has it at least."""

PLACING = [PRIORITY, UPDATED]
"""What an entry's place among hits depends on besides its text."""

TAGS = "tags"
KEYWORDS = ("category", "source", "media_type")
"""The text fields a query may filter on; engines index them, and the tags."""


class Conditions(Struct, frozen=True):
    """An entry may be returned if its rank is at most `rank_max`, it does not expire at or before `now_epoch_s`, each of the
    `matches` (a field of KEYWORDS and its value, or TAGS and one of its tags) holds exactly, its priority is at least
    `priority_min`, and where they are set its last change is not before `updated_from_s` nor after `updated_to_s`."""

    rank_max: int
    now_epoch_s: float
    matches: tuple[tuple[str, FieldValue], ...]
    priority_min: int = PRIORITY_MIN
    updated_from_s: float | None = None
    updated_to_s: float | None = None

    @property
    def dated(self) -> bool:
        return self.updated_from_s is not None or self.updated_to_s is not None

    def includes(self, updated_s: float | None) -> bool:
        """Whether something that last changed then is meant; what does not say when it did is not."""
        if updated_s is None:
            return False
        since, until = self.updated_from_s, self.updated_to_s
        return (since is None or updated_s >= since) and (until is None or updated_s <= until)


def conditions(query: Query) -> Conditions:
    """Raises InvalidError for a field that a partition does not have, or whose values are of another type."""
    wanted = zip(KEYWORDS, (query.category, query.source, query.media_type), strict=True)
    matches: list[tuple[str, FieldValue]] = [(field, value) for field, value in wanted if value is not None]
    matches += [(TAGS, tag) for tag in query.tags or ()]
    if query.fields:
        for partition in query.partitions:
            _check_fields(partition, query.fields, "the query")
        matches += [(f"{FIELDS}.{name}", value) for name, value in query.fields.items()]
    return Conditions(
        query.clearance.rank,
        query.now.timestamp(),
        tuple(matches),
        query.priority_min,
        query.updated_from.timestamp() if query.updated_from else None,
        query.updated_to.timestamp() if query.updated_to else None,
    )


def kinds(partition: Partition) -> dict[str, type[FieldValue]]:
    """The type of each field of a partition, by the path it is stored under."""
    types = msgspec.inspect.type_info(partitions_.FIELDS[partition])
    assert isinstance(types, msgspec.inspect.StructType)  # noqa: S101 - all of them are Structs
    return {f"{FIELDS}.{field.name}": _kind(field.type) for field in types.fields}


def _kind(of: msgspec.inspect.Type) -> type[FieldValue]:
    options = of.types if isinstance(of, msgspec.inspect.UnionType) else (of,)
    if any(isinstance(option, msgspec.inspect.BoolType) for option in options):
        return bool
    return int if any(isinstance(option, msgspec.inspect.IntType) for option in options) else str


def _check_fields(partition: Partition, fields: dict[str, FieldValue], whose: str) -> None:
    misfit = partitions_.misfit(partition, fields)
    if misfit:
        raise InvalidError(f"the fields of {whose} do not fit partition {partition}: {misfit}", f"$.{FIELDS}")


def payload(item: Item) -> dict[str, Any]:
    """The entry as JSON values, with its label's rank, its passages where there are several, and its times in epoch seconds, to
    the microsecond (no expiry: never)."""
    entry = item.entry
    values: dict[str, Any] = msgspec.to_builtins(entry)
    values[RANK] = entry.label.rank
    if entry.expires is not None:
        values[EXPIRES] = entry.expires.timestamp()
    if entry.updated is not None:
        values[UPDATED] = entry.updated.timestamp()
    if len(item.passages) > 1:
        values[PASSAGES] = [[span.start, span.end] for span in item.passages]
    return values


def entry(values: dict[str, Any]) -> Entry:
    """The entry that `payload` was made of."""
    return msgspec.convert(values, Entry)


def candidate(partition: Partition, point: str, values: dict[str, Any], cosine: float, words: float) -> Candidate:
    """`values`: at least those of PLACING."""
    return Candidate(partition, point, cosine, words, values[PRIORITY], values.get(UPDATED))


def passages(values: dict[str, Any]) -> tuple[Span, ...]:
    """None where the whole text is one."""
    return tuple(Span(start, end) for start, end in values.get(PASSAGES, ()))


def allowed(values: dict[str, Any], wanted: Conditions) -> bool:
    """The conditions over one payload, for engines without filters of their own, and the reference for those with."""
    if values[RANK] > wanted.rank_max or values.get(EXPIRES, float("inf")) <= wanted.now_epoch_s:
        return False
    if values[PRIORITY] < wanted.priority_min:
        return False
    if wanted.dated and not wanted.includes(values.get(UPDATED)):
        return False
    return all(value in values[TAGS] if path == TAGS else _at(values, path) == value for path, value in wanted.matches)


def _at(values: dict[str, Any], path: str) -> Any:
    whole, _, name = path.partition(".")
    return values.get(whole, {}).get(name) if name else values[whole]


def point_id(text: str) -> str:
    """The UUID in its canonical form. Raises InvalidError for anything else."""
    try:
        return str(UUID(text))
    except ValueError as error:
        raise InvalidError(f"the id of an entry must be a UUID, not {text[:60]!r}", "$.id") from error


class Page(Struct, frozen=True):
    """What to ask an engine for that lists from an id on: that id and how many, one more than wanted beyond it."""

    start: str | None
    points: int

    def kept(self, points: Iterable[tuple[str, dict[str, Any]]]) -> list[Kept]:
        """What was listed, as id and payload of each point, without the point it started at."""
        stored = [entry(values) for id_, values in points if id_ != self.start][: self.points - 1]
        return [Kept(one.id, one.version, digest(one)) for one in stored]


def page(after: str | None, limit: int) -> Page:
    return Page(None if after is None else point_id(after), max(0, min(limit, LISTED_MAX)) + 1)


def asked(ids: Iterable[str]) -> dict[str, str]:
    """The ids as a caller gave them, by point."""
    return {point_id(text): text for text in ids}


def versions(asked: Mapping[str, str], points: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, int]:
    """The version of each point that was found, by the id that was asked for."""
    return {asked[point]: int(values.get(VERSION, 0)) for point, values in points}


def chunks(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def check(partition: Partition, items: Sequence[Item], dimensions: int) -> None:
    """Raises InvalidError unless each entry has its partition's fields, and a vector of the store's size an embedded passage."""
    for item in items:
        if item.entry.fields:
            _check_fields(partition, item.entry.fields, f"entry {item.entry.id}")
        wanted = max(1, min(len(item.passages), EMBEDDED_MAX))
        if len(item.vectors) != wanted:
            raise InvalidError(f"entry {item.entry.id} came with {len(item.vectors)} vectors for {wanted} passages")
        for vector in item.vectors:
            check_size(vector, dimensions)


def check_size(vector: Sequence[float], dimensions: int) -> None:
    if len(vector) != dimensions:
        raise InvalidError(f"a vector has {len(vector)} numbers where the store holds {dimensions}")


def partitions(query: Query) -> Iterable[Partition]:
    """Each once, in the query's order, so that no entry is found twice."""
    return dict.fromkeys(query.partitions)


def limit(query: Query) -> int:
    return max(0, min(query.limit, HITS_MAX))
