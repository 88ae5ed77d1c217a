"""Which models the settings name: chat providers in their order, and what embeds."""

from adapters.extractive import ExtractiveModel
from deploy.settings import Settings
from runtime.ports import ChatModel, Embedder


def chat_model(settings: Settings) -> ChatModel:
    """The configured providers in their order; the deterministic extractive model where there is none."""
    if not settings.chat:
        return ExtractiveModel()
    from adapters.openai_chat import OpenAiChat
    from adapters.provider_chain import ProviderChain

    return ProviderChain(
        [
            OpenAiChat(provider.name, provider.base_url, provider.api_key.reveal(), provider.model, provider.timeout_s)
            for provider in settings.chat
        ]
    )


def embedder(settings: Settings) -> Embedder:
    """MiniLM in this process, or a server that speaks OpenAI's embeddings."""
    wanted = settings.embedding
    if wanted.provider == "openai":
        from adapters.openai_embeddings import OpenAiEmbedder

        return OpenAiEmbedder(wanted.url, wanted.api_key.reveal(), wanted.model, wanted.dimensions)
    from adapters.minilm import MiniLm

    return MiniLm(settings.folder / "models")
