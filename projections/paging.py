"""Pages of bounded size, and opaque cursors to go on from."""

import base64
import binascii
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from contracts.catalogue import tag
from contracts.envelope import Event
from contracts.upcasting import with_old_tags
from runtime.errors import InvalidError

LIMIT_MAX = 200
CURSOR_CHARS_MAX = 400
Place = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A sequence that came back from outside."""

T = TypeVar("T")
C = TypeVar("C", bound=Struct)


class Page(Struct, Generic[T], frozen=True):
    """Some items, and the cursor of the next page; None after the last one."""

    items: tuple[T, ...]
    next: str | None = None


def types_of(*events: type[Event]) -> frozenset[str]:
    """The stored names of event types, old versions included."""
    return with_old_tags(map(tag, events))


def bounded(limit: int, most: int = LIMIT_MAX) -> int:
    """The limit. Raises InvalidError unless it is 1 to `most`."""
    if not 1 <= limit <= most:
        raise InvalidError(f"limit must be 1 to {most}", "limit")
    return limit


def to_cursor(place: Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def from_cursor(kind: type[C], cursor: str) -> C:
    """The place a cursor of ours names. Raises InvalidError for anything else."""
    try:
        if len(cursor) > CURSOR_CHARS_MAX:
            raise ValueError("too long")
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(text, type=kind)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise InvalidError("not a cursor of ours", "cursor") from error
