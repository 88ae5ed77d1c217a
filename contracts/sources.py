"""Stored files that a question hands over: they are what is analysed, and nothing that a search would find in their place."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from contracts.domains import Clearance, Partition

SOURCES_MAX = 3
TEXT_CHARS_MAX = 1_500  # of what an item says, that goes along

Kind = Literal["archive", "table", "profile", "advisories"]
KINDS: dict[str, Kind] = {
    "application/zip": "archive",
    "application/gzip": "archive",
    "text/csv": "table",
    "application/vnd.speedscope+json": "profile",
    "application/vnd.pyinstrument+json": "profile",
    "text/x-collapsed-stacks": "profile",
    "application/vnd.osv": "advisories",
}
"""What a stored file is to the teams, by its media type; of any other none makes anything."""


class Source(Struct, frozen=True, kw_only=True):
    """A knowledge item's file as it was when the question was asked: what is done to the item later changes nothing.

    `text` is the beginning of what the item says of the file, `origin` where it says to be from, `updated`
    when it changed last.
    """

    item: str
    title: str
    text: str
    label: Clearance
    partition: Partition
    digest: str
    media_type: str
    origin: str = ""
    updated: datetime | None = None

    @property
    def kind(self) -> Kind | None:
        return KINDS.get(self.media_type)
