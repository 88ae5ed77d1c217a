"""Where the vector index is kept, and with what its generations are searched."""

import asyncio
import shutil
from collections.abc import Callable, Sequence

from adapters import vector_payload
from adapters.retrieval import LocalRetrieval
from adapters.similar_searches import SimilarSearches
from adapters.vector_shelf import OpenGeneration
from contracts.vectors import Generation, Spec
from deploy.plant import Opened
from deploy.settings import Settings
from runtime.embedding_workers import Source
from runtime.errors import InvalidError
from runtime.ports import Runnable
from runtime.telemetry import Telemetry
from runtime.vector_ports import Shelved, VectorStore


class Opener:
    """Opens generations: `source` is for new ones, `others` are for those that were made with another model.

    A generation says its model by the name in our settings, not by what a server calls it: several may call theirs "default".
    `searches` makes what remembers the hits of searches: one a generation, so that none outlives a swap.
    """

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry,
        source: Source,
        others: Sequence[Source],
        searches: Callable[[], SimilarSearches | None],
    ) -> None:
        self._settings = settings
        self._embedders = {(one.model.name, one.model.dimensions): one.embedder for one in (*others, source)}
        self._telemetry = telemetry
        self._searches = searches
        self.wanted = Spec(source.model.name, source.model.dimensions, vector_payload.SCHEMA)

    async def open(self, generation: Generation) -> Shelved:
        """See Shelf.open."""
        spec = generation.spec
        if not vector_payload.SEARCHED_FROM <= spec.schema <= vector_payload.SCHEMA:
            raise InvalidError(f"its layout is {spec.schema}, that of this version {vector_payload.SCHEMA}")
        embedder = self._embedders.get((spec.model, spec.dimensions))
        if embedder is None:
            raise InvalidError(f"its model {spec.model} with {spec.dimensions} numbers is not configured any more")
        store, opened = vector_store(self._settings, spec.dimensions, generation.name)
        try:
            await opened.start()
        except BaseException:
            await opened.stop()
            raise
        retrieval = LocalRetrieval(embedder, store, self._telemetry, self._searches())
        return OpenGeneration(retrieval, store, opened.stop)

    async def drop(self, generation: str | None) -> None:
        """Delete a generation, or (None) what was stored before there were generations. Raises UnavailableError."""
        settings = self._settings
        if settings.qdrant.url:
            from adapters.qdrant_server import ServerVectors

            key = settings.qdrant.api_key.reveal() or None
            server = ServerVectors.connect(settings.qdrant.url, 1, key, _collections(generation))
            try:
                await server.drop()
            finally:
                await server.close()
            return
        old = [*vector_payload.PARTITIONS, *(f".{partition}.draft" for partition in vector_payload.PARTITIONS)]
        for name in old if generation is None else [generation]:
            await asyncio.to_thread(shutil.rmtree, settings.vectors_folder / name, ignore_errors=True)


def vector_store(settings: Settings, dimensions: int, generation: str) -> tuple[VectorStore, Runnable]:
    """A generation in the configured Qdrant server, else in the engine in this process; the second one has to be started."""
    if settings.qdrant.url:
        from adapters.qdrant_server import ServerVectors

        key = settings.qdrant.api_key.reveal() or None
        server = ServerVectors.connect(settings.qdrant.url, dimensions, key, _collections(generation))
        return server, Opened(server.start, server.close)
    from adapters.qdrant_edge import EdgeVectors

    edge = EdgeVectors(settings.vectors_folder / generation, dimensions)
    return edge, Opened(edge.start, edge.close)


def _collections(generation: str | None) -> str:
    """What the names of a generation's collections begin with."""
    from adapters.qdrant_server import COLLECTION_PREFIX

    return f"{COLLECTION_PREFIX}{generation}_" if generation else COLLECTION_PREFIX
