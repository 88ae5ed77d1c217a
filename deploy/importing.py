"""Many items into the knowledge base over the API: several at once, none twice, until they can be found.

An item's id follows from its place in the collection that is imported, so importing again updates what changed, and going on
after an interruption leaves nothing out and doubles nothing.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote
from uuid import uuid4

import msgspec
from msgspec import Struct

from contracts.curating import (
    COLLECTIONS_MAX,
    RUNS_MAX,
    AdoptableItem,
    AdoptableItems,
    Collections,
    CollectionsQuery,
    ImportedItem,
    ImportedItems,
    ImportItem,
    SearchableQuery,
    SearchableRuns,
)
from contracts.domains import Clearance
from contracts.knowledge import digest, text_digest
from contracts.users import Permission
from deploy.client import Gateway, GatewayError, OnWait, Reply, patiently
from deploy.folder_import import collections_of
from deploy.items import PART, Failure, Item

PATIENCE_S = 120.0  # of one item, over all its retries
STALL_S_MAX = 60.0  # without one more item becoming searchable
LOOK_S_MIN = 0.1
LOOK_S_MAX = 2.0
PAGE = 200
NEEDED: Permission = "cross_domain:collaborate"
"""Who lacks it may import nothing at all; what else is forbidden is so for one item: its level or its partition."""
OUT_OF_REACH = (
    "its item is out of your reach now: raised above your clearance, or deleted by somebody else; "
    "ask an administrator to lower it, or take the file out of the import"
)
"""Which of the two it is the gateway does not tell, and neither may this."""


class Imported(Struct, kw_only=True):
    """How an import went; `runs` are the correlation ids of the posted items. `kept` of them stay more confidential than said.
    `ids`: of those that were taken at once.
    """

    runs: list[str] = []
    ids: list[str] = []
    failures: list[Failure] = []
    kept: int = 0
    seconds: float = 0.0


class Plan(Struct, frozen=True, kw_only=True):
    """What importing items would do to a collection as it is.

    `stale` are parts that a document no longer has, `gone` items of which nothing was found this time.
    """

    new: tuple[Item, ...] = ()
    changed: tuple[Item, ...] = ()
    unchanged: int = 0
    expired: tuple[Failure, ...] = ()
    stale: tuple[ImportedItem, ...] = ()
    gone: tuple[ImportedItem, ...] = ()

    @property
    def posts(self) -> tuple[Item, ...]:
        return self.new + self.changed


OnCount = Callable[[int], None]
K = TypeVar("K", Item, ImportedItem)
P = TypeVar("P", ImportedItems, AdoptableItems)


def planned(items: Sequence[Item], there: Sequence[ImportedItem], now: datetime, unread: Sequence[str] = ()) -> Plan:
    """Compare what was read with what is there. What lies at or under a path of `unread` is not known to be gone."""
    before = {one.key: one for one in there}
    new: list[Item] = []
    changed: list[Item] = []
    expired: list[Failure] = []
    for item in items:
        known, expires = before.get(item.key), item.knowledge.expires
        if known is None and expires is not None and expires <= now:
            expired.append(Failure(path=item.key, reason=f"expired at {expires.isoformat()}"))
        elif known is None:
            new.append(item)
        elif known.digest != digest(item.knowledge):
            changed.append(msgspec.structs.replace(item, id=known.id))
    keys = {item.key for item in items}
    missing = [one for one in there if one.key not in keys]
    stale = [one for one in missing if PART in one.key and one.key.rpartition(PART)[0] in keys]
    unknown = tuple(f"{path}{mark}" for path in unread for mark in ("#", "/"))
    gone = [one for one in missing if one not in stale and one.key not in unread and not one.key.startswith(unknown)]
    return Plan(
        new=tuple(new),
        changed=tuple(changed),
        unchanged=len(items) - len(new) - len(changed) - len(expired),
        expired=tuple(expired),
        stale=tuple(stale),
        gone=tuple(gone),
    )


def adopting(plan: Plan, there: Sequence[AdoptableItem]) -> Plan:
    """The plan where what is new, but was added without its source before (as imports once did), is that item from now on."""
    known: dict[str, list[str]] = {}
    for one in reversed(there):
        known.setdefault(one.digest, []).append(one.id)
    new: list[Item] = []
    adopted: list[Item] = []
    for item in plan.new:
        said = item.knowledge
        ids = known.get(text_digest(said.title, said.content, said.source))
        if ids:
            adopted.append(msgspec.structs.replace(item, id=ids.pop()))
        else:
            new.append(item)
    return msgspec.structs.replace(plan, new=tuple(new), changed=(*plan.changed, *adopted))


def without_those_of(failed: Sequence[Failure], stale: Sequence[ImportedItem]) -> list[ImportedItem]:
    """The stale parts whose document was taken as it is now: of any other the old text is to be had until the new one is."""
    documents = {_document(failure.path) for failure in failed}
    return [one for one in stale if _document(one.key) not in documents]


def _document(key: str) -> str:
    document, _, number = key.rpartition(PART)
    return document if number.isdecimal() else key


async def place_of(gateway: Gateway, path: Path) -> tuple[str, str]:
    """The collection that importing a path goes on with: the nearest folder that was imported; else its own. And what the names
    of its items begin with there."""
    possible = dict(collections_of(path)[:COLLECTIONS_MAX])
    query = CollectionsQuery(among=list(possible))
    known = (await gateway.post("/v1/knowledge/imports/collections", query, Collections)).collections
    return next((one for one in possible.items() if one[0] in known), next(iter(possible.items())))


async def adoptable(gateway: Gateway) -> list[AdoptableItem]:
    """What the asker has added and not imported."""
    pages = _pages(gateway, "/v1/knowledge/imports/adoptable", AdoptableItems, {})
    return [one async for page in pages for one in page.items]


async def imported_before(gateway: Gateway, collection: str) -> list[ImportedItem]:
    """What the asker has imported into the collection and not deleted since."""
    pages = _pages(gateway, "/v1/knowledge/imports", ImportedItems, {"collection": collection})
    return [one async for page in pages for one in page.items]


async def _pages(gateway: Gateway, path: str, kind: type[P], asked: Mapping[str, object]) -> AsyncIterator[P]:
    after: str | None = None
    while True:
        once = partial(gateway.get, path, kind, {**asked, "limit": PAGE, "after": after})
        page = await patiently(once, patience_s=PATIENCE_S)
        yield page
        if page.next is None:
            return
        after = page.next


async def post_items(
    gateway: Gateway,
    items: Sequence[Item],
    *,
    collection: str,
    concurrency: int,
    on_count: OnCount = lambda _: None,
    on_wait: OnWait = lambda _s, _why: None,
) -> Imported:
    """Post everything; an item that fails is noted and does not stop the others. `on_count`: how many are through.

    Raises GatewayError when the asker may not import at all, UnreachableError when the gateway is gone for good.
    """
    result = Imported()
    began = time.monotonic()
    posting = _Posting(gateway, collection, on_wait)

    async def work(item: Item) -> None:
        reply = await posting.item(item)
        result.runs.append(reply.correlation)
        taken = msgspec.json.decode(reply.body, type=_Taken)
        held = taken.knowledge
        result.ids += [taken.id] if taken.id else []
        result.kept += held is not None and held.confidentiality > item.knowledge.confidentiality

    await _each(items, work, result.failures, concurrency, on_count)
    result.seconds = time.monotonic() - began
    return result


async def delete_items(
    gateway: Gateway,
    items: Sequence[ImportedItem],
    *,
    concurrency: int,
    on_wait: OnWait = lambda _s, _why: None,
) -> list[Failure]:
    """Delete what was imported before; those that could not be deleted. One that is gone already is no failure."""
    failures: list[Failure] = []

    async def work(item: ImportedItem) -> None:
        async def once() -> Reply:
            return await gateway.send("DELETE", f"/v1/knowledge/{quote(item.id)}")

        try:
            await patiently(once, patience_s=PATIENCE_S, on_wait=on_wait)
        except GatewayError as error:
            if error.status != 404:
                raise

    await _each(items, work, failures, concurrency, lambda _: None)
    return failures


async def _each(
    items: Sequence[K],
    work: Callable[[K], Awaitable[None]],
    failures: list[Failure],
    concurrency: int,
    on_count: OnCount,
) -> None:
    """Do the work for each, several at once; what the gateway refuses is a failure of that one."""
    source = iter(items)
    through = 0

    async def worker() -> None:
        nonlocal through
        for item in source:
            try:
                await work(item)
            except GatewayError as error:
                if error.status == HTTPStatus.UNAUTHORIZED or error.problem.permission == NEEDED:
                    raise
                failures.append(Failure(path=item.key, reason=str(error)))
            through += 1
            on_count(through)

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(concurrency):
                workers.create_task(worker())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None  # One error is told once, however many workers met it.


class _Level(Struct, frozen=True):
    confidentiality: Clearance


class _Taken(Struct, frozen=True):
    """What an item is after it was taken; nothing is told of one that takes long."""

    id: str = ""
    knowledge: _Level | None = None


class _Posting:
    """The requests of one import: a repeat of one is known by its key, the same item in the next import is not."""

    def __init__(self, gateway: Gateway, collection: str, on_wait: OnWait) -> None:
        self._gateway = gateway
        self._collection = collection
        self._on_wait = on_wait
        self._nonce = uuid4().hex[:12]

    async def item(self, item: Item) -> Reply:
        """Store the item's file, then the item. Raises GatewayError, UnreachableError."""
        attachment = item.knowledge.attachment
        if item.content is not None and attachment is not None:
            await self._post("/v1/files", item.content, attachment.media_type)
        body = ImportItem(collection=self._collection, key=item.key, knowledge=item.knowledge, item=item.id)
        try:
            return await self._post("/v1/knowledge/imports", msgspec.json.encode(body), "application/json")
        except GatewayError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise GatewayError(msgspec.structs.replace(error.problem, detail=OUT_OF_REACH)) from error

    async def _post(self, path: str, content: bytes, media_type: str) -> Reply:
        key = f"import-{self._nonce}-{hashlib.sha256(content).hexdigest()[:40]}"
        headers = {"Content-Type": media_type, "Idempotency-Key": key}

        async def once() -> Reply:
            return await self._gateway.send("POST", path, content=content, headers=headers)

        return await patiently(once, patience_s=PATIENCE_S, on_wait=self._on_wait)


async def until_searchable(gateway: Gateway, runs: Sequence[str], on_count: OnCount = lambda _: None) -> int:
    """Wait until each run's item is in the vector index, as its journal says; how many are not after a minute of standstill.

    One that the run did not change was indexed by an earlier one. Items are indexed about in the order they were posted, so
    only the first ones that are missing are asked for, and about four times in the time that all of them still need.
    """
    waiting = list(dict.fromkeys(runs))
    total = len(waiting)
    began = moved = time.monotonic()
    while waiting and time.monotonic() - moved < STALL_S_MAX:
        late = await _not_searchable(gateway, waiting[:RUNS_MAX])
        found = min(RUNS_MAX, len(waiting)) - len(late)
        waiting = late + waiting[RUNS_MAX:]
        on_count(total - len(waiting))
        if found:
            moved = time.monotonic()
        if late:
            needed_s = (moved - began) * len(waiting) / max(total - len(waiting), 1)
            await asyncio.sleep(min(max(needed_s / 4, LOOK_S_MIN), LOOK_S_MAX))
    missing = 0
    while waiting:  # The first ones may be lost for good: what of the others is there counts.
        missing += len(await _not_searchable(gateway, waiting[:RUNS_MAX]))
        waiting = waiting[RUNS_MAX:]
    return missing


async def _not_searchable(gateway: Gateway, runs: Sequence[str]) -> list[str]:
    query = SearchableQuery(runs=list(runs))

    async def once() -> SearchableRuns:
        return await gateway.post("/v1/knowledge/imports/searchable", query, SearchableRuns)

    found = frozenset((await patiently(once, patience_s=STALL_S_MAX)).runs)
    return [run for run in runs if run not in found]
