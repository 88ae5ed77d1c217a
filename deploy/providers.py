"""Which models the settings name: chat providers in their order, and what embeds."""

from adapters.batching_embedder import BatchingEmbedder
from adapters.extractive import ExtractiveModel
from deploy.plant import Opened
from deploy.settings import Settings
from runtime.ports import ChatModel, Runnable
from runtime.vector_ports import Embedder, VectorStore


def chat_model(settings: Settings) -> tuple[ChatModel, list[Runnable]]:
    """The configured providers in their order, and what closes them; the deterministic extractive model where there is none."""
    if not settings.chat:
        return ExtractiveModel(), []
    from adapters.openai_chat import OpenAiChat
    from adapters.provider_chain import ProviderChain

    models = [
        OpenAiChat(provider.name, provider.base_url, provider.api_key.reveal(), provider.model, provider.timeout_s)
        for provider in settings.chat
    ]
    return ProviderChain(models), [Opened(close=model.close) for model in models]


def embedding_parts(settings: Settings) -> tuple[Embedder, list[Runnable]]:
    """What embeds, concurrent calls merged into batches, and what has to be started for it, in this order."""
    wanted = settings.embedding
    if wanted.provider == "openai":
        from adapters.openai_embeddings import OpenAiEmbedder

        remote = OpenAiEmbedder(wanted.url, wanted.api_key.reveal(), wanted.model, wanted.dimensions)
        return remote, [Opened(close=remote.close)]
    from adapters.minilm import MiniLm

    model = MiniLm(settings.models_folder)
    batching = BatchingEmbedder(
        model, texts_max=settings.limits.embed_batch_max, waiting_max=settings.limits.embed_waiting_max
    )
    return batching, [model, batching]


def vector_store(settings: Settings, dimensions: int) -> tuple[VectorStore, Runnable]:
    """The configured Qdrant server, else the engine in this process; the second one has to be started."""
    if settings.qdrant.url:
        from adapters.qdrant_server import ServerVectors

        server = ServerVectors.connect(settings.qdrant.url, dimensions, settings.qdrant.api_key.reveal() or None)
        return server, Opened(server.start, server.close)
    from adapters.qdrant_edge import EdgeVectors

    edge = EdgeVectors(settings.folder / "vectors", dimensions)
    return edge, Opened(edge.start, edge.close)
