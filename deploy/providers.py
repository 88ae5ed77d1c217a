"""Which chat models the settings name, in their order."""

from typing import TYPE_CHECKING

from msgspec import Struct

from adapters.extractive import ExtractiveModel
from adapters.extractive_chat import ExtractiveChat
from contracts.raw_chat import EXTRACTIVE
from deploy.model_settings import ChatProvider
from deploy.plant import Opened
from deploy.settings import Settings
from runtime.model_names import Named, Served, names_of
from runtime.model_ports import ChatCompletions, ChatModel
from runtime.ports import Runnable
from runtime.telemetry import Telemetry

if TYPE_CHECKING:
    from adapters.openai_chat import Endpoint
    from adapters.provider_health import HealthChecks


class Chats(Struct, frozen=True):
    """What answers prompts, what answers chats, their parts to start, and the health checks of the providers behind them.

    `caller`: the name of the provider that calls tools, if any does.
    """

    model: ChatModel
    completions: ChatCompletions
    parts: list[Runnable] = []
    health: "HealthChecks | None" = None
    caller: str = ""


def chat_models(settings: Settings, telemetry: Telemetry) -> Chats:
    """The configured providers in their groups; where there is none the extractive model, which answers chats in any case."""
    if not settings.chat:
        return Chats(ExtractiveModel(), ExtractiveChat())
    from adapters.openai_chat import OpenAiChat
    from adapters.provider_chain import NamedModels, ProviderChain
    from adapters.provider_health import HealthChecks

    groups = [[OpenAiChat(_endpoint(provider)) for provider in group] for group in _groups(settings)]
    last = ExtractiveModel() if settings.extractive.last else None
    named = [group[0].group for group in _groups(settings)]
    chain = ProviderChain(groups, named=named, last=last, telemetry=telemetry)
    health = HealthChecks(chain.members, telemetry)
    caller = next((provider.name for provider in settings.chat if provider.tools), "")
    closing = [Opened(close=model.close) for group in groups for model in group]
    return Chats(chain, NamedModels(chain, ExtractiveChat()), [*closing, health], health, caller)


def chat_names(settings: Settings) -> tuple[Named, ...]:
    """The names that `chat_models` chats under, without connecting to any."""
    served = [Served(one.name, one.group, one.model) for group in _groups(settings) for one in group]
    return (*names_of(served), Named(EXTRACTIVE, ("diarchy",), (EXTRACTIVE,)))


def _groups(settings: Settings) -> list[list[ChatProvider]]:
    """Equals together, in the order in which they are asked."""
    groups: dict[tuple[str, str], list[ChatProvider]] = {}
    for provider in settings.chat:
        groups.setdefault((provider.group, "" if provider.group else provider.name), []).append(provider)
    return list(groups.values())


def _endpoint(provider: ChatProvider) -> "Endpoint":
    from adapters.openai_chat import Endpoint

    return Endpoint(
        name=provider.name,
        base_url=provider.base_url,
        model=provider.model,
        served_as=provider.served_as,
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
