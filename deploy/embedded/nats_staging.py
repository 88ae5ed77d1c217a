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
STREAMS = "jetstream/*/streams/*"
BATCHES = "batches"


class Staging:
    """The staging of one server, whose JetStream `store_dir` is `store`. Without tmpfs, nothing happens anywhere."""

    def __init__(self, store: Path, memory: Path = MEMORY) -> None:
        name = hashlib.sha256(os.fsencode(store.absolute())).hexdigest()[:16]
        self._store = store
        self._memory = memory / f"diarchy-{os.geteuid()}-{name}"

    def begin(self) -> None:
        """Have every stream that there is stage in memory. Call it once the server serves, and when streams were added.

        Harmless at any time: a stream that has a batch under way is left as it is.
        """
        streams = [one for one in self._store.glob(STREAMS) if not (one / BATCHES).is_symlink()]
        if not streams or not self._is_ours():
            return
        for stream in streams:
            # A server that starts has finished what was left there, and taken its link away.
            target = self._memory / stream.name
            shutil.rmtree(target, ignore_errors=True)
            with contextlib.suppress(OSError):
                target.mkdir()
                if (stream / BATCHES).exists():
                    (stream / BATCHES).rmdir()
                (stream / BATCHES).symlink_to(target)

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
