"""Vectors in a Qdrant server or cluster, for who outgrows the embedded engine: same payload, same filters, over HTTP."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Self, TypeVar

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from adapters import highlights, ranking, vector_payload, words
from adapters.ranking import Candidate, Placed
from contracts.domains import Partition
from contracts.retrieval import Hit, Kept, Query
from runtime.errors import InvalidError, UnavailableError
from runtime.vector_ports import Item, Vector

REQUEST_TIMEOUT_S = 10
COLLECTION_PREFIX = "diarchy_"

PASSAGES, WORDS = "passages", "words"

T = TypeVar("T")
_Leg = tuple[str, list[list[float]] | models.SparseVector]
"""Which vectors are asked, and for what."""


class ServerVectors:
    """A VectorStore of one collection a partition. Changes are acknowledged once the server has applied them.

    How rare each word is was counted at the start and follows the changes made here; those of another process at the same server
    are counted at the next start, until when its words weigh a little too much or too little.
    """

    def __init__(self, client: AsyncQdrantClient, dimensions: int, prefix: str = COLLECTION_PREFIX) -> None:
        self._client = client
        self._dimensions = dimensions
        self._prefix = prefix
        self._counts: defaultdict[Partition, words.Counts] = defaultdict(words.Counts)
        self._changing: defaultdict[Partition, asyncio.Lock] = defaultdict(asyncio.Lock)

    @classmethod
    def connect(cls, url: str, dimensions: int, api_key: str | None = None, prefix: str = COLLECTION_PREFIX) -> Self:
        client = AsyncQdrantClient(url=url, api_key=api_key, timeout=REQUEST_TIMEOUT_S, check_compatibility=False)
        return cls(client, dimensions, prefix)

    async def start(self) -> None:
        """Create the missing collections and indexes, and count the words. Raises InvalidError when a collection holds vectors of
        another size or kind."""
        for partition in vector_payload.PARTITIONS:
            await _answer(self._ensure(self._prefix + partition, vector_payload.kinds(partition)))
            self._counts[partition] = await self._counted(partition)

    async def upsert(self, partition: Partition, items: Sequence[Item]) -> None:
        vector_payload.check(partition, items, self._dimensions)
        latest = {vector_payload.point_id(item.entry.id): item for item in items}
        for part in vector_payload.chunks(list(latest.items()), vector_payload.UPSERT_ENTRIES_MAX):
            sparse = {key: words.of_item(item) for key, item in part}
            points = [
                models.PointStruct(
                    id=key,
                    vector={
                        PASSAGES: [list(vector) for vector in item.vectors],
                        WORDS: models.SparseVector(indices=sparse[key].words, values=sparse[key].weights),
                    },
                    payload=vector_payload.payload(item),
                )
                for key, item in part
            ]
            async with self._changing[partition]:
                old = await self._stored(partition, list(sparse))
                await _answer(self._client.upsert(self._prefix + partition, points, wait=True))
                self._count(partition, old, -1)
                for key, item in part:
                    self._counts[partition].add(item.entry.label.rank, sparse[key].words)

    async def remove(self, partition: Partition, ids: Sequence[str]) -> None:
        points: list[models.ExtendedPointId] = [vector_payload.point_id(text) for text in ids]
        if points:
            selector = models.PointIdsList(points=points)
            async with self._changing[partition]:
                old = await self._stored(partition, points)
                await _answer(self._client.delete(self._prefix + partition, selector, wait=True))
                self._count(partition, old, -1)

    async def search(self, query: Query, vector: Vector) -> list[Hit]:
        vector_payload.check_size(vector, self._dimensions)
        limit, wanted = vector_payload.limit(query), vector_payload.conditions(query)
        if not limit:
            return []
        asked = list(vector_payload.partitions(query))
        counts = [self._counts[partition] for partition in asked]
        sought = words.weighted(query.text, wanted.rank_max, counts)
        found = await asyncio.gather(
            *(
                self._candidates(partition, list(vector), sought, _filter(wanted), ranking.candidates(limit))
                for partition in asked
            )
        )
        placed = ranking.best((one for candidates in found for one in candidates), query, limit)
        stored = await asyncio.gather(*(self._points(partition, placed) for partition in asked))
        records = {(partition, str(one.id)): one for partition, ones in zip(asked, stored, strict=True) for one in ones}
        hits = []
        for one in placed:
            record = records.get((one.candidate.partition, one.candidate.point))
            values = record.payload if record is not None else None
            if (
                record is not None and values and vector_payload.allowed(values, wanted)
            ):  # It may have changed meanwhile.
                hits.append(highlights.hit(one, values, _vectors(record)[PASSAGES], vector, sought.pairs()))
        return hits

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

    async def drop(self) -> None:
        """Delete the collections; those that are not there are no error."""
        for partition in vector_payload.PARTITIONS:
            await _answer(self._client.delete_collection(self._prefix + partition))

    async def close(self) -> None:
        await self._client.close()

    async def _candidates(
        self, partition: Partition, vector: list[float], sought: words.Sparse, allowed: models.Filter, limit: int
    ) -> list[Candidate]:
        """The nearest by meaning and by words, all with both, in two requests."""
        parts = range(self._counts[partition].parts if sought.words else 0)
        meaning: _Leg = PASSAGES, [vector]
        matching = [_by_words(sought.of_part(part)) for part in parts]
        nearest, *matched = await self._legs(partition, [meaning, *matching], allowed, limit)
        points = _best([nearest, *matched])
        more: list[_Leg] = [meaning]
        if any(len(found) == limit for found in matched):  # Others match the words, too.
            more += matching
        only = models.Filter(must=[models.HasIdCondition(has_id=list(points)), allowed])
        exact = await self._legs(partition, more, only, len(points)) if points else [[]]
        near, best = _best(exact[:1]), _best(exact[1:] or matched)
        return [
            vector_payload.candidate(
                partition, key, point.payload or {}, point.score, best[key].score if key in best else 0.0
            )
            for key, point in near.items()
        ]

    async def _legs(
        self, partition: Partition, legs: Sequence[_Leg], allowed: models.Filter, limit: int
    ) -> list[list[models.ScoredPoint]]:
        requests = [
            models.QueryRequest(
                query=query, using=using, filter=allowed, limit=limit, with_payload=vector_payload.PLACING
            )
            for using, query in legs
        ]
        answers = await _answer(self._client.query_batch_points(self._prefix + partition, requests))
        return [answer.points for answer in answers]

    async def _points(self, partition: Partition, placed: Sequence[Placed]) -> Sequence[models.Record]:
        ids: list[models.ExtendedPointId] = [
            one.candidate.point for one in placed if one.candidate.partition == partition
        ]
        if not ids:
            return []
        name = self._prefix + partition
        return await _answer(self._client.retrieve(name, ids, with_payload=True, with_vectors=[PASSAGES]))

    async def _stored(self, partition: Partition, ids: Sequence[models.ExtendedPointId]) -> Sequence[models.Record]:
        """What has these ids, as far as its words are counted."""
        name = self._prefix + partition
        return await _answer(
            self._client.retrieve(name, list(ids), with_payload=[vector_payload.RANK], with_vectors=[WORDS])
        )

    async def _counted(self, partition: Partition) -> words.Counts:
        self._counts[partition] = words.Counts()
        start: models.ExtendedPointId | None = None
        while True:
            records, start = await _answer(
                self._client.scroll(
                    self._prefix + partition,
                    offset=start,
                    limit=vector_payload.LISTED_MAX,
                    with_payload=[vector_payload.RANK],
                    with_vectors=[WORDS],
                )
            )
            self._count(partition, records, 1)
            if start is None:
                return self._counts[partition]

    def _count(self, partition: Partition, records: Sequence[models.Record], change: int) -> None:
        for record in records:
            self._counts[partition].add(
                (record.payload or {})[vector_payload.RANK], _vectors(record)[WORDS].indices, change
            )

    async def _ensure(self, name: str, fields: Mapping[str, type]) -> None:
        if not await self._client.collection_exists(name):
            several = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
            passages = models.VectorParams(
                size=self._dimensions, distance=models.Distance.COSINE, multivector_config=several
            )
            try:
                await self._client.create_collection(
                    name,
                    vectors_config={PASSAGES: passages},
                    sparse_vectors_config={WORDS: models.SparseVectorParams()},
                )
            except UnexpectedResponse as error:
                if error.status_code != 409:  # Another worker created it in between: as good.
                    raise
            for field, kind in {**_INDEXES, **{path: _KINDS[one] for path, one in fields.items()}}.items():
                await self._client.create_payload_index(name, field, kind, wait=True)
        vectors = (await self._client.get_collection(name)).config.params.vectors
        kept = vectors.get(PASSAGES) if isinstance(vectors, dict) else None
        if kept is None or kept.size != self._dimensions:
            raise InvalidError(f"collection {name} does not hold vectors of {self._dimensions} numbers: index anew")


_KINDS = {
    str: models.PayloadSchemaType.KEYWORD,
    int: models.PayloadSchemaType.INTEGER,
    bool: models.PayloadSchemaType.BOOL,
}
_INDEXES = {
    vector_payload.RANK: models.PayloadSchemaType.INTEGER,
    vector_payload.PRIORITY: models.PayloadSchemaType.INTEGER,
    vector_payload.EXPIRES: models.PayloadSchemaType.FLOAT,
    vector_payload.UPDATED: models.PayloadSchemaType.FLOAT,
    **dict.fromkeys((*vector_payload.KEYWORDS, vector_payload.TAGS), models.PayloadSchemaType.KEYWORD),
}


def _filter(wanted: vector_payload.Conditions) -> models.Filter:
    rank = models.FieldCondition(key=vector_payload.RANK, range=models.Range(lte=wanted.rank_max))
    expired = models.FieldCondition(key=vector_payload.EXPIRES, range=models.Range(lte=wanted.now_epoch_s))
    matches = [
        models.FieldCondition(key=field, match=models.MatchValue(value=value)) for field, value in wanted.matches
    ]
    priority = models.FieldCondition(key=vector_payload.PRIORITY, range=models.Range(gte=wanted.priority_min))
    between = models.Range(gte=wanted.updated_from_s, lte=wanted.updated_to_s)
    dates = [models.FieldCondition(key=vector_payload.UPDATED, range=between)] if wanted.dated else []
    return models.Filter(must=[rank, priority, *matches, *dates], must_not=[expired])


def _by_words(sought: words.Sparse) -> _Leg:
    return WORDS, models.SparseVector(indices=sought.words, values=sought.weights)


def _best(answers: Sequence[Sequence[models.ScoredPoint]]) -> dict[str, models.ScoredPoint]:
    """Each point with its highest score."""
    found: dict[str, models.ScoredPoint] = {}
    for points in answers:
        for point in points:
            before = found.get(str(point.id))
            if before is None or point.score > before.score:
                found[str(point.id)] = point
    return found


def _vectors(record: models.Record) -> dict[str, Any]:
    """By their names, as far as they were asked for."""
    return record.vector if isinstance(record.vector, dict) else {}


async def _answer(call: Awaitable[T]) -> T:
    try:
        return await call
    except (ApiException, QdrantException) as error:
        raise UnavailableError("qdrant", str(error)) from error
