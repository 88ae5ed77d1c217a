"""The embedding role: the embedding models and the vector engine, behind services that the other roles ask."""

from adapters.embedding_rpc import serve_embeddings
from adapters.jetstream_cache import JetStreamCache
from adapters.retrieval import LocalRetrieval, serve_retrieval
from adapters.similar_searches import SimilarSearches
from deploy.embedding_models import embedding_sources
from deploy.plant import Plant
from deploy.providers import vector_store
from runtime.caching import Cache
from runtime.embedding_workers import EmbeddingWorkers
from runtime.vector_ports import Embeddings


class Service:
    """Answers the other roles once models and store are there; ends with the connection. A Runnable."""

    def __init__(self, plant: Plant, retrieval: LocalRetrieval, embeddings: Embeddings) -> None:
        self._plant = plant
        self._retrieval = retrieval
        self._embeddings = embeddings

    async def start(self) -> None:
        await serve_retrieval(self._plant.rpc, self._retrieval)
        await serve_embeddings(self._plant.rpc, self._embeddings)

    async def stop(self) -> None:
        """Nothing to end: the subscription belongs to the connection."""


async def wire_embedding(plant: Plant) -> None:
    """Add the models, the store and the services to what the process runs."""
    embedder, sources, parts = embedding_sources(plant.settings, _vectors(plant))
    store, opened = vector_store(plant.settings, embedder.dimensions)
    embeddings = EmbeddingWorkers(sources, plant.telemetry)
    retrieval = LocalRetrieval(embedder, store, plant.telemetry, _searches(plant))
    plant.parts += [*parts, opened, embeddings, Service(plant, retrieval, embeddings)]


def _vectors(plant: Plant) -> Cache | None:
    """What remembers the vectors of texts."""
    caches, limits = plant.settings.caches, plant.settings.limits
    if not caches.vectors:
        return None
    shared = JetStreamCache(plant.broker) if caches.shared else None
    return Cache(plant.telemetry, shared, entries_max=limits.cache_entries_max, bytes_max=limits.cache_bytes_max)


def _searches(plant: Plant) -> SimilarSearches | None:
    """What remembers the hits of searches. Nobody else may change what they rest on, so only where the engine is its own."""
    caches = plant.settings.caches
    if not caches.searches or plant.settings.qdrant.url:
        return None
    bytes_max = plant.settings.limits.cache_bytes_max
    return SimilarSearches(plant.telemetry, ttl_s=caches.searches_s, bytes_max=bytes_max)
