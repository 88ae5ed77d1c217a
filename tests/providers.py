"""Model servers that fail as told, a chain of providers over them, and a clock that stands still."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from adapters.openai_chat import Endpoint, OpenAiChat
from adapters.provider_chain import ProviderChain
from contracts.chat import ChatMessage, ChatReply, ChatRequest
from contracts.domains import Clearance
from contracts.model import Evidence, Prompt, Section
from runtime.breaker import Mode
from runtime.model_ports import Call, ChatModel
from runtime.telemetry import MODEL_TOKENS_TOTAL, PROVIDER_CALLS_TOTAL, PROVIDER_HEALTHY, NoTelemetry
from tests.model_server import ModelServer

ASKED = ChatRequest(model="m", messages=(ChatMessage(role="user", content="How is churn? It was 33.17 % in May."),))
PROMPT = Prompt(
    role="the team",
    question="How is churn?",
    sections=(Section("summary", "The answer."), Section("risks", "What could go wrong.")),
    evidence=(Evidence(id="k", title="t", text="Churn is 33.17 %.", label=Clearance.PUBLIC, score=0.5),),
)


class Counted(NoTelemetry):
    """Remembers what was counted of providers' calls and tokens, and how healthy they were told to be."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.tokens: Counter[tuple[str, str, str]] = Counter()
        self.healthy: dict[str, float] = {}

    def count(self, metric: str, amount: float = 1, **labels: str) -> None:
        if metric == PROVIDER_CALLS_TOTAL:
            self.calls.append((labels["provider"], labels["outcome"]))
        if metric == MODEL_TOKENS_TOTAL:
            self.tokens[labels["provider"], labels["model"], labels["direction"]] += int(amount)

    def gauge(self, metric: str, value: float, **labels: str) -> None:
        if metric == PROVIDER_HEALTHY:
            self.healthy[labels["provider"]] = value


class Setting:
    """Servers, a chain over them, and a clock that stands still unless told."""

    def __init__(self, servers: list[ModelServer]) -> None:
        self.servers = servers
        self.now = 1_000.0
        self.telemetry = Counted()
        self.models: list[OpenAiChat] = []

    def chain(
        self, *groups: str, named: tuple[str, ...] = (), last: ChatModel | None = None, **endpoint: Any
    ) -> ProviderChain:
        """Each group names its servers by letter: `ab` are equals."""
        grouped = [[self._model(letter, endpoint) for letter in group] for group in groups]
        return ProviderChain(grouped, named=named, last=last, clock=lambda: self.now, telemetry=self.telemetry)

    def _model(self, letter: str, endpoint: dict[str, Any]) -> OpenAiChat:
        server = self.servers["abc".index(letter)]
        # Only the one that fails is hurried: the others may take their time on a busy machine.
        wanted = {name: value for name, value in endpoint.items() if letter == "a" or not name.endswith("_s")}
        given = {"name": letter, "base_url": server.url, "model": "m", **wanted}
        self.models.append(OpenAiChat(Endpoint(**given)))
        return self.models[-1]

    def asked(self) -> list[int]:
        return [len(server.calls) for server in self.servers]


async def over(servers: list[ModelServer], body: Callable[[Setting], Awaitable[None]]) -> None:
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        setting = Setting(servers)

        async def close() -> None:
            for model in setting.models:
                await model.close()

        stack.push_async_callback(close)
        await body(setting)


def run(servers: list[ModelServer], body: Callable[[Setting], Awaitable[None]]) -> None:
    asyncio.run(over(servers, body))


def modes(chain: ProviderChain) -> dict[str, Mode]:
    return {member.provider.name: member.breaker.mode for member in chain.members}


async def ask(chain: ProviderChain, **more: Any) -> ChatReply:
    return await chain.chat(ASKED, Call(**{"key": "key", **more}))
