"""The ports to language models: one suite for all their adapters."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from contracts.chat import ChatReply, ChatRequest, Delta
from contracts.model import Allowance, Prompt, Reply

OnDelta = Callable[[Delta], None]
"""Told each piece as a model writes it; must not block or raise."""

ANEW = Delta()
"""Told instead of a piece: what was told before counts for nothing, the answer is begun anew (by another provider)."""


class Call(Struct, frozen=True):
    """How a model is asked. `on_delta` is told what it writes; `allowance` is what the answer may cost."""

    key: str  # the same with each repeat: a provider that knows it answers once
    on_delta: OnDelta | None = None
    allowance: Allowance | None = None


class ChatModel(Protocol):
    """A language model, or what stands in for one."""

    @property
    def name(self) -> str: ...

    async def complete(self, prompt: Prompt, call: Call) -> Reply:
        """Answer the prompt; `on_delta` is told readable text of the sections while it is written.

        Raises UnavailableError (retry) or OutcomeError (the model answered unusably, or the allowance does not do for an
        answer); what `on_delta` was told before counts for nothing then.
        """
        ...


class ChatCompletions(Protocol):
    """The configured language models, asked by name for a chat as it is."""

    @property
    def models(self) -> tuple[str, ...]:
        """The names that `chat` takes."""
        ...

    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:
        """Answer a chat, tools included; `on_delta` is told each piece as it is written, and the whole is returned.

        Raises UnavailableError (retry) or OutcomeError (no such model, it answered unusably, or the allowance does not do for
        an answer); what `on_delta` was told before counts for nothing then.
        """
        ...
