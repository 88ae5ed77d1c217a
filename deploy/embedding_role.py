"""The embedding role: the embedding model and the vector engine, behind one service that the other roles ask."""

from adapters.minilm import BatchingEmbedder
from adapters.retrieval import LocalRetrieval, serve_retrieval

from deploy.plant import Plant
from deploy.providers import embedder


async def wire_embedding(plant: Plant) -> None:
    """Add the model, the store and the service to what the process runs."""
    batching = BatchingEmbedder(embedder(plant.settings))
    store = _store(plant.settings, batching.dimensions)
    plant.parts += [batching, store]
    retrieval = LocalRetrieval(batching, store, plant.telemetry)
    await serve_retrieval(plant.rpc, retrieval)
