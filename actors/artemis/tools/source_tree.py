"""Source trees: an archive becomes text files, with every bound checked before anything is kept.

An archive comes from outside. What could harm whoever unpacks it (names that leave the tree, links, devices, bombs) is left out
and told, each with its kind; the rest is read where that is safe. Nothing is written to disk, archives inside are never opened.
"""

import gzip
import io
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from pathlib import PurePosixPath
from typing import Literal

from msgspec import Struct

from actors.artemis.tools.languages import language_of
from actors.artemis.tools.left_out import LEFT_FILE, Left, LeftOut, secret_kind, sentence
from contracts.grounds import Basis
from runtime.errors import OutcomeError
from runtime.text import clip

ARCHIVE_BYTES_MAX = 64_000_000
UNPACKED_BYTES_MAX = 256_000_000
TEXT_BYTES_MAX = 96_000_000
FILE_BYTES_MAX = 1_000_000
ENTRIES_MAX = 50_000
RATIO_MAX = 200
RATIO_FREE_BYTES = 1_000_000
DIRECTORY_BYTES_MAX = (
    16_000_000  # of a zip's table of contents: it is read whole, and each of its lines costs ten times as much
)
NAME_BYTES_MAX = 1_024
PART_BYTES_MAX = 200  # of each folder's and file's name: a file system takes 255
HOSTILE_MAX = 50  # that are listed, and the first EXAMPLES_MAX of each kind; all are counted
EXAMPLES_MAX = 3

SKIPPED_FOLDERS = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".idea",
        ".vscode",
        ".venv",
        "venv",
        ".tox",
        ".nox",
        "node_modules",
        "__pycache__",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        "dist",
        "build",
        "target",
        "vendor",
        "third_party",
        "site-packages",
    }
)

OTHER = "Other text"
PROSE_AND_DATA = frozenset(
    {
        *("Markdown", "reStructuredText", "JSON", "YAML", "TOML", "INI", "Text", "Lock file", "Dockerfile"),
        *("Terraform", OTHER),
    }
)

Danger = Literal[
    "outside the tree",
    "link",
    "device",
    "bomb",
    "doubled name",
    "impossible name",
    "unreadable",
    "too many files",
    "too much text",
    "archive inside",
]
HOSTILE: frozenset[Danger] = frozenset(
    {"outside the tree", "link", "device", "bomb", "doubled name", "impossible name"}
)
"""What nobody packs by accident in a source tree, or what harms who unpacks it; the others are told as what was not read."""

_INNER = (".zip", ".whl", ".jar", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".egg")


class SourceFile(Struct, frozen=True):
    """One text file: its path from the root of the tree with `/`, its language and its text."""

    path: str
    language: str
    text: str

    @property
    def is_test(self) -> bool:
        """By the usual naming of tests: a `test`/`tests` folder, `test_x`, `x_test`, `x.spec`."""
        pure = PurePosixPath(self.path)
        stem = pure.stem.lower()
        return (
            any(part in ("test", "tests", "__tests__", "spec") for part in pure.parts[:-1])
            or stem.startswith("test_")
            or stem.endswith(("_test", ".test", ".spec"))
            or stem == "conftest"
        )


class Refused(Struct, frozen=True):
    """An entry of an archive that was left out, by its name as it can be shown, and why."""

    name: str
    danger: Danger
    why: str


class SourceTree(Struct, frozen=True):
    """The text files in path order; `skipped` counts what else was left out (binary, too big, in SKIPPED_FOLDERS).

    `refused` lists the first entries that were left out for what they are, `dangers` counts them all. `left` says of the others
    that were, here or by who packed it, why.
    """

    files: tuple[SourceFile, ...]
    skipped: int
    refused: tuple[Refused, ...] = ()
    dangers: dict[Danger, int] = {}
    left: tuple[Left, ...] = ()

    @property
    def python(self) -> tuple[SourceFile, ...]:
        return tuple(file for file in self.files if file.language == "Python")

    def basis(self, wanted: Set[str], unread: Set[str], tried: int, done: int) -> Basis:
        """Of these files those that could be read, where entries of the archive that were left out count as files."""
        return Basis(read=len(wanted - unread), given=len(wanted) + sum(self.dangers.values()), tried=tried, done=done)

    @property
    def warnings(self) -> list[str]:
        """What was left out, in one sentence for what is hostile and one for the rest: each kind with its count, and examples."""
        hostile = sorted(danger for danger in self.dangers if danger in HOSTILE)
        rest = sorted(danger for danger in self.dangers if danger not in HOSTILE)
        told = (("Hostile archive", hostile), ("Not read", rest))
        return [f"{word}: {self._counted(kinds)}." for word, kinds in told if kinds]

    @property
    def passed_over(self) -> list[str]:
        """The sentence about files that are no danger and were not looked at."""
        return [sentence(self.left)] if self.left else []

    def _counted(self, kinds: Sequence[Danger]) -> str:
        """Every kind with its count comes before any example, which may be long."""
        counts = ", ".join(f"{self.dangers[danger]:,} × {danger}" for danger in kinds)
        examples = EXAMPLES_MAX if len(kinds) == 1 else EXAMPLES_MAX - 1
        shown = [one for danger in kinds for one in [one for one in self.refused if one.danger == danger][:examples]]
        return f"{counts}, such as {'; '.join(f'{one.name} ({one.why})' for one in shown)}" if shown else counts


Content = bytes | Refused | None
"""Of an entry: its bytes, why it is refused, or None for what is of no interest."""


def read_archive(data: bytes) -> SourceTree:
    """The tree in a zip, tar or tar.gz. Raises OutcomeError for anything else, and where nothing of it can be read."""
    if len(data) > ARCHIVE_BYTES_MAX:
        raise OutcomeError(f"the archive is {len(data):,} bytes; at most {ARCHIVE_BYTES_MAX:,} are read")
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _tree(_zipped(data))
    if data[:2] == b"\x1f\x8b" or data[257:262] == b"ustar":
        return _tree(_tarred(data))
    raise OutcomeError("the file is not a zip, tar or tar.gz archive")


def shown(name: str) -> str:
    """A name as it can stand in a sentence, a path and a line of a program's output: one line of plain signs, not too long."""
    plain = name.encode("utf-8", "replace").decode()
    return clip("".join(sign if sign.isprintable() and sign not in '"\\' else "?" for sign in plain), 120)


def placed(name: str) -> str | Refused:
    """The path inside the tree that a name in an archive means, or why it has none."""
    posix = name.replace("\\", "/")
    if posix.startswith("/") or (len(posix) > 1 and posix[1] == ":") or ".." in posix.split("/"):
        return Refused(shown(name), "outside the tree", "its name leads outside the tree")
    parts = [part for part in posix.split("/") if part not in ("", ".")]
    size = [len(part.encode("utf-8", "replace")) for part in parts]
    if not parts or max(size) > PART_BYTES_MAX or sum(size) > NAME_BYTES_MAX or "\0" in name:
        return Refused(shown(name), "impossible name", "no file system takes the name")
    if any(not sign.isprintable() or sign == '"' for sign in posix):
        return Refused(shown(name), "impossible name", "the name holds signs that no text can show")
    return "/".join(parts)


class _Collected:
    """What a walk over an archive's entries has found so far."""

    def __init__(self) -> None:
        self.files: dict[str, SourceFile] = {}
        self.folders: set[str] = set()
        self.skipped = 0
        self.left = LeftOut()
        self.refused: list[Refused] = []
        self.dangers: Counter[Danger] = Counter()

    def refuse(self, one: Refused) -> None:
        self.dangers[one.danger] += 1
        if len(self.refused) < HOSTILE_MAX or self.dangers[one.danger] <= EXAMPLES_MAX:
            self.refused.append(one)

    def add(self, name: str, content: Content) -> int:
        """Take one entry; how many bytes of text it adds."""
        if isinstance(content, Refused):
            self.refuse(content)
            return 0
        path = placed(name)
        if isinstance(path, Refused):
            self.refuse(path)
            return 0
        above = [str(folder) for folder in PurePosixPath(path).parents][:-1]
        if path in self.files or path in self.folders or any(folder in self.files for folder in above):
            self.refuse(Refused(shown(name), "doubled name", "another entry has this name: only the first is read"))
            return 0
        if path.lower().endswith(_INNER):
            self.refuse(Refused(shown(name), "archive inside", "archives inside are not opened"))
            return 0
        if path == LEFT_FILE and content is not None:
            self.left.take(content.decode("utf-8", errors="replace"))
            return 0
        folder = any(part in SKIPPED_FOLDERS for part in path.split("/")[:-1])
        if folder or content is None or b"\0" in content[:8192]:
            self.skipped += 1
            self.left.add("folder" if folder else secret_kind(path) or ("big" if content is None else "binary"), path)
            return 0
        self.folders.update(above)
        language = language_of(PurePosixPath(path)) or OTHER
        self.files[path] = SourceFile(path, language, content.decode("utf-8-sig", errors="replace"))
        return len(content)


def _tree(entries: Iterator[tuple[str, Content]]) -> SourceTree:
    found = _Collected()
    text = unpacked = 0
    for count, (name, content) in enumerate(entries, start=1):
        if count > ENTRIES_MAX:
            found.refuse(Refused(shown(name), "too many files", f"only the first {ENTRIES_MAX:,} entries are read"))
            break
        unpacked += len(content) if isinstance(content, bytes) else 0
        text += found.add(name, content)
        if unpacked > UNPACKED_BYTES_MAX:
            found.refuse(Refused(shown(name), "bomb", f"the archive unpacks to more than {UNPACKED_BYTES_MAX:,} bytes"))
            break
        if text > TEXT_BYTES_MAX:
            found.refuse(Refused(shown(name), "too much text", f"only the first {TEXT_BYTES_MAX:,} bytes are read"))
            break
    if not found.files and not found.dangers:
        raise OutcomeError("the tree holds no source files")
    files = tuple(found.files[path] for path in sorted(found.files))
    return SourceTree(files, found.skipped, tuple(found.refused), dict(found.dangers), found.left.result())


def _zipped(data: bytes) -> Iterator[tuple[str, Content]]:
    end = data.rfind(b"PK\x05\x06", -65_557)
    if end < 0 or int.from_bytes(data[end + 12 : end + 16], "little") > DIRECTORY_BYTES_MAX:
        raise OutcomeError("the zip archive cannot be read: it has no table of contents, or one of too many files")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise OutcomeError(f"the zip archive cannot be read: {error}") from error
    with archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, _unzipped(archive, info)
            elif isinstance(where := placed(info.filename), Refused):
                yield info.filename, where


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Content:
    """One file's bytes. What it claims to hold is checked first, what it does hold is bounded too."""
    name, kind = shown(info.filename), (info.external_attr >> 16) & 0o170000
    if kind == 0o120000:
        return Refused(name, "link", "a symbolic link")
    if kind not in (0, 0o100000):
        return Refused(name, "device", "neither file nor folder")
    if info.file_size > RATIO_FREE_BYTES and info.file_size > RATIO_MAX * max(1, info.compress_size):
        return Refused(name, "bomb", f"{info.compress_size:,} bytes that unpack to {info.file_size:,}")
    if info.file_size > FILE_BYTES_MAX:
        return None
    try:
        with archive.open(info) as member:
            content = member.read(FILE_BYTES_MAX + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        return Refused(name, "unreadable", clip(shown(str(error)), 80))
    except Exception as error:  # noqa: BLE001 - zlib, lzma and bz2 each have an error of their own
        return Refused(name, "unreadable", type(error).__name__)
    return content if len(content) <= FILE_BYTES_MAX else Refused(name, "bomb", "holds more than it says")


class _TooMuchError(Exception):
    """The stream of a tar archive has given all that is read of one."""


class _Bounded(io.RawIOBase):
    """Reads on from another stream until UNPACKED_BYTES_MAX, then ends it: what stops a gzip bomb at any depth."""

    def __init__(self, inner: io.BufferedIOBase) -> None:
        self._inner = inner
        self._left = UNPACKED_BYTES_MAX

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left + 1 if size < 0 else min(size, self._left + 1)
        content = self._inner.read(wanted)
        self._left -= len(content)
        if self._left < 0:
            raise _TooMuchError
        return content


def _tarred(data: bytes) -> Iterator[tuple[str, Content]]:
    raw = io.BytesIO(data)
    plain = gzip.GzipFile(fileobj=raw) if data[:2] == b"\x1f\x8b" else raw
    name, read = "the archive", 0
    try:
        with tarfile.open(fileobj=_Bounded(plain), mode="r|") as archive:
            for member in archive:
                name, read = shown(member.name), read + 1
                if not member.isdir():
                    yield member.name, _untarred(archive, member, name)
                elif isinstance(where := placed(member.name), Refused):
                    yield member.name, where
    except _TooMuchError:
        yield name, Refused(name, "bomb", f"the archive unpacks to more than {UNPACKED_BYTES_MAX:,} bytes")
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
        if not read:
            raise OutcomeError(f"the tar archive cannot be read: {error}") from error
        yield name, Refused(name, "unreadable", f"the archive is broken behind it: {shown(str(error))}")


def _untarred(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Content:
    if member.issym() or member.islnk():
        return Refused(name, "link", f"a {'symbolic' if member.issym() else 'hard'} link to {shown(member.linkname)}")
    if not member.isreg():
        return Refused(name, "device", "neither file nor folder")
    reader = archive.extractfile(member)
    return reader.read() if reader is not None and member.size <= FILE_BYTES_MAX else None
