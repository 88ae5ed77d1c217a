"""Vectors in a Qdrant server or cluster, for who outgrows the embedded engine: same payload, same filters, over HTTP."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Self, TypeVar

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from adapters import vector_payload
from contracts.domains import Partition
from contracts.retrieval import Entry, Hit, Kept, Query
from runtime.errors import InvalidError, UnavailableError
from runtime.vector_ports import Vector

REQUEST_TIMEOUT_S = 10
COLLECTION_PREFIX = "diarchy_"

T = TypeVar("T")


class ServerVectors:
    """A VectorStore of one collection a partition. Changes are acknowledged once the server has applied them."""

    def __init__(self, client: AsyncQdrantClient, dimensions: int, prefix: str = COLLECTION_PREFIX) -> None:
        self._client = client
        self._dimensions = dimensions
        self._prefix = prefix

    @classmethod
    def connect(cls, url: str, dimensions: int, api_key: str | None = None) -> Self:
        client = AsyncQdrantClient(url=url, api_key=api_key, timeout=REQUEST_TIMEOUT_S, check_compatibility=False)
        return cls(client, dimensions)

    async def start(self) -> None:
        """Create the missing collections and indexes. Raises InvalidError when one holds vectors of another size."""
        for partition in vector_payload.PARTITIONS:
            await _answer(self._ensure(self._prefix + partition))

    async def upsert(self, partition: Partition, entries: Sequence[Entry], vectors: Sequence[Vector]) -> None:
        vector_payload.check(entries, vectors, self._dimensions)
        points = [
            models.PointStruct(
                id=vector_payload.point_id(entry.id), vector=list(vector), payload=vector_payload.payload(entry)
            )
            for entry, vector in zip(entries, vectors, strict=True)
        ]
        for part in vector_payload.chunks(points, vector_payload.UPSERT_ENTRIES_MAX):
            await _answer(self._client.upsert(self._prefix + partition, list(part), wait=True))

    async def remove(self, partition: Partition, ids: Sequence[str]) -> None:
        points: list[models.ExtendedPointId] = [vector_payload.point_id(text) for text in ids]
        if points:
            selector = models.PointIdsList(points=points)
            await _answer(self._client.delete(self._prefix + partition, selector, wait=True))

    async def search(self, query: Query, vector: Vector) -> list[Hit]:
        vector_payload.check_size(vector, self._dimensions)
        if not vector_payload.limit(query):
            return []
        found = await asyncio.gather(
            *(self._search(partition, query, vector) for partition in vector_payload.partitions(query))
        )
        return vector_payload.best((hit for hits in found for hit in hits), query)

    async def count(self, partition: Partition) -> int:
        return (await _answer(self._client.count(self._prefix + partition, exact=True))).count

    async def listed(self, partition: Partition, *, after: str | None, limit: int) -> list[Kept]:
        page = vector_payload.page(after, limit)
        records, _ = await _answer(
            self._client.scroll(self._prefix + partition, offset=page.start, limit=page.points, with_payload=True)
        )
        return page.kept((str(record.id), record.payload or {}) for record in records)

    async def versions(self, partition: Partition, ids: Sequence[str]) -> Mapping[str, int]:
        asked = vector_payload.asked(ids)
        points: list[models.ExtendedPointId] = list(asked)
        found = await _answer(
            self._client.retrieve(self._prefix + partition, points, with_payload=[vector_payload.VERSION])
        )
        return vector_payload.versions(asked, ((str(record.id), record.payload or {}) for record in found))

    async def close(self) -> None:
        await self._client.close()

    async def _search(self, partition: Partition, query: Query, vector: Vector) -> list[Hit]:
        answer = await _answer(
            self._client.query_points(
                self._prefix + partition,
                query=list(vector),
                query_filter=_filter(vector_payload.conditions(query)),
                limit=vector_payload.limit(query),
                with_payload=True,
            )
        )
        return [
            Hit(entry=vector_payload.entry(point.payload or {}), partition=partition, score=point.score)
            for point in answer.points
        ]

    async def _ensure(self, name: str) -> None:
        if not await self._client.collection_exists(name):
            size = models.VectorParams(size=self._dimensions, distance=models.Distance.COSINE)
            try:
                await self._client.create_collection(name, vectors_config=size)
            except UnexpectedResponse as error:
                if error.status_code != 409:  # Another worker created it in between: as good.
                    raise
            for field, kind in _INDEXES.items():
                await self._client.create_payload_index(name, field, kind, wait=True)
        vectors = (await self._client.get_collection(name)).config.params.vectors
        if not isinstance(vectors, models.VectorParams) or vectors.size != self._dimensions:
            raise InvalidError(f"collection {name} does not hold vectors of {self._dimensions} numbers: index anew")


_INDEXES = {
    vector_payload.RANK: models.PayloadSchemaType.INTEGER,
    vector_payload.EXPIRES: models.PayloadSchemaType.FLOAT,
    **dict.fromkeys(vector_payload.KEYWORDS, models.PayloadSchemaType.KEYWORD),
}


def _filter(wanted: vector_payload.Conditions) -> models.Filter:
    rank = models.FieldCondition(key=vector_payload.RANK, range=models.Range(lte=wanted.rank_max))
    expired = models.FieldCondition(key=vector_payload.EXPIRES, range=models.Range(lte=wanted.now_epoch_s))
    matches = [
        models.FieldCondition(key=field, match=models.MatchValue(value=value)) for field, value in wanted.matches
    ]
    priority = models.FieldCondition(key=vector_payload.PRIORITY, range=models.Range(gte=wanted.priority_min))
    return models.Filter(must=[rank, priority, *matches], must_not=[expired])


async def _answer(call: Awaitable[T]) -> T:
    try:
        return await call
    except (ApiException, QdrantException) as error:
        raise UnavailableError("qdrant", str(error)) from error
