"""Folders on the worker's machine that questions may name: those below the operator's roots, packed in a process of its own.

The path is resolved, links and all, before it is compared with the roots; links inside a folder are not followed. The process is
bounded in time and memory, so that a folder that is too big, or a repository that was made to do harm, costs nothing but itself.
"""

import asyncio
import contextlib
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from contracts.domains import Clearance
from deploy.source_archive import describe, pack
from runtime.errors import InvalidError, OutcomeError
from runtime.source_folders import PackedFolder

MEMORY_BYTES_MAX = 2 * 1024**3  # of addresses
AT_ONCE = 2  # folders that are packed; more wait


class _Packed(Struct, frozen=True):
    content: bytes = b""
    text: str = ""
    reason: str = ""


class AllowedFolders:
    """SourceFolders below `roots`; none of them may be a relative path."""

    def __init__(self, roots: Sequence[str], *, label: Clearance, read_s_max: float, bytes_max: int) -> None:
        self._roots = tuple(Path(root) for root in roots)
        self._label = label
        self._read_s_max = read_s_max
        self._bytes_max = bytes_max
        self._free = asyncio.Semaphore(AT_ONCE)

    async def read(self, path: str, clearance: Clearance) -> PackedFolder:
        folder = await asyncio.to_thread(self._allowed, path) if self._label <= clearance else None
        if folder is None:  # In one sentence, so that nobody learns what else there is.
            raise OutcomeError(
                f"{path} is not read: it is no folder below those that the operator lets questions name (repositories.roots),"
                " or is above your clearance"
            )
        async with self._free:
            packed = await self._packed(folder)
        if packed.reason:
            raise OutcomeError(f"{path} is not read: {packed.reason}")
        if len(packed.content) > self._bytes_max:
            raise OutcomeError(f"{path} is not read: packed it has more than {self._bytes_max:,} bytes")
        return PackedFolder(content=packed.content, text=packed.text, label=self._label)

    def _allowed(self, path: str) -> Path | None:
        try:
            folder = Path(path).resolve(strict=True)
            roots = [root.resolve(strict=True) for root in self._roots if root.is_dir()]
            allowed = Path(path).is_absolute() and any(folder.is_relative_to(root) for root in roots)
            return folder if allowed and folder.is_dir() else None
        except (OSError, RuntimeError, ValueError):  # it is not there, links lead in a circle, or it is no path
            return None

    async def _packed(self, folder: Path) -> _Packed:
        # `-P`: nothing of the folder we stand in is imported.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "deploy.source_folders",
            str(folder),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: we end it.
        )
        try:
            async with asyncio.timeout(self._read_s_max):
                printed, _ = await process.communicate()
        except TimeoutError:
            return _Packed(reason=f"packing it took longer than {self._read_s_max:g} s (repositories.read_s_max)")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        try:
            return msgspec.msgpack.decode(printed, type=_Packed)
        except msgspec.MsgspecError:
            return _Packed(reason="packing it ended the process that did: it is broken, or made to do harm")


def main() -> None:
    """The process: a folder in, its archive out."""
    with contextlib.suppress(ValueError, OSError):  # Where the system knows no such limit there is the time alone.
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    folder = Path(sys.argv[1])
    try:
        content, paths = pack(folder)
        packed = _Packed(content, describe(folder.name, paths))
    except (InvalidError, OSError) as error:
        packed = _Packed(reason=str(error) if isinstance(error, InvalidError) else type(error).__name__)
    sys.stdout.buffer.write(msgspec.msgpack.encode(packed))


if __name__ == "__main__":
    main()
