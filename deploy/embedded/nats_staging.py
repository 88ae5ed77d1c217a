"""Where the embedded broker puts an atomic batch together before it commits it: in memory, not in its folder on the disk.

A server without replicas stages each batch as a small stream of its own in `<stream>/batches/`: a folder and six files, made and
removed again. Made on tmpfs the batch costs a third (docs/adr/0023). What is acknowledged is in the stream itself and flushed as
ever. What is staged outlives the server, as before, so that it finishes after a kill -9 what it had begun to commit.
"""

import contextlib
import hashlib
import os
import shutil
import stat
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, checked
ROOM_BYTES_MIN = 32 << 20  # free; below that batches go to the disk
STREAMS = ("jetstream/*/streams/*_LOG", "jetstream/*/streams/*_IN")
"""Those that take atomic batches."""
BATCHES = "batches"


class Staging:
    """The staging of one server, whose JetStream `store_dir` is `store`. Without tmpfs, nothing happens anywhere."""

    def __init__(self, store: Path, memory: Path = MEMORY, room_bytes_min: int = ROOM_BYTES_MIN) -> None:
        name = hashlib.sha256(os.fsencode(store.absolute())).hexdigest()[:16]
        self._store = store
        self._memory = memory / f"diarchy-{os.geteuid()}-{name}"
        self._room_bytes_min = room_bytes_min

    def keep(self) -> None:
        """Have every stream that there is stage in memory, or on the disk where there is no room; call it again and again.

        Streams are added, the memory fills up, and what is in it may be cleared away by others: without its folder a stream
        takes no batch. A stream that has one under way on the disk is left as it is.
        """
        streams = [one for pattern in STREAMS for one in self._store.glob(pattern)]
        if not streams:
            return
        may = self._is_ours() and self._has_room()
        for stream in streams:
            link, target = stream / BATCHES, self._memory / stream.name
            with contextlib.suppress(OSError):
                if not may:
                    if link.is_symlink():
                        link.unlink()
                elif link.is_symlink():
                    target.mkdir(exist_ok=True)
                else:
                    # A server that starts has finished what was left there, and taken its link away.
                    shutil.rmtree(target, ignore_errors=True)
                    target.mkdir()
                    if link.exists():
                        link.rmdir()
                    link.symlink_to(target)

    def end(self) -> None:
        """Leave nothing behind, once the server has ended, but a batch that it has to finish when it starts again."""
        for folder in [*self._memory.glob("*"), self._memory]:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _is_ours(self) -> bool:
        """Whether the folder is there for nobody but us: everybody may write to the one it is in."""
        try:
            self._memory.mkdir(mode=0o700, exist_ok=True)
            found = self._memory.lstat()
        except OSError:
            return False
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077

    def _has_room(self) -> bool:
        free = os.statvfs(self._memory)
        return free.f_bavail * free.f_frsize >= self._room_bytes_min
