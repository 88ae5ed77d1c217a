"""Analysers as programs: no shell, no environment of ours, a folder of their own, time and output bounded.

A folder holds the files to be analysed and nothing else: no configuration of the tree, which comes from outside and could say
what is to be overlooked, or name code to be loaded. What a program writes to its error output is thrown away: it may quote.
"""

import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from actors.artemis.tools.source_tree import SourceFile

OUTPUT_BYTES_MAX = 64_000_000
MEMORY_BYTES_MAX = 2 << 30
AT_ONCE = 2  # programs of one analyser
PART_FILES = 100
PART_BYTES = 4_000_000
ODD_BYTES = 200_000
ODD_LINE_CHARS = 5_000
ODD_S_MAX = 10.0  # a file of its own that takes longer is left out
PART_S_MIN = 1.0  # with less time left nothing is begun

T = TypeVar("T")


class ProgramError(Exception):
    """A program did not end well: it took too long, said too much, or crashed."""


class Unread(Struct, frozen=True):
    """A file that an analyser could not take, and why."""

    path: str
    reason: str


class Deadline:
    """The time that is left for all that one tool does."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, at_most: float = 1e9) -> float:
        return max(0.0, min(at_most, self._end - time.monotonic()))


@contextmanager
def folder_of(files: Sequence[SourceFile]) -> Iterator[Path]:
    """A new folder with these files, gone afterwards. Their paths were checked when the archive was read (`placed`)."""
    with tempfile.TemporaryDirectory(prefix="source-", ignore_cleanup_errors=True) as name:
        root = Path(name) / "tree"
        for file in files:
            path = root / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8", errors="replace", newline="")
        root.mkdir(exist_ok=True)
        yield root


def run(
    program: Sequence[str], folder: Path, seconds: float, *, given: bytes = b"", ends: Sequence[int] = (0,)
) -> bytes:
    """What a program prints, run in the folder. Raises ProgramError.

    It begins with its path, or with an option of Python's (`-m`) or a script's name; `ends` are the exit codes of a good end.
    """
    if seconds < PART_S_MIN:
        raise ProgramError("there was no time left for it")
    isolated = program[0] == "-m" or program[0].endswith(".py")
    home = str(folder.parent)
    with tempfile.TemporaryFile() as entry, tempfile.TemporaryFile() as output:
        entry.write(given)
        entry.seek(0)
        process = subprocess.Popen(  # noqa: S603 - programs and options are ours; the folder's files are never run
            [sys.executable, "-I", *program] if isolated else [*program],
            cwd=folder,
            env={"HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"},
            stdin=entry,
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
        try:
            _bound(process.pid)
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"it took longer than {seconds:.0f} s") from None
        finally:
            process.kill()
            process.wait()
        if code not in ends:
            raise ProgramError(f"it ended with {f'signal {-code}' if code < 0 else f'code {code}'}")
        output.seek(0)
        return output.read(OUTPUT_BYTES_MAX)


def _bound(pid: int) -> None:
    """Bounds of its own where the sandbox leaves them to us; the sandbox's hold for all programs together."""
    with suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (OUTPUT_BYTES_MAX, OUTPUT_BYTES_MAX))
        resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))


def installed(name: str) -> str:
    """The path of a program that came with a package."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def in_parts(
    files: Sequence[SourceFile], analyse: Callable[[Sequence[SourceFile], float], T], deadline: Deadline
) -> tuple[list[T], list[Unread]]:
    """What an analyser that looks at each file by itself says of all of them, and which files it could not take.

    They are given to it in parts, AT_ONCE of them side by side, so that what is done is kept when the time is over. A part that
    fails is halved until the file to blame is found; files that are odd (very large, or with very long lines) come last, each
    alone and with a time of its own.
    """
    plain = [file for file in files if not _odd(file)]
    odd = [file for file in files if _odd(file)]

    def of_part(part: Sequence[SourceFile]) -> tuple[list[T], list[Unread]]:
        return _halved(part, analyse, deadline)

    def of_odd(file: SourceFile) -> tuple[list[T], list[Unread]]:
        try:
            return [analyse([file], deadline.left(ODD_S_MAX))], []
        except ProgramError as error:
            return [], [Unread(file.path, str(error))]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = [*pool.map(of_part, _parts(plain)), *pool.map(of_odd, odd)]
    return [one for done, _ in results for one in done], [one for _, unread in results for one in unread]


def _halved(
    files: Sequence[SourceFile], analyse: Callable[[Sequence[SourceFile], float], T], deadline: Deadline
) -> tuple[list[T], list[Unread]]:
    done: list[T] = []
    unread: list[Unread] = []
    waiting = [files] if files else []
    while waiting:
        part = waiting.pop()
        try:
            done.append(analyse(part, deadline.left()))
        except ProgramError as error:
            if len(part) == 1 or deadline.left() < PART_S_MIN:
                unread += [Unread(file.path, str(error)) for file in part]
            else:
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
    return done, unread


def _odd(file: SourceFile) -> bool:
    return len(file.text) > ODD_BYTES or max(map(len, file.text.splitlines()), default=0) > ODD_LINE_CHARS


def _parts(files: Sequence[SourceFile]) -> Iterator[list[SourceFile]]:
    part: list[SourceFile] = []
    size = 0
    for file in files:
        if part and (len(part) == PART_FILES or size + len(file.text) > PART_BYTES):
            yield part
            part, size = [], 0
        part.append(file)
        size += len(file.text)
    yield part


def unread_sentences(what: str, unread: Sequence[Unread]) -> list[str]:
    """That something was not analysed, with the first files and reasons; nothing where everything was."""
    if not unread:
        return []
    named = "; ".join(f"{one.path} ({one.reason})" for one in unread[:3])
    return [f"Not covered by {what}: {len(unread):,} files, such as {named}."]
