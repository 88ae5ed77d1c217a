"""What a question names or hands over: it comes before what a search found, and is analysed instead of it."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from contracts.retrieval import Entry, Hit
from contracts.sources import KINDS, Kind, Source

GIVEN = ("",)
"""The tags of what was given. No item has such a tag: none of them can be empty, so none passes for given."""


def handed_over(sources: Iterable[Source]) -> tuple[Hit, ...]:
    """The files as a search would give their items."""
    return tuple(
        given(
            Hit(
                entry=Entry(
                    id=one.item,
                    title=one.title,
                    text=one.text,
                    label=one.label,
                    source=one.origin,
                    updated=one.updated,
                    attachment=one.digest,
                    media_type=one.media_type,
                ),
                partition=one.partition,
                score=1.0,
                relevance=1.0,
            )
        )
        for one in sources
    )


def given(hit: Hit) -> Hit:
    """The hit as one that the question gave."""
    return replace(hit, entry=replace(hit.entry, tags=GIVEN))


def before(named: Sequence[Hit], found: Sequence[Hit]) -> tuple[Hit, ...]:
    """What was given, then what was found besides, without other files of the kinds that were given: nothing is said of those."""
    known = {hit.entry.id for hit in named}
    return usable((*named, *(hit for hit in found if hit.entry.id not in known)))


def kinds(hits: Iterable[Hit]) -> frozenset[Kind]:
    """What there is among what was given."""
    return frozenset(kind for hit in hits if hit.entry.tags == GIVEN and (kind := _kind(hit)) is not None)


def files(hits: Iterable[Hit], *wanted: Kind) -> tuple[tuple[str, Hit], ...]:
    """The given files of these kinds, each with its digest."""
    return tuple(
        (hit.entry.attachment, hit)
        for hit in hits
        if hit.entry.tags == GIVEN and hit.entry.attachment is not None and _kind(hit) in wanted
    )


def usable(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Without the files that were found where one of their kind was given."""
    there = kinds(hits)
    return tuple(hit for hit in hits if hit.entry.tags == GIVEN or _kind(hit) not in there)


def _kind(hit: Hit) -> Kind | None:
    return KINDS.get(hit.entry.media_type or "")
