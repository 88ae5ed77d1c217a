"""Vectors in memory, searched by brute force: for tests and small programs, and the reference for the engines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters import vector_payload
from contracts.domains import Partition
from contracts.retrieval import Entry, Hit, Kept, Query
from runtime.vector_ports import Vector


class MemoryVectors:
    """A VectorStore that lasts as long as the object."""

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._points: dict[Partition, dict[str, tuple[dict[str, Any], NDArray[np.float32]]]] = {
            partition: {} for partition in vector_payload.PARTITIONS
        }

    async def upsert(self, partition: Partition, entries: Sequence[Entry], vectors: Sequence[Vector]) -> None:
        vector_payload.check(entries, vectors, self._dimensions)
        ids = [vector_payload.point_id(entry.id) for entry in entries]
        for key, entry, vector in zip(ids, entries, vectors, strict=True):
            self._points[partition][key] = vector_payload.payload(entry), np.asarray(vector, np.float32)

    async def remove(self, partition: Partition, ids: Sequence[str]) -> None:
        for key in map(vector_payload.point_id, ids):
            self._points[partition].pop(key, None)

    async def search(self, query: Query, vector: Vector) -> list[Hit]:
        vector_payload.check_size(vector, self._dimensions)
        wanted = vector_payload.conditions(query)
        sought = np.asarray(vector, np.float32)
        return vector_payload.best(
            (
                Hit(entry=vector_payload.entry(values), partition=partition, score=float(stored @ sought))
                for partition in vector_payload.partitions(query)
                for values, stored in self._points[partition].values()
                if vector_payload.allowed(values, wanted)
            ),
            query,
        )

    async def count(self, partition: Partition) -> int:
        return len(self._points[partition])

    async def listed(self, partition: Partition, *, after: str | None, limit: int) -> list[Kept]:
        page = vector_payload.page(after, limit)
        points = sorted(
            (key, values) for key, (values, _) in self._points[partition].items() if key >= (page.start or "")
        )
        return page.kept(points[: page.points])

    async def versions(self, partition: Partition, ids: Sequence[str]) -> Mapping[str, int]:
        points = self._points[partition]
        asked = vector_payload.asked(ids)
        return vector_payload.versions(asked, ((key, points[key][0]) for key in asked if key in points))

    async def close(self) -> None:
        """Nothing to release."""
