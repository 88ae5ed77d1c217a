"""What files may say of an item beside its text: each field checked where it stands, so that its place can be named."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import get_args

import msgspec

from contracts import partitions
from contracts.domains import Clearance, ItemPartition, Partition
from contracts.knowledge import Category, Knowledge
from contracts.partitions import FieldValue
from runtime.errors import InvalidError

FIELDS = {field.name: field.type for field in msgspec.structs.fields(Knowledge) if field.name != "attachment"}
FIELDS["partition"] = ItemPartition
GUARDS = ("confidentiality", "expires", "partition")
"""Who may read an item, and for how long: a field that looks misspelt for one of these is refused, any other unknown left out."""
ALIKE = 0.8

_WANTED = {
    "title": "a text",
    "category": f"one of {', '.join(get_args(Category))}",
    "confidentiality": f"one of {', '.join(level.value for level in Clearance)}",
    "strategic_priority": "a whole number from 1 to 10",
    "source": "a text of at most 300 characters",
    "tags": "a list of at most 32 texts of at most 60 characters each, or these with commas between",
    "expires": "a date or time as in ISO 8601: 2027-01-31, or 2027-01-31T12:00:00Z",
    "partition": f"one of {', '.join(get_args(ItemPartition))}",
    "fields": "what items of its partition say besides, by name: texts, whole numbers, true or false",
}


def checked(name: str, value: object) -> object:
    """The value that a known field takes, made of how it is written. Raises InvalidError saying what is wanted."""
    said = value
    if name == "tags":
        said = _tags(value)
    elif name == "expires":
        said = _moment(value)
    try:
        return msgspec.convert(said, FIELDS[name], strict=name == "fields")
    except msgspec.ValidationError as error:
        wanted = f"it is {_WANTED[name]}" if name in _WANTED else str(error)
        raise InvalidError(f"{name} {str(value)[:60]!r} is not taken; {wanted}", f"$.{name}") from error


def typed(among: Sequence[Partition], written: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    """The fields of the first of these partitions that has them, of how they are written, without empty ones. Raises InvalidError
    naming those that there are."""
    said = {name: value for name, value in written.items() if value != ""}
    problems = {partition: partitions.misfit(partition, said, strict=False) for partition in among}
    for partition, problem in problems.items():
        if problem is None:
            fields: dict[str, FieldValue] = msgspec.to_builtins(
                msgspec.convert(said, partitions.FIELDS[partition], strict=False)
            )
            return fields
    raise InvalidError("; ".join(filter(None, problems.values())), "$.fields")


def unknown(names: Iterable[str]) -> set[str]:
    """The names that are no field. Raises InvalidError for one that looks misspelt for a field that guards the item."""
    found = set(names) - FIELDS.keys()
    for name in sorted(found):
        for meant in difflib.get_close_matches(name.casefold(), GUARDS, n=1, cutoff=ALIKE):
            raise InvalidError(f"unknown field {name[:60]!r}: write {meant}, or leave it out", f"$.{name}")
    return found


def _tags(value: object) -> object:
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        return given
    return [
        tag.strip() if isinstance(tag, str) else tag for tag in given if not (isinstance(tag, str) and not tag.strip())
    ]


def _moment(value: object) -> object:
    """In UTC where it does not say; a date is its beginning; an empty text is no moment."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip()) if value.strip() else None
        except ValueError:
            return value
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
