"""Upcasting: old shapes of events become today's where bytes become events. Nothing else knows an old shape.

What is stored stays as it is, bytes and hash. A shape that changed gets a new tag (`….v2`), and here the step from the old one.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

Fields = dict[str, Any]
"""The JSON object of one event, without its `type`."""


class Upcaster(NamedTuple):
    """One step: the tag of the next version, and the old fields to its fields. A function of the fields alone."""

    tag: str
    change: Callable[[Fields], Fields]


UPCASTERS: dict[str, Upcaster] = {}
"""By old tag. Steps are chained: v1 to v2, v2 to v3. A step, once released, is never changed."""


def current(tag: str) -> str:
    """The tag of today's version of an event."""
    while tag in UPCASTERS:
        tag = UPCASTERS[tag].tag
    return tag


def with_old_tags(tags: Iterable[str]) -> frozenset[str]:
    """These tags of today, and those of all earlier versions."""
    wanted = frozenset(tags)
    return wanted | {old for old in UPCASTERS if current(old) in wanted}


def upcast(body: bytes) -> bytes | None:
    """The event of today's version that an old one's bytes stand for; None when there is nothing to do.

    Raises msgspec.ValidationError or DecodeError for what is not a tagged JSON object, or lacks what its step needs.
    """
    fields = msgspec.json.decode(body, type=Fields)
    tag = str(fields.pop("type", ""))
    if tag not in UPCASTERS:
        return None
    while tag in UPCASTERS:
        step = UPCASTERS[tag]
        try:
            tag, fields = step.tag, step.change(fields)
        except (KeyError, TypeError, ValueError) as error:
            raise msgspec.ValidationError(f"cannot be read as {step.tag}: {error!r}") from error
    return msgspec.json.encode({"type": tag, **fields})
