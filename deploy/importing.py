"""Many items into the knowledge base over the API: several at once, none twice, until they can be found.

An item's Idempotency-Key follows from its content, so importing the same again changes nothing.
"""

import asyncio
import gzip
import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from contracts.http import Run
from contracts.knowledge import Attachment
from deploy.client import Gateway, GatewayError, OnWait, Reply, patiently
from deploy.folder_import import (
    JSONL_BYTES_MAX,
    TEXT_BYTES_MAX,
    ZIP,
    Defaults,
    Failure,
    Import,
    Item,
    knowledge,
    line_item,
    read_folder,
    source_item,
    table_item,
    text_item,
)
from runtime.errors import InvalidError, OutcomeError

PATIENCE_S = 120.0  # of one item, over all its retries
STALL_S_MAX = 60.0  # without one more item becoming searchable
FILE_BYTES_MAX = 16 * 1024 * 1024  # of a stored file: what the gateway takes
FIND_CONCURRENCY = 8
FIND_PAUSE_S_MIN = 0.1
FIND_PAUSE_S_MAX = 0.8
_INDEX = "index"


class Imported(Struct, kw_only=True):
    """How an import went; `runs` are the correlation ids of the posted items."""

    runs: list[str] = []
    failures: list[Failure] = []
    seconds: float = 0.0


OnCount = Callable[[int], None]


async def post_items(
    gateway: Gateway,
    items: Sequence[Item],
    *,
    concurrency: int,
    on_count: OnCount = lambda _: None,
    on_wait: OnWait = lambda _s, _why: None,
) -> Imported:
    """Post everything; an item that fails is noted and does not stop the others. `on_count`: how many are through.

    Raises GatewayError when the asker may not import at all, UnreachableError when the gateway is gone for good.
    """
    result = Imported()
    source = iter(items)
    began = time.monotonic()
    through = 0

    async def work() -> None:
        nonlocal through
        for item in source:
            try:
                result.runs.append(await post_item(gateway, item, on_wait))
            except GatewayError as error:
                if error.status in (401, 403):
                    raise
                result.failures.append(Failure(path=item.key, reason=str(error)))
            through += 1
            on_count(through)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(concurrency):
                workers.create_task(work())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None  # One error is told once, however many workers met it.
    result.seconds = time.monotonic() - began
    return result


async def post_item(gateway: Gateway, item: Item, on_wait: OnWait) -> str:
    """Store the item's file, then the item; the correlation id of its run. Raises GatewayError, UnreachableError."""
    attachment = item.knowledge.attachment
    if item.content is not None and attachment is not None:
        await _post(gateway, "/v1/files", item.content, attachment.media_type, on_wait)
    content = msgspec.json.encode(item.knowledge)
    return (await _post(gateway, "/v1/knowledge", content, "application/json", on_wait)).correlation


async def _post(gateway: Gateway, path: str, content: bytes, media_type: str, on_wait: OnWait) -> Reply:
    headers = {"Content-Type": media_type, "Idempotency-Key": _key(content)}

    async def once() -> Reply:
        return await gateway.send("POST", path, content=content, headers=headers)

    return await patiently(once, patience_s=PATIENCE_S, on_wait=on_wait)


def _key(content: bytes) -> str:
    return f"import-{hashlib.sha256(content).hexdigest()[:40]}"


async def until_searchable(gateway: Gateway, runs: Sequence[str], on_count: OnCount = lambda _: None) -> int:
    """Wait until each run's item is in the vector index, as its journal says; how many are not after a minute of standstill.

    Items are indexed about in the order they were posted, so only the first ones that are missing are asked for.
    """
    waiting = list(dict.fromkeys(runs))
    total = len(waiting)
    moved, pause_s = time.monotonic(), FIND_PAUSE_S_MIN
    while waiting and time.monotonic() - moved < STALL_S_MAX:
        late = await _not_indexed(gateway, waiting[:FIND_CONCURRENCY])
        if len(late) < min(FIND_CONCURRENCY, len(waiting)):
            moved, pause_s = time.monotonic(), FIND_PAUSE_S_MIN
        waiting = late + waiting[FIND_CONCURRENCY:]
        on_count(total - len(waiting))
        if late:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, FIND_PAUSE_S_MAX)
    missing = 0
    while waiting:  # The first ones may be lost for good: what of the others is there counts.
        missing += len(await _not_indexed(gateway, waiting[:FIND_CONCURRENCY]))
        waiting = waiting[FIND_CONCURRENCY:]
    return missing


async def _not_indexed(gateway: Gateway, runs: Sequence[str]) -> list[str]:
    found = await asyncio.gather(*(_is_indexed(gateway, run) for run in runs))
    return [run for run, is_there in zip(runs, found, strict=True) if not is_there]


async def _is_indexed(gateway: Gateway, run: str) -> bool:
    async def once() -> Run:
        return await gateway.get(f"/v1/runs/{run}", Run)

    try:
        found = await patiently(once, patience_s=STALL_S_MAX)
    except GatewayError as error:
        if error.status == 404:  # Recorded, but not in the read model yet.
            return False
        raise
    return any(event.effect == _INDEX for event in found.events)


# Reading ----------------------------------------------------------------------------------------------------------


def read_path(path: Path, defaults: Defaults) -> Import:
    """What a folder, or one file of a known kind, holds. Raises InvalidError where that cannot be read at all."""
    if path.is_dir():
        return read_folder(path, defaults)
    size = path.stat().st_size
    if size > (JSONL_BYTES_MAX if path.suffix == ".jsonl" else max(TEXT_BYTES_MAX, FILE_BYTES_MAX)):
        raise InvalidError(f"{path} is too big: {size:,} bytes")
    data = path.read_bytes()
    try:
        match path.suffix.lower():
            case ".csv":
                items = [table_item(path.name, data, {}, defaults)]
            case ".md" | ".markdown" | ".txt":
                items = [text_item(path.name, data.decode("utf-8-sig"), {}, defaults)]
            case ".jsonl":
                return _read_lines(path.name, data.decode("utf-8-sig"), defaults)
            case suffix:
                raise InvalidError(f"{path}: files of kind {suffix or '(none)'} are not read; .md .txt .jsonl .csv are")
    except UnicodeDecodeError as error:
        raise InvalidError(f"{path} is not UTF-8 text (byte {error.start:,})") from error
    except OutcomeError as error:
        raise InvalidError(f"{path}: {error}") from error
    return Import(items=tuple(items), failures=(), skipped=(), notes=())


def _read_lines(name: str, text: str, defaults: Defaults) -> Import:
    items: list[Item] = []
    failures: list[Failure] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                items.append(line_item(name, number, line, defaults)[0])
            except InvalidError as error:
                failures.append(Failure(path=name, line=number, reason=str(error)))
    return Import(items=tuple(items), failures=tuple(failures), skipped=(), notes=())


def read_source(path: Path, defaults: Defaults) -> Item:
    """A source tree for Artemis: a folder, or a zip, tar or tar.gz as it is. Raises InvalidError for anything else."""
    if path.is_dir():
        return source_item(path.resolve().name or "source", path, {}, defaults)
    content = path.read_bytes()
    if content[257:262] == b"ustar":
        content = gzip.compress(content, mtime=0)
    media_type = ZIP if content[:2] == b"PK" else "application/gzip" if content[:2] == b"\x1f\x8b" else ""
    if not media_type:
        raise InvalidError(f"{path} is neither a folder nor a zip, tar or tar.gz archive")
    if len(content) > FILE_BYTES_MAX:
        raise InvalidError(f"{path} has {len(content):,} bytes; at most {FILE_BYTES_MAX:,} are taken")
    stem = path.name.partition(".")[0]
    fields = {
        "title": f"Source code {stem}",
        "content": f"Source code of {stem}: the archive {path.name}, {len(content):,} bytes.",
        "partition": "code_knowledge",
        "source": path.name,
    }
    attachment = Attachment(
        digest=hashlib.sha256(content).hexdigest(), media_type=media_type, name=path.name, size_bytes=len(content)
    )
    described = msgspec.structs.replace(knowledge(fields, defaults), attachment=attachment)
    return Item(key=path.name, knowledge=described, content=content)
