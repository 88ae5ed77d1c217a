"""Source trees: an archive or a folder becomes text files, with every bound checked before anything is kept.

An archive comes from outside: names that leave the tree, too many files and bombs are refused; nothing is written to disk.
"""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from msgspec import Struct

from runtime.errors import OutcomeError

ARCHIVE_BYTES_MAX = 64_000_000
UNPACKED_BYTES_MAX = 256_000_000
TEXT_BYTES_MAX = 96_000_000
FILE_BYTES_MAX = 1_000_000
ENTRIES_MAX = 50_000
RATIO_MAX = 200
RATIO_FREE_BYTES = 1_000_000

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

LANGUAGES = {
    "py": "Python",
    "pyi": "Python",
    "js": "JavaScript",
    "jsx": "JavaScript",
    "mjs": "JavaScript",
    "ts": "TypeScript",
    "tsx": "TypeScript",
    "go": "Go",
    "rs": "Rust",
    "java": "Java",
    "kt": "Kotlin",
    "scala": "Scala",
    "c": "C",
    "h": "C",
    "cpp": "C++",
    "cc": "C++",
    "hpp": "C++",
    "cs": "C#",
    "rb": "Ruby",
    "php": "PHP",
    "swift": "Swift",
    "ex": "Elixir",
    "exs": "Elixir",
    "fs": "F#",
    "sh": "Shell",
    "sql": "SQL",
    "html": "HTML",
    "css": "CSS",
    "md": "Markdown",
    "rst": "reStructuredText",
    "json": "JSON",
    "yaml": "YAML",
    "yml": "YAML",
    "toml": "TOML",
    "ini": "INI",
    "cfg": "INI",
    "conf": "INI",
    "env": "INI",
    "txt": "Text",
}
PROSE_AND_DATA = frozenset({"Markdown", "reStructuredText", "JSON", "YAML", "TOML", "INI", "Text"})


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


class SourceTree(Struct, frozen=True):
    """The text files of known languages in path order; `skipped` counts what was left out (binary, too big, unknown, links)."""

    files: tuple[SourceFile, ...]
    skipped: int

    @property
    def python(self) -> tuple[SourceFile, ...]:
        return tuple(file for file in self.files if file.language == "Python")


def read_archive(data: bytes) -> SourceTree:
    """The tree in a zip, tar or tar.gz. Raises OutcomeError for anything else and for what breaks a limit."""
    if len(data) > ARCHIVE_BYTES_MAX:
        raise OutcomeError(f"the archive is {len(data):,} bytes; at most {ARCHIVE_BYTES_MAX:,} are read")
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _tree(_zipped(data))
    if data[:2] == b"\x1f\x8b" or data[257:262] == b"ustar":
        return _tree(_tarred(data))
    raise OutcomeError("the file is not a zip, tar or tar.gz archive")


def read_folder(root: Path) -> SourceTree:
    """The tree under a folder, without SKIPPED_FOLDERS and links. Raises OutcomeError when it breaks a limit or is no folder."""
    if not root.is_dir():
        raise OutcomeError(f"{root.name!r} is not a folder")
    base = (
        root.parent if (root / "__init__.py").exists() else root
    )  # A package's own name is part of its modules' names.
    return _tree(_walked(base, root))


def kept_path(name: str) -> str | None:
    """The path inside the tree, or None for what is never read. Raises OutcomeError for a name that leaves the tree."""
    posix = name.replace("\\", "/")
    if posix.startswith("/") or (len(posix) > 1 and posix[1] == ":") or ".." in posix.split("/") or "\0" in posix:
        raise OutcomeError(f"the archive names a file outside its own tree: {name[:100]!r}")
    pure = PurePosixPath(posix)
    if any(part in SKIPPED_FOLDERS for part in pure.parts[:-1]) or language_of(pure) is None:
        return None
    return str(pure)


def language_of(path: PurePosixPath) -> str | None:
    """The language by the file's name, or None where it is not read as text."""
    if path.name in ("Dockerfile", "Makefile", "justfile"):
        return "Shell"
    extension = path.name.rsplit(".", 1)[-1].lower() if "." in path.name else ""
    return LANGUAGES.get(extension)


def _tree(entries: Iterator[tuple[str, bytes | None]]) -> SourceTree:
    files: list[SourceFile] = []
    skipped = total = 0
    for count, (path, content) in enumerate(entries, start=1):
        if count > ENTRIES_MAX:
            raise OutcomeError(f"the tree has more than {ENTRIES_MAX:,} files")
        language = language_of(PurePosixPath(path))
        if content is None or language is None or b"\0" in content[:8192]:
            skipped += 1
            continue
        total += len(content)
        if total > TEXT_BYTES_MAX:
            raise OutcomeError(f"the tree holds more than {TEXT_BYTES_MAX:,} bytes of text")
        files.append(SourceFile(path, language, content.decode("utf-8-sig", errors="replace")))
    if not files:
        raise OutcomeError("the tree holds no source files")
    return SourceTree(tuple(sorted(files, key=lambda file: file.path)), skipped)


def _zipped(data: bytes) -> Iterator[tuple[str, bytes | None]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [info for info in archive.infolist() if not info.is_dir()]
            if len(entries) > ENTRIES_MAX:
                raise OutcomeError(f"the tree has more than {ENTRIES_MAX:,} files")
            if sum(info.file_size for info in entries) > UNPACKED_BYTES_MAX:
                raise OutcomeError(f"the archive unpacks to more than {UNPACKED_BYTES_MAX:,} bytes")
            for info in entries:
                path = kept_path(info.filename)
                if info.file_size > RATIO_FREE_BYTES and info.file_size > RATIO_MAX * max(1, info.compress_size):
                    raise OutcomeError(f"{info.filename[:100]!r} is packed more than {RATIO_MAX} times smaller: a bomb")
                linked = (info.external_attr >> 16) & 0o170000 == 0o120000
                if path is None or linked or info.file_size > FILE_BYTES_MAX:
                    yield info.filename, None
                    continue
                with archive.open(info) as member:
                    content = member.read(FILE_BYTES_MAX + 1)
                yield path, content if len(content) <= FILE_BYTES_MAX else None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise OutcomeError(f"the zip archive cannot be read: {error}") from error


class _Bounded(io.RawIOBase):
    """Reads on from another stream until UNPACKED_BYTES_MAX, then refuses: what stops a gzip bomb at any depth."""

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
            raise OutcomeError(f"the archive unpacks to more than {UNPACKED_BYTES_MAX:,} bytes")
        return content


def _tarred(data: bytes) -> Iterator[tuple[str, bytes | None]]:
    raw = io.BytesIO(data)
    plain = gzip.GzipFile(fileobj=raw) if data[:2] == b"\x1f\x8b" else raw
    try:
        with tarfile.open(fileobj=_Bounded(plain), mode="r|") as archive:
            for member in archive:
                if member.isdir():
                    continue
                path = kept_path(member.name)
                reader = archive.extractfile(member) if member.isreg() else None
                if path is None or reader is None or member.size > FILE_BYTES_MAX:
                    yield member.name, None
                    continue
                yield path, reader.read()
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise OutcomeError(f"the tar archive cannot be read: {error}") from error


def _walked(root: Path, folder: Path) -> Iterator[tuple[str, bytes | None]]:
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink():
            continue
        if entry.is_dir():
            if entry.name not in SKIPPED_FOLDERS and not entry.name.endswith(".egg-info"):
                yield from _walked(root, entry)
            continue
        path = entry.relative_to(root).as_posix()
        usable = language_of(PurePosixPath(path)) is not None and entry.stat().st_size <= FILE_BYTES_MAX
        yield path, entry.read_bytes() if usable else None
