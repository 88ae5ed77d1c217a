"""The embedding role: the embedding models and the vector engine, behind services that the other roles ask."""

from adapters.embedding_rpc import serve_embeddings
from adapters.retrieval import LocalRetrieval, serve_retrieval
from deploy.embedding_models import embedding_sources
from deploy.plant import Plant
from deploy.providers import vector_store
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
    embedder, sources, parts = embedding_sources(plant.settings)
    store, opened = vector_store(plant.settings, embedder.dimensions)
    embeddings = EmbeddingWorkers(sources, plant.telemetry)
    retrieval = LocalRetrieval(embedder, store, plant.telemetry)
    plant.parts += [*parts, opened, embeddings, Service(plant, retrieval, embeddings)]
