"""Items of knowledge made of files: each file says what it is, or is refused with the reason.

Markdown, text, HTML and PDF are one item each (several if they are longer than an item may be), JSONL one a line, a CSV one item
that describes the table and carries it as an attachment, the profile of a program likewise, and a folder with a build file
(`pyproject.toml`, `package.json` …) one item that carries its source as a zip archive. What a file says of itself beside its text
goes before what stands here.
"""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.advisories import OSV
from actors.artemis.tools.profiles import MEDIA_TYPES, functions, read_profile
from actors.tables import Summary, figure, percent, read_table, summarise
from adapters.documents import Document, parts
from contracts.domains import Clearance
from contracts.knowledge import CONTENT_CHARS_MAX, TITLE_CHARS_MAX, Attachment, Category, Knowledge
from deploy.item_fields import FIELDS, checked, typed, unknown
from deploy.source_archive import describe, pack
from runtime.errors import InvalidError
from runtime.text import clip

ARCHIVE_BYTES_MAX = 16 * 1024 * 1024  # what the gateway takes as a file
PART_CHARS_MAX = CONTENT_CHARS_MAX
FUNCTIONS_TOLD_MAX = 20  # of a profile, in its item
PART = "#part-"
CSV = "text/csv"
ZIP = "application/zip"
ADVISORIES = (".osv.json", ".osv.zip")


class Defaults(Struct, frozen=True, kw_only=True):
    """What a file that does not say gets."""

    category: Category = "operational_metrics"
    confidentiality: Clearance = Clearance.INTERNAL
    strategic_priority: int = 5


class Item(Struct, frozen=True, kw_only=True):
    """One piece of knowledge. `key` is stable: the path in the folder, with `#id` for a line of JSONL. `content`: the file.
    `id`: of what it is in the knowledge base, where that is known.
    """

    key: str
    knowledge: Knowledge
    content: bytes | None = None
    id: str | None = None


class Failure(Struct, frozen=True, kw_only=True):
    """A file, or a line (from 1) of it, that was not taken, and why."""

    path: str
    reason: str
    line: int | None = None


def knowledge(fields: Mapping[str, object], defaults: Defaults) -> Knowledge:
    """Checked knowledge of the fields given, the rest by default. Raises InvalidError naming the field that is wrong."""
    for name in sorted(unknown(fields)):
        raise InvalidError(f"unknown field {name!r}; known are {', '.join(sorted(FIELDS))}", f"$.{name}")
    content = str(fields.get("content", ""))
    if len(content) > CONTENT_CHARS_MAX:
        raise InvalidError(
            f"the text has {len(content):,} characters; at most {CONTENT_CHARS_MAX:,} are taken", "$.content"
        )
    said = {name: checked(name, value) for name, value in fields.items()}
    try:
        made = msgspec.convert({**msgspec.structs.asdict(defaults), **said}, Knowledge)
    except msgspec.ValidationError as error:
        raise InvalidError(str(error)) from error
    return msgspec.structs.replace(made, fields=typed((made.partition,), made.fields)) if made.fields else made


def text_items(name: str, text: str, fields: Mapping[str, object], defaults: Defaults) -> list[Item]:
    """A Markdown or text file without its front matter; its title is that of `fields`, else the first heading, else the name."""
    heading = next((line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("# ")), "")
    return document_items(name, Document(heading, text), fields, defaults)


def document_items(name: str, document: Document, fields: Mapping[str, object], defaults: Defaults) -> list[Item]:
    """A document as one item, or as numbered ones where it is longer than one may be. `fields` go before its own title."""
    if not document.text.strip():
        raise InvalidError("the file holds no text")
    named = {"title": document.title or _title(name), "source": clip(name, TITLE_CHARS_MAX), **fields}
    return numbered(name, named, document.text, defaults)


def numbered(key: str, fields: Mapping[str, object], text: str, defaults: Defaults) -> list[Item]:
    """The text as items of at most PART_CHARS_MAX characters; the first keeps the key."""
    pieces = parts(text, PART_CHARS_MAX)
    title = str(fields["title"])
    items: list[Item] = []
    for number, piece in enumerate(pieces, start=1):
        ending = f" (part {number} of {len(pieces)})" if len(pieces) > 1 else ""
        said = {**fields, "title": clip(title, TITLE_CHARS_MAX - len(ending)) + ending, "content": piece}
        items.append(Item(key=key if number == 1 else f"{key}{PART}{number}", knowledge=knowledge(said, defaults)))
    return items


def table_item(name: str, data: bytes, meta: Mapping[str, object], defaults: Defaults) -> Item:
    """A CSV file: its description as the text, the file as the attachment."""
    table = read_table(data)
    lines = [
        f"Table {Path(name).name} with {table.rows:,} row{'' if table.rows == 1 else 's'} and {len(table.columns)} columns."
    ]
    if table.ragged:
        lines.append(f"Rows with fewer or more cells than columns, which were padded or cut: {table.ragged:,}.")
    lines += [_column_line(summarise(column)) for column in table.columns]
    fields = {
        "title": f"Table {_title(name)}",
        "partition": "sophia_business",
        "source": clip(name, TITLE_CHARS_MAX),
        **meta,
    }
    return _attached(name, fields, "\n".join(lines), data, CSV, defaults)


def profile_item(name: str, data: bytes, meta: Mapping[str, object], defaults: Defaults) -> Item:
    """A profile of a program: its hottest functions as the text, the file as the attachment."""
    profile = read_profile(data)
    hot = functions(profile)
    lines = [
        f"Profile {Path(name).name} ({profile.form}): {figure(profile.total)} {profile.unit} in {len(hot):,} functions. Hottest:"
    ]
    lines += [f"{one.name}: {percent(one.own_share)} by itself." for one in hot[:FUNCTIONS_TOLD_MAX]]
    fields = {
        "title": f"Profile {_title(name)}",
        "partition": "artemis_technical",
        "source": clip(name, TITLE_CHARS_MAX),
        **meta,
    }
    return _attached(name, fields, "\n".join(lines), data, MEDIA_TYPES[profile.form], defaults)


def source_item(name: str, folder: Path, meta: Mapping[str, object], defaults: Defaults) -> Item:
    """A folder of source code: its description as the text, a zip of its text files as the attachment."""
    data, paths = pack(folder)
    fields = {
        "title": f"Source code {_title(name)}",
        "partition": "code_knowledge",
        "source": clip(name, TITLE_CHARS_MAX),
    }
    return _attached(name, {**fields, **meta}, describe(Path(name).name, paths), data, ZIP, defaults)


def archive_item(path: Path, defaults: Defaults) -> Item:
    """A source tree for Artemis: a folder, or a zip, tar or tar.gz as it is; or a database of advisories.

    Raises InvalidError for anything else.
    """
    if path.is_dir():
        return source_item(path.resolve().name or "source", path, {}, defaults)
    content = path.read_bytes()
    if content[257:262] == b"ustar":
        content = gzip.compress(content, mtime=0)
    media_type = _media_type(path.name, content)
    if not media_type:
        raise InvalidError(f"{path} is neither a folder nor a zip, tar or tar.gz archive")
    if len(content) > ARCHIVE_BYTES_MAX:
        raise InvalidError(f"{path} has {len(content):,} bytes; at most {ARCHIVE_BYTES_MAX:,} are taken")
    stem = path.name.partition(".")[0]
    kind = "Advisory database" if media_type == OSV else "Source code"
    fields = {
        "title": f"{kind} {stem}",
        "content": f"{kind} of {stem}: the {'file' if media_type == OSV else 'archive'} {path.name}, {len(content):,} bytes.",
        "partition": "code_knowledge",
        "source": path.name,
    }
    attachment = Attachment(
        digest=hashlib.sha256(content).hexdigest(), media_type=media_type, name=path.name, size_bytes=len(content)
    )
    described = msgspec.structs.replace(knowledge(fields, defaults), attachment=attachment)
    return Item(key=path.name, knowledge=described, content=content)


def _media_type(name: str, content: bytes) -> str:
    """ "" for what is none of them."""
    if name.endswith(ADVISORIES):
        return OSV
    return ZIP if content[:2] == b"PK" else "application/gzip" if content[:2] == b"\x1f\x8b" else ""


def _attached(
    name: str, fields: Mapping[str, object], text: str, data: bytes, media_type: str, defaults: Defaults
) -> Item:
    file_name = Path(name).name + (".zip" if media_type == ZIP else "")
    held = Attachment(
        digest=hashlib.sha256(data).hexdigest(), media_type=media_type, name=file_name[-255:], size_bytes=len(data)
    )
    described = knowledge({**fields, "content": clip(text, CONTENT_CHARS_MAX)}, defaults)
    return Item(key=name, knowledge=msgspec.structs.replace(described, attachment=held), content=data)


def line_items(name: str, at: int, line: str, defaults: Defaults) -> tuple[list[Item], set[str]]:
    """One JSON object with `title`, `text` or `content`, perhaps `id` and fields of Knowledge; and what it had besides."""
    try:
        given = msgspec.json.decode(line, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidError(f"not a JSON object: {error}") from error
    content = str(given.get("content") or given.get("text") or "").strip()
    if not content:
        raise InvalidError("the object has no text", "$.text")
    left_out = unknown(given.keys() - {"id", "text"})
    fields = {field: value for field, value in given.items() if field in FIELDS and value is not None}
    title = str(given.get("title") or "").strip() or content
    fields["title"] = " ".join(title.split())
    key = f"{name}#{given.get('id', at)}"
    fields.setdefault("source", clip(key, TITLE_CHARS_MAX))
    return numbered(key, fields, content, defaults), left_out


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
