"""A tree of source code as one zip archive, without what version control leaves out, with how often files changed.

The same files and commits give the same bytes.
"""

import fnmatch
import io
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from actors.artemis.tools.history import HISTORY_FILE
from actors.artemis.tools.languages import language_of
from actors.artemis.tools.left_out import HEAD_BYTES, LEFT_FILE, PRIVATE, Why, encoded, secret_kind
from actors.artemis.tools.source_tree import (
    ENTRIES_MAX,
    FILE_BYTES_MAX,
    NAME_BYTES_MAX,
    SKIPPED_FOLDERS,
    TEXT_BYTES_MAX,
)
from deploy.git_history import history_of
from runtime.errors import InvalidError

BUILD_FILES = (
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "package.json",
    "go.mod",
    "Cargo.toml",
    "pom.xml",
    "build.gradle",
    "CMakeLists.txt",
    "mix.exs",
    "Gemfile",
)
LISTED_MAX = 400
_EARLIEST = (1980, 1, 1, 0, 0, 0)


class Source(NamedTuple):
    """A file of the tree: its path from the root with `/`, how long it is, and what it holds once that is wanted."""

    path: str
    size_bytes: int
    read: Callable[[], bytes]


class Left(NamedTuple):
    """A file, or a folder, that stays where it is, and why."""

    path: str
    why: Why


def pack(root: Path) -> tuple[bytes, list[str]]:
    """A folder's archive and the paths in it. Raises InvalidError as `archived`."""
    return archived(_kept(root, patterns_in(root / ".gitignore")), lambda: history_of(root))


def archived(sources: Iterable[Source | Left], history: Callable[[], bytes | None]) -> tuple[bytes, list[str]]:
    """The archive and the paths in it. Raises InvalidError when there is nothing to pack or more than the tools would read."""
    files, left, total = list[Source](), dict[str, Why](), 0
    for source in sources:
        if isinstance(source, Left):
            left[source.path] = source.why
            continue
        files.append(source)
        total += source.size_bytes
        if len(files) > ENTRIES_MAX or total > TEXT_BYTES_MAX:
            raise InvalidError(
                f"the source is too big: more than {ENTRIES_MAX:,} files, or than {TEXT_BYTES_MAX:,} bytes"
            )
    if not files:
        raise InvalidError("it holds no source files")
    files.sort(key=lambda file: file.path)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in files:
            _put(archive, file.path, file.read())
        if known := history():
            _put(archive, HISTORY_FILE, known)
        if left:
            _put(archive, LEFT_FILE, encoded(left))
    return packed.getvalue(), [file.path for file in files]


def _put(archive: zipfile.ZipFile, path: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(path, _EARLIEST)
    entry.external_attr = 0o100644 << 16
    entry.create_system = 3  # Unix, wherever this runs: part of the bytes.
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 6)


def describe(name: str, paths: Sequence[str]) -> str:
    """What the archive holds, to be found by: languages, then the files."""
    languages = Counter(language_of(PurePosixPath(path)) or "other" for path in paths)
    listed = ", ".join(
        f"{count} {language}" for language, count in sorted(languages.items(), key=lambda one: (-one[1], one[0]))
    )
    more = f"\n… and {len(paths) - LISTED_MAX:,} more" if len(paths) > LISTED_MAX else ""
    return f"Source code of {name}: {len(paths):,} files ({listed}).\n" + "\n".join(paths[:LISTED_MAX]) + more


def patterns_in(file: Path) -> list[str]:
    """The patterns of a .gitignore-like file, none when it is not there; negations are not read."""
    return patterns(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else []


def patterns(text: str) -> list[str]:
    """Those of such a file's text."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("#", "!"))]


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern names the path: one with `/` the whole path, one without its last part."""
    for pattern in patterns:
        bare = pattern.rstrip("/")
        whole = "/" in bare
        if fnmatch.fnmatchcase(path if whole else path.rpartition("/")[2], bare.lstrip("/")):
            return True
    return False


def opens(name: str) -> bool:
    """Whether a folder of this name is looked into."""
    return name not in SKIPPED_FOLDERS and not name.endswith(".egg-info")


def untold(name: str) -> bool:
    """Whether nobody needs to hear that a folder is not looked into: it is version control's or a tool's, never code."""
    return name.startswith(".") or name == "__pycache__" or name.endswith(".egg-info")


def left_for(path: str, size_bytes: int, head: Callable[[], bytes]) -> Why | None:
    """Why a file stays where it is; None: it is source code. Files that hold secrets by their names, or whose `head` (the first
    HEAD_BYTES) says that they are private keys, are sent nowhere."""
    if (secret := secret_kind(path)) is not None:
        return secret
    if language_of(PurePosixPath(path)) is None or path in (HISTORY_FILE, LEFT_FILE):
        return "key" if PRIVATE in head()[:HEAD_BYTES] else "kind"
    return "big" if size_bytes > FILE_BYTES_MAX else None


def _kept(root: Path, patterns: Sequence[str]) -> Iterator[Source | Left]:
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            yield Left(folder.relative_to(root).as_posix(), "unreadable")
            continue
        for entry in entries:
            path = entry.relative_to(root).as_posix()
            try:
                if entry.is_dir() and not entry.is_symlink() and not matches(path, patterns) and opens(entry.name):
                    folders.append(entry)
                elif (one := _file(entry, path, patterns)) is not None:
                    yield one
            except OSError:
                yield Left(path, "unreadable")


def _file(entry: Path, path: str, patterns: Sequence[str]) -> Source | Left | None:
    """Of an entry that is no folder to look into; None where nobody needs to hear of it."""
    if entry.is_symlink():
        return Left(path, "link")
    if entry.is_dir():
        ignored = matches(path, patterns)
        return None if untold(entry.name) else Left(path, "ignored" if ignored else "folder")
    if matches(path, patterns):
        return Left(path, "ignored")
    if not entry.is_file():
        return Left(path, "device")
    if len(path.encode("utf-8", "replace")) > NAME_BYTES_MAX or not os.access(entry, os.R_OK):
        return Left(path, "unreadable")
    size_bytes = entry.stat().st_size
    why = left_for(path, size_bytes, lambda: _head(entry))
    return Left(path, why) if why else Source(path, size_bytes, entry.read_bytes)


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(HEAD_BYTES)
