"""The embedding role: the embedding model and the vector engine, behind one service that the other roles ask."""

from adapters.retrieval import LocalRetrieval, serve_retrieval
from deploy.plant import Plant
from deploy.providers import embedding_parts, vector_store


class Service:
    """Answers the other roles once model and store are there; ends with the connection. A Runnable."""

    def __init__(self, plant: Plant, retrieval: LocalRetrieval) -> None:
        self._plant = plant
        self._retrieval = retrieval

    async def start(self) -> None:
        await serve_retrieval(self._plant.rpc, self._retrieval)

    async def stop(self) -> None:
        """Nothing to end: the subscription belongs to the connection."""


async def wire_embedding(plant: Plant) -> None:
    """Add the model, the store and the service to what the process runs."""
    model, parts = embedding_parts(plant.settings)
    store, opened = vector_store(plant.settings, model.dimensions)
    plant.parts += [*parts, opened, Service(plant, LocalRetrieval(model, store, plant.telemetry))]
