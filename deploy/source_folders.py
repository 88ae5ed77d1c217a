"""Folders on the worker's machine that questions may name: those below the operator's roots.

The path is resolved, links and all, before it is compared with the roots; links inside a folder are not followed.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from contracts.domains import Clearance
from deploy.packing import Packed, Packer, serve
from deploy.source_archive import describe, pack
from runtime.errors import OutcomeError
from runtime.named_repositories import Naming, PackedRepository


class AllowedFolders:
    """NamedRepositories below `roots`; none of them may be a relative path."""

    def __init__(self, roots: Sequence[str], packer: Packer, *, label: Clearance) -> None:
        self._roots = tuple(Path(root) for root in roots)
        self._packer = packer
        self._label = label

    async def read(self, naming: Naming) -> PackedRepository:
        path = naming.place
        folder = await asyncio.to_thread(self._allowed, path) if self._label <= naming.clearance else None
        if folder is None:  # In one sentence, so that nobody learns what else there is.
            raise OutcomeError(
                f"{path} is not read: it is no folder below those that the operator lets questions name (repositories.roots),"
                " or is above your clearance",
                code="input",
            )
        packed = await self._packer.packed(path, "deploy.source_folders", [str(folder)])
        return PackedRepository(content=packed.content, text=packed.text, label=self._label)

    def _allowed(self, path: str) -> Path | None:
        try:
            folder = Path(path).resolve(strict=True)
            roots = [root.resolve(strict=True) for root in self._roots if root.is_dir()]
            allowed = Path(path).is_absolute() and any(folder.is_relative_to(root) for root in roots)
            return folder if allowed and folder.is_dir() else None
        except (OSError, RuntimeError, ValueError):  # it is not there, links lead in a circle, or it is no path
            return None


def _pack(_: Path, arguments: Sequence[str]) -> Packed:
    folder = Path(arguments[0])
    content, paths = pack(folder)
    return Packed(content, describe(folder.name, paths))


if __name__ == "__main__":
    serve(_pack)
