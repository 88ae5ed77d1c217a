"""Source code that a question names, by its path or its address: the port to it, for the effect that keeps it."""

from typing import Protocol

from msgspec import Struct

from contracts.domains import Clearance
from contracts.ids import keyed_id
from contracts.retrieval import Entry, Hit
from contracts.users import Permission
from runtime.errors import OutcomeError

ASK_PERMISSION: Permission = "artemis:write"
NAMED = "named repository"
"""The tag of what a question named, which is what teams work on; it is in no partition."""


class Naming(Struct, frozen=True, kw_only=True):
    """What a question names, for whom (`clearance`), and how confidential the question is (`label`)."""

    place: str
    clearance: Clearance
    label: Clearance


class PackedRepository(Struct, frozen=True, kw_only=True):
    """A source tree as one zip archive with its history of changes, and in words what is in it."""

    content: bytes
    text: str
    label: Clearance


class NamedRepositories(Protocol):
    """Repositories that the operator lets questions name."""

    async def read(self, naming: Naming) -> PackedRepository:
        """Raises OutcomeError: it may not be read for this question, or cannot be; the text says why."""
        ...


class NoRepositories:
    """NamedRepositories where none is allowed."""

    async def read(self, naming: Naming) -> PackedRepository:
        raise OutcomeError(
            f"{naming.place} is not read: the operator lets no repository be named"
            " (repositories.roots for paths, repositories.hosts for addresses)",
            code="input",
        )


def hit(place: str, packed: PackedRepository, digest: str) -> Hit:
    """The repository as a search would give it, had it been imported."""
    entry = Entry(
        id=keyed_id("repository", place, digest),
        title=f"Repository {place}",
        text=packed.text,
        label=packed.label,
        source=place,
        tags=(NAMED,),
        attachment=digest,
        media_type="application/zip",
    )
    return Hit(entry=entry, partition="code_knowledge", score=1.0, relevance=1.0)
