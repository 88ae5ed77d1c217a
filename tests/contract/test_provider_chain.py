"""Several providers in a row, each failing as it is told: who is asked, who is left alone, and what is said when none answers."""

import pytest

from adapters.extractive import NAME
from adapters.provider_chain import ProviderChain
from contracts.chat import ChatMessage, ChatReply, ChatRequest
from contracts.model import Prompt, Reply
from runtime.errors import OutcomeError, UnavailableError
from runtime.model_ports import Call
from tests.contract.test_chat_models import PROMPT, Spare, ask


class Scripted:
    """A ChatModel that fails as told; None answers."""

    def __init__(self, name: str, *outcomes: Exception | None) -> None:
        self.name = name
        self.outcomes = list(outcomes)
        self.calls = 0

    async def complete(self, prompt: Prompt, call: Call) -> Reply:  # noqa: ARG002 - the port's shape
        self.calls += 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome:
            raise outcome
        return Reply(sections={}, cited=(), confidence=0.5, model=self.name)

    @property
    def models(self) -> tuple[str, ...]:
        return (self.name,)

    async def check(self) -> None: ...

    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:
        reply = await self.complete(PROMPT, call)
        said = ChatMessage(role="assistant", content=request.messages[-1].content)
        return ChatReply(message=said, finish_reason="stop", model=reply.model)


def modes(chain: ProviderChain) -> list[str]:
    return [member.breaker.mode for member in chain.members]


def test_the_chain_falls_back_and_leaves_a_dead_provider_alone() -> None:
    now = [0.0]
    down = Scripted("down", *[UnavailableError("down", "refused", 9)] * 6)
    chain = ProviderChain([[down], [Scripted("spare")]], clock=lambda: now[0])
    for number in range(8):
        assert ask(chain, f"call {number}").model == "spare"
    assert down.calls == 5
    assert modes(chain) == ["open", "closed"]
    now[0] = 60.0
    assert ask(chain).model == "spare"
    assert (down.calls, modes(chain)[0]) == (6, "open")
    now[0] = 120.0
    assert [ask(chain).model for _ in range(3)] == ["down"] * 3
    assert modes(chain)[0] == "closed"


def test_the_chain_says_why_none_answered() -> None:
    bad, down = OutcomeError("nonsense"), UnavailableError("b", "down", 7)
    with pytest.raises(UnavailableError, match="nonsense") as caught:
        ask(ProviderChain([[Scripted("a", bad)], [Scripted("b", down)]]))
    assert caught.value.retry_after_s == 7
    with pytest.raises(OutcomeError, match="nonsense"):
        ask(ProviderChain([[Scripted("a", bad)]]))
    assert ask(ProviderChain([[Scripted("a", bad)], [Spare()]])).model == NAME
