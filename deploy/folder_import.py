"""A folder, or one file, as items of knowledge: what is read, what is left out, and what could not be read, with the reason.

`.importignore` at the top of a folder names what to leave out, as a .gitignore does. Hidden files, links and devices are never
read; nothing that a file holds stops the others. A file `NAME.meta` says of `NAME` what front matter says of Markdown.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from actors.tables import BYTES_MAX as TABLE_BYTES_MAX
from adapters.careful_reading import CarefulReader
from adapters.documents import HTML_BYTES_MAX, PDF_BYTES_MAX, Kind
from deploy.front_matter import FrontMatterError, front_matter, side_file
from deploy.items import (
    ARCHIVE_BYTES_MAX,
    Defaults,
    Failure,
    Item,
    archive_item,
    document_items,
    line_items,
    profile_item,
    source_item,
    table_item,
    text_items,
)
from deploy.source_archive import BUILD_FILES, matches, patterns_in
from runtime.errors import InvalidError, OutcomeError

FILES_MAX = 20_000
ITEMS_MAX = 200_000
DEPTH_MAX = 64
NAMED_MAX = 5  # of names in a note
TEXT_BYTES_MAX = 5_000_000
JSONL_BYTES_MAX = 256_000_000

IGNORE_FILE = ".importignore"
KINDS = ".md .txt .html .pdf .csv .jsonl, and profiles (speedscope or pyinstrument .json; .collapsed, .folded)"
_TEXTS = frozenset({".md", ".markdown", ".txt"})
_CAREFULLY: dict[str, tuple[Kind, int]] = {
    ".html": ("html", HTML_BYTES_MAX),
    ".htm": ("html", HTML_BYTES_MAX),
    ".xhtml": ("html", HTML_BYTES_MAX),
    ".pdf": ("pdf", PDF_BYTES_MAX),
}
_STACKS = frozenset({".collapsed", ".folded"})
_PROFILE_MARKS = (b'"https://www.speedscope.app/file-format-schema.json"', b'"root_frame"')
"""What a JSON file holds that is a profile; any other is left out."""
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv"})

OnFile = Callable[[int, str], None]
"""Told how many files were read, and which is read now."""


class Import(Struct, frozen=True, kw_only=True):
    """What a folder holds. `skipped` are files of unknown kinds, `notes` what was left out of files that were taken.
    `whole`: a folder was read, not one file.
    """

    items: tuple[Item, ...]
    failures: tuple[Failure, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]
    whole: bool = True


class _Reading:
    """What was found so far."""

    def __init__(self, defaults: Defaults, careful: CarefulReader) -> None:
        self.defaults = defaults
        self.careful = careful
        self.items: list[Item] = []
        self.failures: list[Failure] = []
        self.skipped: list[str] = []
        self.notes: list[str] = []
        self.left_out: Counter[str] = Counter()
        self.blank: list[str] = []

    def take(self, path: Path, name: str) -> None:
        """Read one file, or one folder of source code, whatever it holds. Raises InvalidError above ITEMS_MAX."""
        try:
            items = self._items(path, name)
            for item in items:
                _sendable(item)
        except (InvalidError, OutcomeError, OSError) as error:
            line = error.line if isinstance(error, FrontMatterError) else None
            self.failures.append(Failure(path=_printable(name), reason=_reason(error), line=line))
            return
        self.items += items
        if len(self.items) > ITEMS_MAX:
            raise InvalidError(f"there are more than {ITEMS_MAX:,} items; import part of it at a time")

    def result(self, *, whole: bool) -> Import:
        if self.left_out:
            told = (f"{name} ({count:,} files)" if count > 1 else name for name, count in sorted(self.left_out.items()))
            self.notes.append(f"front matter left out: {', '.join(told)}")
        if self.blank and whole:
            self.notes.append(f"without text, left out: {_some(self.blank)}")
        return Import(
            items=tuple(self.items),
            failures=tuple(self.failures),
            skipped=tuple(self.skipped),
            notes=tuple(self.notes),
            whole=whole,
        )

    def _items(self, path: Path, name: str) -> list[Item]:
        side = path.with_name(path.name + ".meta")
        meta = {} if side.is_symlink() or not side.is_file() else self._side(side)
        if path.is_dir():
            return [source_item(name, path, meta, self.defaults)]
        suffix = path.suffix.lower()
        if suffix in _TEXTS:
            front = front_matter(read_text(path))
            self.left_out.update(front.left_out)
            if not front.body.strip():
                self.blank.append(_printable(name))
                return []
            return text_items(name, front.body, {**meta, **front.fields}, self.defaults)
        if suffix in _CAREFULLY:
            kind, bytes_max = _CAREFULLY[suffix]
            return document_items(name, self.careful.read(kind, _bytes(path, bytes_max)), meta, self.defaults)
        if suffix == ".csv":
            return [table_item(name, _bytes(path, TABLE_BYTES_MAX), meta, self.defaults)]
        if suffix == ".jsonl":
            return self._lines(name, read_text(path, JSONL_BYTES_MAX))
        if _holds_profile(path):
            return [profile_item(name, _bytes(path, ARCHIVE_BYTES_MAX), meta, self.defaults)]
        self.skipped.append(name)
        return []

    def _side(self, side: Path) -> Mapping[str, object]:
        try:
            found = side_file(read_text(side))
        except FrontMatterError as error:
            raise InvalidError(f"{side.name}, line {error.line}: {error}") from error
        self.left_out.update(found.left_out)
        return found.fields

    def _lines(self, name: str, text: str) -> list[Item]:
        items: list[Item] = []
        left_out: set[str] = set()
        seen: set[str] = set()
        for at, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                found, extra = line_items(name, at, line, self.defaults)
                _sendable(found[0])
                if found[0].key in seen:
                    raise InvalidError(f"the id of {found[0].key!r} stands twice in the file")
            except InvalidError as error:
                self.failures.append(Failure(path=name, line=at, reason=str(error)))
                continue
            seen.add(found[0].key)
            items += found
            left_out |= extra
        if left_out:
            self.notes.append(f"{name}: fields left out: {', '.join(sorted(left_out))}")
        return items


def read_folder(
    root: Path, defaults: Defaults | None = None, on_file: OnFile = lambda _n, _name: None, *, under: str = ""
) -> Import:
    """Everything in a folder, in path order; names begin with `under`. Raises InvalidError when it is no folder or holds more
    than FILES_MAX files."""
    if not root.is_dir():
        raise InvalidError(f"{root} is not a folder")
    with CarefulReader() as careful:
        reading = _Reading(defaults or Defaults(), careful)
        for count, path in enumerate(_found(root, patterns_in(root / IGNORE_FILE), reading)):
            name = under + path.relative_to(root).as_posix()
            if count >= FILES_MAX:
                raise InvalidError(f"the folder holds more than {FILES_MAX:,} files; import part of it at a time")
            on_file(count, _printable(name))
            reading.take(path, name)
        return reading.result(whole=True)


def read_path(path: Path, defaults: Defaults, on_file: OnFile = lambda _n, _name: None, *, under: str = "") -> Import:
    """What a folder, or one file, holds; names begin with `under`. Raises InvalidError for a folder that is too big."""
    if path.is_dir():
        return read_folder(path, defaults, on_file, under=under)
    with CarefulReader() as careful:
        reading = _Reading(defaults, careful)
        on_file(0, path.name)
        reading.take(path, under + path.name)
        reading.failures += [Failure(path=name, reason="the file holds no text") for name in reading.blank]
        if reading.skipped:
            kind = path.suffix.lower() or "(none)"
            reading.failures.append(Failure(path=str(path), reason=f"files of kind {kind} are not read; {KINDS} are"))
            reading.skipped.clear()
        return reading.result(whole=False)


def read_source(path: Path, defaults: Defaults) -> Item:
    """What a tool is to work on: a source tree (a folder, or a zip, tar or tar.gz as it is), a table, the profile of a program
    or a database of advisories. Raises InvalidError, OutcomeError for anything else."""
    if path.is_dir():
        return source_item(path.resolve().name or "source", path, {}, defaults)
    if path.suffix.lower() == ".csv":
        return table_item(path.name, _bytes(path, TABLE_BYTES_MAX), {}, defaults)
    if _holds_profile(path):
        return profile_item(path.name, _bytes(path, ARCHIVE_BYTES_MAX), {}, defaults)
    return archive_item(path, defaults)


def collections_of(path: Path) -> list[tuple[str, str]]:
    """What importing a path may be called where nobody says: the folder it stands for, else one above it, the nearest first;
    each with what its names begin with there."""
    place = path.resolve()
    folder = place if place.is_dir() else place.parent
    above = [(_printable(one.as_posix()), f"{folder.relative_to(one).as_posix()}/") for one in folder.parents]
    return [(_printable(folder.as_posix()), ""), *above]


def _found(root: Path, ignored: list[str], reading: _Reading) -> Iterator[Path]:
    """The files to read, and folders of source code as one each, in path order."""
    waiting = [root]
    links: list[str] = []
    while waiting:
        place = waiting.pop()
        if place is not root and (not place.is_dir() or any((place / name).is_file() for name in BUILD_FILES)):
            yield place
            continue
        name = _printable(place.relative_to(root).as_posix())
        if len(place.parts) - len(root.parts) > DEPTH_MAX:
            reading.failures.append(Failure(path=name, reason=f"lies deeper than {DEPTH_MAX} folders"))
            continue
        try:
            entries = sorted(place.iterdir(), reverse=True)
        except OSError as error:
            reading.failures.append(Failure(path=name, reason=_reason(error)))
            continue
        wanted = [entry for entry in entries if _wanted(entry, entry.relative_to(root).as_posix(), ignored)]
        links += [_printable(entry.relative_to(root).as_posix()) for entry in wanted if entry.is_symlink()]
        waiting += [entry for entry in wanted if not entry.is_symlink()]
    if links:
        reading.notes.append(f"symbolic links are not followed: {_some(sorted(links))}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED_MAX]) + (f" and {len(names) - NAMED_MAX:,} more" if len(names) > NAMED_MAX else "")


def _wanted(entry: Path, path: str, ignored: list[str]) -> bool:
    """Not hidden, not left out on purpose, no side file."""
    hidden = entry.name.startswith(".") or entry.name in _SKIPPED_FOLDERS
    return not hidden and entry.suffix != ".meta" and not matches(path, ignored)


def _bytes(path: Path, bytes_max: int) -> bytes:
    if not path.is_file():
        raise InvalidError("it is neither a file nor a folder")  # A pipe would be read for ever.
    with path.open("rb") as file:
        data = file.read(bytes_max + 1)  # What a file says of its size need not stay true.
    if len(data) > bytes_max:
        raise InvalidError(f"the file has more than {bytes_max:,} bytes, which is what is read at most")
    return data


def _holds_profile(path: Path) -> bool:
    """Of a JSON file that is too big for one, its beginning tells."""
    if path.suffix.lower() in _STACKS:
        return True
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        data = file.read(ARCHIVE_BYTES_MAX)
    return any(mark in data for mark in _PROFILE_MARKS)


def read_text(path: Path, bytes_max: int = TEXT_BYTES_MAX) -> str:
    """Raises InvalidError for what is too big or no text in UTF-8 (or UTF-16 with its mark)."""
    data = _bytes(path, bytes_max)
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidError(f"the file is not UTF-8 text (byte {error.start:,}); save it as UTF-8") from error
    if "\0" in text:
        raise InvalidError("the file is not text but binary; if it is UTF-16, save it as UTF-8")
    return text


def _sendable(item: Item) -> None:
    """Raises InvalidError for what no JSON can say or no database keeps."""
    for text in (item.key, item.knowledge.title, item.knowledge.content, item.knowledge.source, *item.knowledge.tags):
        with contextlib.suppress(UnicodeEncodeError):
            text.encode()
            if "\0" not in text:
                continue
        raise InvalidError("its name or text holds characters that cannot be stored (half a character, or U+0000)")


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
