"""Vectors in memory, searched by brute force: for tests and small programs, and the reference for the engines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters import highlights, ranking, vector_payload, words
from adapters.ranking import Candidate
from contracts.domains import Partition
from contracts.retrieval import Hit, Kept, Query
from runtime.vector_ports import Item, Vector


class _Point(Struct, frozen=True):
    values: dict[str, Any]
    vectors: NDArray[np.float32]
    words: dict[int, float]


class MemoryVectors:
    """A VectorStore that lasts as long as the object."""

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._points: dict[Partition, dict[str, _Point]] = {partition: {} for partition in vector_payload.PARTITIONS}
        self._counts = {partition: words.Counts() for partition in vector_payload.PARTITIONS}

    async def upsert(self, partition: Partition, items: Sequence[Item]) -> None:
        vector_payload.check(partition, items, self._dimensions)
        keys = [vector_payload.point_id(item.entry.id) for item in items]
        for key, item in zip(keys, items, strict=True):
            self._forget(partition, key)
            vectors = np.asarray(item.vectors, np.float32)
            point = _Point(vector_payload.payload(item), vectors, words.of_item(item).pairs())
            self._points[partition][key] = point
            self._counts[partition].add(item.entry.label.rank, point.words)

    async def remove(self, partition: Partition, ids: Sequence[str]) -> None:
        for key in map(vector_payload.point_id, ids):
            self._forget(partition, key)

    async def search(self, query: Query, vector: Vector) -> list[Hit]:
        vector_payload.check_size(vector, self._dimensions)
        wanted = vector_payload.conditions(query)
        counts = [self._counts[partition] for partition in vector_payload.partitions(query)]
        sought = words.weighted(query.text, wanted.rank_max, counts).pairs()
        near = np.asarray(vector, np.float32)

        def candidates() -> Iterator[Candidate]:
            for partition in vector_payload.partitions(query):
                for key, point in self._points[partition].items():
                    if vector_payload.allowed(point.values, wanted):
                        matching = words.matching(sought, point.words)
                        yield vector_payload.candidate(
                            partition, key, point.values, float((point.vectors @ near).max()), matching
                        )

        placed = ranking.best(candidates(), query, vector_payload.limit(query))
        points = [self._points[one.candidate.partition][one.candidate.point] for one in placed]
        return [
            highlights.hit(one, point.values, point.vectors, vector, sought)
            for one, point in zip(placed, points, strict=True)
        ]

    async def count(self, partition: Partition) -> int:
        return len(self._points[partition])

    async def listed(self, partition: Partition, *, after: str | None, limit: int) -> list[Kept]:
        page = vector_payload.page(after, limit)
        points = self._points[partition]
        beyond = [(key, points[key].values) for key in sorted(points) if key >= (page.start or "")]
        return page.kept(beyond[: page.points])

    async def versions(self, partition: Partition, ids: Sequence[str]) -> Mapping[str, int]:
        points = self._points[partition]
        asked = vector_payload.asked(ids)
        return vector_payload.versions(asked, ((key, points[key].values) for key in asked if key in points))

    async def close(self) -> None:
        """Nothing to release."""

    def _forget(self, partition: Partition, key: str) -> None:
        point = self._points[partition].pop(key, None)
        if point is not None:
            self._counts[partition].add(point.values[vector_payload.RANK], point.words, -1)
