"""The embedding role: the embedding models and the vector index, behind services that the other roles ask."""

from actors.findable import changes
from adapters.embedding_rpc import serve_embeddings
from adapters.jetstream_cache import JetStreamCache
from adapters.jetstream_snapshots import JetStreamSnapshots
from adapters.retrieval import serve_retrieval
from adapters.similar_searches import SimilarSearches
from adapters.vector_admin import serve_vectors
from adapters.vector_payload import PARTITIONS
from adapters.vector_shelf import BrokerNotes, FolderNotes, NotedShelf
from contracts.domains import Domain
from deploy.clock import now
from deploy.embedding_models import embedding_sources
from deploy.plant import Plant
from deploy.registering import Registration
from deploy.vector_index import Opener
from runtime.caching import Cache
from runtime.embedding_workers import EmbeddingWorkers
from runtime.generations import Generations
from runtime.vector_ports import Embeddings


class Service:
    """Answers the other roles once models and index are there; ends with the connection. A Runnable."""

    def __init__(self, plant: Plant, generations: Generations, embeddings: Embeddings) -> None:
        self._plant = plant
        self._generations = generations
        self._embeddings = embeddings

    async def start(self) -> None:
        await serve_retrieval(self._plant.rpc, self._generations)
        await serve_vectors(self._plant.untraced, self._generations)
        await serve_embeddings(self._plant.rpc, self._embeddings)

    async def stop(self) -> None:
        """Nothing to end: the subscription belongs to the connection."""


async def wire_embedding(plant: Plant) -> None:
    """Add the models, the index and the services to what the process runs."""
    settings = plant.settings
    source, sources, parts = embedding_sources(settings, _vectors(plant))
    opener = Opener(settings, plant.telemetry, source, sources, lambda: _searches(plant))
    generations = Generations(
        plant.log,
        changes,
        NotedShelf(_notes(plant), opener.open, opener.drop),
        opener.wanted,
        PARTITIONS,
        telemetry=plant.telemetry,
        clock=now,
    )
    embeddings = EmbeddingWorkers(sources, plant.telemetry)
    service = Service(plant, generations, embeddings)
    plant.parts += [*parts, generations, embeddings, service, Registration(Domain.EMBEDDING, plant.queue)]
    plant.watched.append(generations.wait)


def _notes(plant: Plant) -> FolderNotes | BrokerNotes:
    """Beside the vectors; those of a server may be searched from a container without a disk."""
    if plant.settings.qdrant.url:
        return BrokerNotes(JetStreamSnapshots(plant.broker), plant.untraced)
    return FolderNotes(plant.settings.vectors_folder)


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
