"""Source code that a question names by where it lies on the worker's machine: the port to it, for the effect that keeps it."""

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


class PackedFolder(Struct, frozen=True, kw_only=True):
    """A folder as one zip archive with its history of changes, and in words what is in it."""

    content: bytes
    text: str
    label: Clearance


class SourceFolders(Protocol):
    """Folders that the operator lets questions name."""

    async def read(self, path: str, clearance: Clearance) -> PackedFolder:
        """Raises OutcomeError: it may not be read under this clearance, or cannot be; the text says why."""
        ...


class NoSourceFolders:
    """SourceFolders where none is allowed."""

    async def read(self, path: str, clearance: Clearance) -> PackedFolder:  # noqa: ARG002 - the port's
        raise OutcomeError(f"{path} is not read: the operator lets no repository be named (repositories.roots)")


def hit(path: str, packed: PackedFolder, digest: str) -> Hit:
    """The folder as a search would give it, had it been imported."""
    entry = Entry(
        id=keyed_id("repository", path, digest),
        title=f"Repository {path}",
        text=packed.text,
        label=packed.label,
        source=path,
        tags=(NAMED,),
        attachment=digest,
        media_type="application/zip",
    )
    return Hit(entry=entry, partition="code_knowledge", score=1.0, relevance=1.0)
