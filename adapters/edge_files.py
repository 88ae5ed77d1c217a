"""The files of an embedded shard: a hundred and more, most of whose bytes were never written."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
ROOM_BYTES_MIN = 256 << 20
"""A partition takes a tenth of that for a moment."""

BLOCK_BYTES = 64 << 10
ZEROS = bytes(BLOCK_BYTES)
SYNCS_MAX = 16
"""Files that are waited for at once: a file system writes down together what is asked for together."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what is thrown away: in memory, where to flush costs nothing, unless there is no room."""
    room = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM_BYTES_MIN
    with tempfile.TemporaryDirectory(prefix="diarchy-shard-", dir=MEMORY if room else None) as folder:
        yield Path(folder)


def copy(source: Path, target: Path, *, without: str) -> None:
    """A folder with all that is in it, but for files of this name; what was never written is not written there either."""
    for folder, _, names in os.walk(source):
        to = target / Path(folder).relative_to(source)
        to.mkdir(parents=True)
        for name in names:
            if name != without:
                _copy_file(Path(folder, name), to / name)


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as reading, target.open("wb", buffering=0) as writing:
        size = os.fstat(reading.fileno()).st_size
        for start, end in _written(reading.fileno(), size):
            for offset in range(start, end, BLOCK_BYTES):
                block = os.pread(reading.fileno(), min(BLOCK_BYTES, end - offset), offset)
                if block != ZEROS[: len(block)]:  # What was mapped and read only counts as written in memory.
                    os.pwrite(writing.fileno(), block, offset)
        writing.truncate(size)
    shutil.copymode(source, target)


def _written(file: int, size: int) -> Iterator[tuple[int, int]]:
    """From where to where something was written. All of it, where the file system does not say."""
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
            end = os.lseek(file, start, os.SEEK_HOLE)
        except OSError:  # nothing from there on
            return
        yield start, end


def sync(path: Path) -> None:
    """Return when a file, or which files a folder has, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(place: Path) -> None:
    """Return when a folder is on the disk with all that is in it."""
    paths = [Path(folder, name) for folder, folders, names in os.walk(place) for name in (*folders, *names)]
    with ThreadPoolExecutor(SYNCS_MAX, thread_name_prefix="sync") as threads:
        for _ in threads.map(sync, [*paths, place]):
            pass
