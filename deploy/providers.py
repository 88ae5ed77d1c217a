"""Which chat models the settings name, in their order."""

from typing import TYPE_CHECKING

from msgspec import Struct

from adapters.extractive import ExtractiveModel
from adapters.extractive_chat import ExtractiveChat
from deploy.model_settings import ChatProvider
from deploy.plant import Opened
from deploy.settings import Settings
from runtime.model_ports import ChatCompletions, ChatModel
from runtime.ports import Runnable
from runtime.telemetry import Telemetry

if TYPE_CHECKING:
    from adapters.openai_chat import Endpoint
    from adapters.provider_health import HealthChecks


class Chats(Struct, frozen=True):
    """What answers prompts, what answers chats, their parts to start, and the health checks of the providers behind them."""

    model: ChatModel
    completions: ChatCompletions
    parts: list[Runnable] = []
    health: "HealthChecks | None" = None


def chat_models(settings: Settings, telemetry: Telemetry) -> Chats:
    """The configured providers in their groups; where there is none the extractive model, which answers chats in any case."""
    if not settings.chat:
        return Chats(ExtractiveModel(), ExtractiveChat())
    from adapters.openai_chat import OpenAiChat
    from adapters.provider_chain import NamedModels, ProviderChain
    from adapters.provider_health import HealthChecks

    models = [OpenAiChat(_endpoint(provider)) for provider in settings.chat]
    groups: dict[tuple[str, str], list[OpenAiChat]] = {}
    for provider, model in zip(settings.chat, models, strict=True):
        groups.setdefault((provider.group, "" if provider.group else provider.name), []).append(model)
    last = ExtractiveModel() if settings.extractive.last else None
    chain = ProviderChain(list(groups.values()), last=last, telemetry=telemetry)
    health = HealthChecks(chain.members, telemetry)
    closing = [Opened(close=model.close) for model in models]
    return Chats(chain, NamedModels(chain, ExtractiveChat()), [*closing, health], health)


def chat_names(settings: Settings) -> tuple[str, ...]:
    """The models that `chat_models` chats with, without connecting to any."""
    return tuple(dict.fromkeys([*(provider.model for provider in settings.chat), *ExtractiveChat.models]))


def _endpoint(provider: ChatProvider) -> "Endpoint":
    from adapters.openai_chat import Endpoint

    return Endpoint(
        name=provider.name,
        base_url=provider.base_url,
        model=provider.model,
        api_key=provider.api_key.reveal(),
        connect_s=provider.connect_s,
        first_s=min(provider.first_s, provider.timeout_s),
        between_s=min(provider.between_s, provider.timeout_s),
        whole_s=provider.timeout_s,
        connections_max=provider.connections_max,
        context_tokens_max=provider.context_tokens_max,
        input_price=provider.input_price,
        output_price=provider.output_price,
    )
