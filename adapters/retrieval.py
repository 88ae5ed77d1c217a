"""Retrieval: the embedder and the vector store behind one door, in the process that owns them or over request and reply."""

import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from adapters.passages import EMBEDDED_MAX, passages
from adapters.vector_writes import Change, VectorWrites
from contracts import subjects
from contracts.domains import Domain, Partition
from contracts.retrieval import Entry, Hit, Query
from runtime.errors import InvalidError
from runtime.ports import Retrieval, Rpc
from runtime.telemetry import (
    EMBED_SECONDS,
    EMBEDDINGS_TOTAL,
    SEARCH_SECONDS,
    SPAN_EMBED,
    SPAN_INDEX,
    SPAN_SEARCH,
    Telemetry,
)
from runtime.vector_ports import ENTRY, Embedder, Item, Purpose, Vector, VectorStore

if TYPE_CHECKING:  # It needs numpy, and who only asks another process for a search does not.
    from adapters.similar_searches import SimilarSearches

T = TypeVar("T")

VERSIONS_MAX = 100_000
"""Ids whose newest version is remembered, about 300 bytes each."""

SEARCH_TIMEOUT_S = 5.0
INDEX_TIMEOUT_S = 15.0
REMOVE_TIMEOUT_S = 10.0
INDEX_ENTRIES_MAX = 128
"""Entries a request; more are sent in several requests."""

INDEX_BYTES_MAX = 256 << 10
"""JSON bytes a request: some 300 passages, embedded well within the time-out; a single entry may be larger."""

SEARCH = subjects.service(Domain.EMBEDDING, "search")
INDEX = subjects.service(Domain.EMBEDDING, "index")
REMOVE = subjects.service(Domain.EMBEDDING, "remove")


class LocalRetrieval:
    """A Retrieval over an embedder and a store of its size.

    An entry is embedded as its title, a full stop and its text, a long one passage by passage (adapters/passages.py), each with
    the title; it is found by its nearest passage and its words, and the whole of it comes back. (fp32 nDCG@10 on CISI by the
    beginning alone 0.427; with a line break after the title 0.421.) `similar` answers what was searched in almost the
    same words.

    The newest versions of the 100,000 ids changed last are kept, those of others are asked of the store: a call that was
    overtaken by a later one of the same id is left out, also when it was overtaken while its entry was embedded, or before this
    process began. (What was removed before is not in the store: `runtime.generations` knows of it.)
    """

    def __init__(
        self,
        embedder: Embedder,
        store: VectorStore,
        telemetry: Telemetry,
        similar: "SimilarSearches | None" = None,
    ) -> None:
        self._embedder = embedder
        self._similar = similar
        self._store = store
        self._telemetry = telemetry
        self._versions: OrderedDict[tuple[Partition, str], int] = OrderedDict()
        self._writes = VectorWrites(store, self._begins, self._changed)

    async def index(self, partition: Partition, entries: Sequence[Entry], *, version: int = 0) -> None:
        if version:
            entries = [msgspec.structs.replace(entry, version=version) for entry in entries]
        await self._recall(partition, [entry.id for entry in entries if entry.version])
        entries = [entry for entry in entries if self._begins(partition, entry.id, entry.version)]
        if not entries:
            return
        with self._telemetry.span(SPAN_INDEX, attributes={"partition": partition, "entries": len(entries)}):
            await self._writes.do(partition, Change(put=await self._items(entries)))

    async def _items(self, entries: Sequence[Entry]) -> list[Item]:
        spans = [passages(entry.title, entry.text) for entry in entries]
        texts = [
            f"{entry.title}. {entry.text[span.start : span.end]}"
            for entry, parts in zip(entries, spans, strict=True)
            for span in parts[:EMBEDDED_MAX]
        ]
        vectors = iter(await self._embed(texts, ENTRY))
        return [
            Item(entry, list(islice(vectors, min(len(parts), EMBEDDED_MAX))), parts)
            for entry, parts in zip(entries, spans, strict=True)
        ]

    async def remove(self, partition: Partition, ids: Sequence[str], *, version: int = 0) -> None:
        await self._recall(partition, ids if version else ())
        ids = [id_ for id_ in ids if self._begins(partition, id_, version)]
        if not ids:
            return
        await self._writes.do(partition, Change(gone=[(id_, version) for id_ in ids]))

    async def _recall(self, partition: Partition, ids: Sequence[str]) -> None:
        """Know the stored versions of these ids."""
        unknown = [id_ for id_ in ids if (partition, id_) not in self._versions]
        if unknown:
            for id_, version in (await self._store.versions(partition, unknown)).items():
                self._begins(partition, id_, version)

    def _begins(self, partition: Partition, id_: str, version: int) -> bool:
        """Whether nothing newer was begun for the id; then this is the newest. What has no version is always done."""
        if not version:
            return True
        key = (partition, id_)
        if version < self._versions.get(key, 0):
            return False
        self._versions[key] = version
        self._versions.move_to_end(key)
        if len(self._versions) > VERSIONS_MAX:
            self._versions.popitem(last=False)
        return True

    async def search(self, query: Query) -> list[Hit]:
        attributes = {
            "partitions": " ".join(query.partitions),
            "clearance": query.clearance.value,
            "limit": query.limit,
        }
        started = time.perf_counter()
        with self._telemetry.span(
            SPAN_SEARCH, attributes=attributes
        ):  # How many it found may be above the answer's label.
            vector = (await self._embed([query.text], Purpose("query", query.clearance)))[0]
            hits = await self._found(query, vector)
        self._telemetry.observe(SEARCH_SECONDS, time.perf_counter() - started, side="owner")
        return hits

    async def _found(self, query: Query, vector: Vector) -> list[Hit]:
        if self._similar is None:
            return await self._store.search(query, vector)
        asked = self._similar.asked(query)
        hits = self._similar.find(asked, vector)
        if hits is None:
            hits = await self._store.search(query, vector)
            self._similar.keep(asked, vector, hits)
        return hits

    def _changed(self, partition: Partition) -> AbstractContextManager[None]:
        return nullcontext() if self._similar is None else self._similar.changing(partition)

    async def _embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        model = self._embedder.model
        started = time.perf_counter()
        with self._telemetry.span(SPAN_EMBED, attributes={"model": model, "texts": len(texts)}):
            vectors = await self._embedder.embed(texts, purpose)
        self._telemetry.observe(EMBED_SECONDS, time.perf_counter() - started, model=model, kind=purpose.use)
        self._telemetry.count(EMBEDDINGS_TOTAL, len(texts), model=model, kind=purpose.use)
        return vectors


class IndexRequest(Struct, frozen=True):
    """The body of an `index` call."""

    partition: Partition
    entries: tuple[Entry, ...]
    version: int = 0


class RemoveRequest(Struct, frozen=True):
    """The body of a `remove` call."""

    partition: Partition
    ids: tuple[str, ...]
    version: int = 0


_hits = msgspec.json.Decoder(list[Hit])
_query = msgspec.json.Decoder(Query)
_index_request = msgspec.json.Decoder(IndexRequest)
_remove_request = msgspec.json.Decoder(RemoveRequest)


class RemoteRetrieval:
    """A Retrieval that asks the embedding role. An `index` of many entries is several requests: each is all or nothing, the
    whole is not, and repeating it is harmless."""

    def __init__(self, rpc: Rpc, telemetry: Telemetry, *, search_s_max: float = SEARCH_TIMEOUT_S) -> None:
        self._rpc = rpc
        self._search_s_max = search_s_max
        self._telemetry = telemetry  # Times only: the Rpc makes the spans and carries the trace.

    async def index(self, partition: Partition, entries: Sequence[Entry], *, version: int = 0) -> None:
        for part in _parts(entries):
            request = msgspec.json.encode(IndexRequest(partition, part, version))
            await self._rpc.call(INDEX, request, timeout_s=INDEX_TIMEOUT_S)

    async def remove(self, partition: Partition, ids: Sequence[str], *, version: int = 0) -> None:
        if ids:
            request = msgspec.json.encode(RemoveRequest(partition, tuple(ids), version))
            await self._rpc.call(REMOVE, request, timeout_s=REMOVE_TIMEOUT_S)

    async def search(self, query: Query) -> list[Hit]:
        started = time.perf_counter()
        hits = _hits.decode(await self._rpc.call(SEARCH, msgspec.json.encode(query), timeout_s=self._search_s_max))
        self._telemetry.observe(SEARCH_SECONDS, time.perf_counter() - started, side="caller")
        return hits


def _parts(entries: Sequence[Entry]) -> Iterator[tuple[Entry, ...]]:
    part: list[Entry] = []
    size = 0
    for entry in entries:
        bytes_more = len(msgspec.json.encode(entry))
        if part and (len(part) == INDEX_ENTRIES_MAX or size + bytes_more > INDEX_BYTES_MAX):
            yield tuple(part)
            part, size = [], 0
        part.append(entry)
        size += bytes_more
    if part:
        yield tuple(part)


async def serve_retrieval(rpc: Rpc, retrieval: Retrieval) -> None:
    """Answer what `RemoteRetrieval` asks, until the connection closes."""

    async def search(body: bytes) -> bytes:
        return msgspec.json.encode(await retrieval.search(_decoded(_query, body)))

    async def index(body: bytes) -> bytes:
        request = _decoded(_index_request, body)
        await retrieval.index(request.partition, request.entries, version=request.version)
        return b""

    async def remove(body: bytes) -> bytes:
        request = _decoded(_remove_request, body)
        await retrieval.remove(request.partition, request.ids, version=request.version)
        return b""

    await rpc.serve(SEARCH, search)
    await rpc.serve(INDEX, index)
    await rpc.serve(REMOVE, remove)


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise InvalidError(str(error)) from error
