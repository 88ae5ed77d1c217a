"""A chat in the form that models and their clients share: messages, tools, and what a model answers, whole or piece by piece."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from contracts.domains import Clearance
from contracts.model import Usage

MESSAGES_MAX = 1_000
TOOLS_MAX = 128

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class ToolCall(Struct, frozen=True, kw_only=True):
    """A model wants a tool called. `arguments` is the text that the model wrote: JSON, if it kept to the schema."""

    id: str
    name: str
    arguments: str


class ChatMessage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one side said. `tool_call_id`: of the call that a message of role `tool` answers."""

    role: Role
    content: str = ""
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class ToolSpec(Struct, frozen=True, kw_only=True):
    """A tool that the model may call; `parameters` is a JSON Schema, which a model that can shall keep to if it is `strict`."""

    name: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    description: str = ""
    parameters: Raw = field(default_factory=lambda: Raw(b"{}"))
    strict: bool | UnsetType | None = UNSET


class ResponseFormat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """In which form the answer is wanted; `json_schema` is OpenAI's object of that name."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: Raw | UnsetType = UNSET


class ChatRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model is asked. `tool_choice` is `auto`, `none`, `required` or a tool's name. What is None the provider chooses."""

    model: str
    messages: Annotated[tuple[ChatMessage, ...], Meta(min_length=1, max_length=MESSAGES_MAX)]
    tools: Annotated[tuple[ToolSpec, ...], Meta(max_length=TOOLS_MAX)] = ()
    tool_choice: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    tokens_max: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    response_format: ResponseFormat | None = None


class ChatReply(Struct, frozen=True, kw_only=True):
    """What the model answered, why it ended, and which model it really was."""

    message: ChatMessage
    finish_reason: FinishReason
    model: str
    usage: Usage = Usage()


class ToolCallPart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """More of the tool call at `index`: its id and name come once, its arguments piece by piece."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Delta(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The next piece of an answer that is being written: text, or more of a tool call."""

    text: str = ""
    tool_call: ToolCallPart | None = None


class Written(Struct, frozen=True, kw_only=True):
    """Announced while a model writes, kept nowhere; what counts is the answer that is recorded afterwards.

    `run` is the correlation id, `reaction` and `effect` say which model call writes, `attempt` is new each time that call is
    made, and `number` counts its pieces from 0. `label` is that of everything the call was given.
    """

    run: str
    reaction: str
    effect: int
    attempt: str
    number: int
    label: Clearance
    delta: Delta
