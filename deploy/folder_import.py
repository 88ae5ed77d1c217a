"""A folder of documents, tables and source code becomes knowledge: each file says what it is, or is refused with the reason.

Markdown and text are one item each, JSONL one a line, a CSV one item that describes the table and carries it as an attachment,
and a folder with a build file (`pyproject.toml`, `package.json` …) one item that carries its source as a zip archive. Markdown
may begin with front matter: lines `key: value` between two lines `---`. A file `NAME.meta` holds the same lines for `NAME`;
`.importignore` at the top names what to leave out, as a .gitignore does.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.tables import BYTES_MAX as TABLE_BYTES_MAX
from actors.tables import Summary, figure, read_table, summarise
from contracts.domains import Clearance
from contracts.knowledge import Attachment, Category, Knowledge
from deploy.source_archive import BUILD_FILES, describe, matches, pack, patterns_in
from runtime.errors import InvalidError, OutcomeError
from runtime.text import clip

FILES_MAX = 20_000
ITEMS_MAX = 200_000
TEXT_BYTES_MAX = 2_000_000
JSONL_BYTES_MAX = 256_000_000
CONTENT_CHARS_MAX = 100_000
TITLE_CHARS_MAX = 300

IGNORE_FILE = ".importignore"
CSV = "text/csv"
ZIP = "application/zip"
_FIELDS = frozenset(Knowledge.__struct_fields__) - {"attachment"}
_TEXTS = frozenset({".md", ".markdown", ".txt"})
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "venv"})


class Defaults(Struct, frozen=True, kw_only=True):
    """What a file that does not say gets."""

    category: Category = "operational_metrics"
    confidentiality: Clearance = Clearance.INTERNAL
    strategic_priority: int = 5


class Item(Struct, frozen=True, kw_only=True):
    """One piece of knowledge. `key` is stable: the path in the folder, with `#id` for a line of JSONL. `content`: the file."""

    key: str
    knowledge: Knowledge
    content: bytes | None = None


class Failure(Struct, frozen=True, kw_only=True):
    """A file, or a line (from 1) of it, that was not taken, and why."""

    path: str
    reason: str
    line: int | None = None


class Import(Struct, frozen=True, kw_only=True):
    """What a folder holds. `skipped` are files of unknown kinds, `notes` what was left out of files that were taken."""

    items: tuple[Item, ...]
    failures: tuple[Failure, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


def read_folder(root: Path, defaults: Defaults | None = None) -> Import:
    """Everything in a folder, in path order. Raises InvalidError when it is no folder or holds more than FILES_MAX files."""
    if not root.is_dir():
        raise InvalidError(f"{root} is not a folder")
    given = defaults or Defaults()
    items: list[Item] = []
    failures: list[Failure] = []
    skipped: list[str] = []
    notes: list[str] = []
    for count, path in enumerate(_found(root, root, patterns_in(root / IGNORE_FILE)), start=1):
        name = path.relative_to(root).as_posix()
        if count > FILES_MAX:
            raise InvalidError(f"the folder holds more than {FILES_MAX:,} files")
        try:
            taken = _read(path, name, given, failures, notes)
        except (InvalidError, OutcomeError, OSError) as error:
            failures.append(Failure(path=name, reason=str(error)))
            continue
        if taken is None:
            skipped.append(name)
            continue
        items.extend(taken)
        if len(items) > ITEMS_MAX:
            raise InvalidError(f"the folder holds more than {ITEMS_MAX:,} items")
    return Import(items=tuple(items), failures=tuple(failures), skipped=tuple(skipped), notes=tuple(notes))


def front_matter(text: str) -> tuple[dict[str, str], str]:
    """The `key: value` lines between `---` and `---` at the start, and what follows. Raises InvalidError for other lines."""
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        return {}, text.removeprefix("\ufeff")
    end = next((at for at, line in enumerate(lines[1:], start=1) if line.strip() == "---"), None)
    if end is None:
        raise InvalidError("the front matter is not closed by a line ---")
    return key_values(lines[1:end]), "\n".join(lines[end + 1 :]).strip("\n")


def key_values(lines: list[str]) -> dict[str, str]:
    """`key: value` lines; blank ones and comments (#) are skipped. Raises InvalidError naming the line or the doubled key."""
    found: dict[str, str] = {}
    for at, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, colon, value = line.partition(":")
        key = key.strip()
        if not colon or not key.isidentifier():
            raise InvalidError(f"line {at} of the front matter is not `key: value`: {line[:80]!r}")
        if key in found:
            raise InvalidError(f"{key} stands twice in the front matter")
        found[key] = value.strip().removeprefix('"').removesuffix('"')
    return found


def knowledge(fields: Mapping[str, object], defaults: Defaults) -> Knowledge:
    """Checked knowledge of the fields given, the rest by default. Raises InvalidError naming the field that is wrong."""
    unknown = sorted(set(fields) - _FIELDS)
    if unknown:
        raise InvalidError(f"unknown field {unknown[0]!r}; known are {', '.join(sorted(_FIELDS))}", f"$.{unknown[0]}")
    whole: dict[str, object] = {
        "category": defaults.category,
        "confidentiality": defaults.confidentiality.value,
        "strategic_priority": defaults.strategic_priority,
        **fields,
    }
    content = str(whole.get("content", ""))
    if len(content) > CONTENT_CHARS_MAX:
        raise InvalidError(
            f"the text has {len(content):,} characters; at most {CONTENT_CHARS_MAX:,} are taken", "$.content"
        )
    tags, expires = whole.get("tags"), whole.get("expires")
    if isinstance(tags, str):
        whole["tags"] = [tag.strip() for tag in tags.split(",") if tag.strip()]
    if isinstance(expires, str):
        whole["expires"] = _moment(expires)
    try:
        return msgspec.convert(whole, Knowledge, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidError(str(error)) from error


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidError(f"expires {text[:40]!r} is no ISO 8601 date", "$.expires") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _found(root: Path, folder: Path, ignored: list[str]) -> Iterator[Path]:
    """The files to read, and folders of source code as one each; hidden ones, links and side files are left out."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.is_symlink() or entry.name in _SKIPPED_FOLDERS:
            continue
        if matches(entry.relative_to(root).as_posix(), ignored):
            continue
        if not entry.is_dir():
            if entry.suffix != ".meta":
                yield entry
        elif any((entry / name).is_file() for name in BUILD_FILES):
            yield entry
        else:
            yield from _found(root, entry, ignored)


def _read(path: Path, name: str, defaults: Defaults, failures: list[Failure], notes: list[str]) -> list[Item] | None:
    side = path.with_name(path.name + ".meta")
    meta = key_values(_text(side, TEXT_BYTES_MAX).splitlines()) if side.is_file() else {}
    if path.is_dir():
        return [source_item(name, path, meta, defaults)]
    suffix = path.suffix.lower()
    if suffix in _TEXTS:
        return [text_item(name, _text(path, TEXT_BYTES_MAX), meta, defaults)]
    if suffix == ".csv":
        return [table_item(name, _bytes(path, TABLE_BYTES_MAX), meta, defaults)]
    if suffix == ".jsonl":
        return _lines(name, _text(path, JSONL_BYTES_MAX), defaults, failures, notes)
    return None


def text_item(name: str, text: str, meta: Mapping[str, str], defaults: Defaults) -> Item:
    """A Markdown or text file; its title is the front matter's, else the first heading, else the file's name."""
    fields, body = front_matter(text)
    if not body.strip():
        raise InvalidError("the file holds no text")
    heading = next((line.lstrip("# ").strip() for line in body.splitlines() if line.startswith("# ")), "")
    named = {"title": clip(heading, TITLE_CHARS_MAX) or _title(name), "source": clip(name, TITLE_CHARS_MAX)}
    return Item(key=name, knowledge=knowledge({**named, **meta, **fields, "content": body.strip()}, defaults))


def table_item(name: str, data: bytes, meta: Mapping[str, str], defaults: Defaults) -> Item:
    """A CSV file: its description as the text, the file as the attachment."""
    table = read_table(data)
    lines = [f"Table {Path(name).name} with {table.rows:,} rows and {len(table.columns)} columns."]
    lines += [_column_line(summarise(column)) for column in table.columns]
    fields = {
        "title": f"Table {_title(name)}",
        "partition": "sophia_business",
        "source": clip(name, TITLE_CHARS_MAX),
        **meta,
    }
    return _attached(name, fields, "\n".join(lines), data, CSV, defaults)


def source_item(name: str, folder: Path, meta: Mapping[str, str], defaults: Defaults) -> Item:
    """A folder of source code: its description as the text, a zip of its text files as the attachment."""
    data, paths = pack(folder)
    fields = {
        "title": f"Source code {_title(name)}",
        "partition": "code_knowledge",
        "source": clip(name, TITLE_CHARS_MAX),
    }
    return _attached(name, {**fields, **meta}, describe(Path(name).name, paths), data, ZIP, defaults)


def _attached(
    name: str, fields: Mapping[str, object], text: str, data: bytes, media_type: str, defaults: Defaults
) -> Item:
    file_name = Path(name).name + (".zip" if media_type == ZIP else "")
    held = Attachment(
        digest=hashlib.sha256(data).hexdigest(), media_type=media_type, name=file_name[-255:], size_bytes=len(data)
    )
    described = knowledge({**fields, "content": clip(text, CONTENT_CHARS_MAX)}, defaults)
    return Item(key=name, knowledge=msgspec.structs.replace(described, attachment=held), content=data)


def _lines(name: str, text: str, defaults: Defaults, failures: list[Failure], notes: list[str]) -> list[Item]:
    items: list[Item] = []
    left_out: set[str] = set()
    seen: set[str] = set()
    for at, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            item, extra = line_item(name, at, line, defaults)
            if item.key in seen:
                raise InvalidError(f"the id of {item.key!r} stands twice in the file")
        except InvalidError as error:
            failures.append(Failure(path=name, line=at, reason=str(error)))
            continue
        seen.add(item.key)
        items.append(item)
        left_out |= extra
    if left_out:
        notes.append(f"{name}: fields left out: {', '.join(sorted(left_out))}")
    return items


def line_item(name: str, at: int, line: str, defaults: Defaults) -> tuple[Item, set[str]]:
    """One JSON object with `title`, `text` or `content`, perhaps `id` and fields of Knowledge; and what it had besides."""
    try:
        given = msgspec.json.decode(line, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidError(f"not a JSON object: {error}") from error
    content = str(given.get("content") or given.get("text") or "").strip()
    if not content:
        raise InvalidError("the object has no text", "$.text")
    fields = {field: value for field, value in given.items() if field in _FIELDS and value is not None}
    title = str(given.get("title") or "").strip() or content
    fields |= {"title": clip(" ".join(title.split()), TITLE_CHARS_MAX), "content": content}
    key = f"{name}#{given.get('id', at)}"
    fields.setdefault("source", clip(key, TITLE_CHARS_MAX))
    item = Item(key=key, knowledge=knowledge(fields, defaults))
    return item, set(given) - _FIELDS - {"id", "text"}


def _column_line(one: Summary) -> str:
    gaps = f", {one.missing:,} missing" if one.missing else ""
    if one.minimum is not None and one.maximum is not None and one.median is not None:
        spread = f"from {figure(one.minimum)} to {figure(one.maximum)}, median {figure(one.median)}"
        return f"Column {one.name}: numbers {spread}{gaps}."
    if one.top:
        return f"Column {one.name}: {', '.join(f'{value} ({count:,})' for value, count in one.top)}{gaps}."
    return f"Column {one.name}: {one.kind}, {one.distinct:,} different values{gaps}."


def _title(name: str) -> str:
    return clip(Path(name).stem.replace("_", " ").replace("-", " ").strip() or name, 250)


def _bytes(path: Path, bytes_max: int) -> bytes:
    size = path.stat().st_size
    if size > bytes_max:
        raise InvalidError(f"the file is {size:,} bytes; at most {bytes_max:,} are read")
    return path.read_bytes()


def _text(path: Path, bytes_max: int) -> str:
    try:
        return _bytes(path, bytes_max).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidError(f"the file is not UTF-8 text (byte {error.start:,})") from error
