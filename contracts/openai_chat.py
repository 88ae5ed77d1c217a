"""Chats and models in the shapes of OpenAI's API, as we take and answer them; what is ours stands under `diarchy`.

What a request may hold that we cannot do has a field here, too, so that it is refused by its name (`gateway/chat_requests.py`).
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from contracts.chat import MESSAGES_MAX, TOOLS_MAX, FinishReason, ResponseFormat, ToolSpec
from contracts.conversation import Contribution, Team
from contracts.domains import Clearance, Partition
from contracts.http import Body
from contracts.model import BudgetSpent, Citation

PARTS_MAX = 256
STOPS_MAX = 4
METADATA_MAX = 16

ModelName = Annotated[str, Meta(min_length=1, max_length=200)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Tokens = Annotated[int, Meta(ge=1, le=10_000_000)]
Hint = Annotated[str, Meta(max_length=512)]


class ContentPart(Struct, frozen=True, kw_only=True):
    """A part of a message. Only `text` is read, each beginning a line; images, audio and files are refused."""

    type: Annotated[str, Meta(max_length=64)]
    text: str = ""


Content = str | Annotated[tuple[ContentPart, ...], Meta(max_length=PARTS_MAX)]


class FunctionCall(Struct, frozen=True, kw_only=True):
    name: str
    arguments: str


class ToolCallBody(Struct, frozen=True, kw_only=True):
    """A call that a model wants made."""

    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class MessageParam(Body, frozen=True, kw_only=True):
    """What was said. What the answer of a model holds beside content and calls is taken and left out, if it is empty."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: Annotated[str, Meta(max_length=64)] | None = None
    tool_calls: Annotated[tuple[ToolCallBody, ...], Meta(max_length=TOOLS_MAX)] | None = None
    tool_call_id: Annotated[str, Meta(max_length=200)] | None = None
    refusal: str | None = None
    annotations: tuple[Raw, ...] | None = None
    audio: Raw | UnsetType = UNSET
    function_call: Raw | UnsetType = UNSET


class ToolParam(Struct, frozen=True, kw_only=True):
    function: ToolSpec
    type: Literal["function"] = "function"


class ChosenFunction(Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]


class ChosenTool(Struct, frozen=True, kw_only=True):
    function: ChosenFunction
    type: Literal["function"] = "function"


class StreamOptions(Struct, frozen=True, kw_only=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class CreateChatCompletion(Body, frozen=True, kw_only=True):
    """`model` is `sophia`, `artemis` or a configured model. `metadata.session` continues a session of Sophia's or Artemis's,
    `metadata.confidentiality` says how confidential what you write is (at most, and by default, your clearance),
    `metadata.tokens_max` and `metadata.cost_max` what the run may spend on models."""

    model: ModelName
    messages: Annotated[tuple[MessageParam, ...], Meta(min_length=1, max_length=MESSAGES_MAX)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: Annotated[tuple[ToolParam, ...], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: Literal["auto", "none", "required"] | ChosenTool | None = None
    response_format: ResponseFormat | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    stop: str | Annotated[tuple[str, ...], Meta(max_length=STOPS_MAX)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    metadata: Annotated[dict[str, Hint], Meta(max_length=METADATA_MAX)] | None = None
    user: Hint | None = None
    store: bool | None = None
    safety_identifier: Hint | None = None
    prompt_cache_key: Hint | None = None
    prompt_cache_retention: Hint | None = None
    n: int | None = None
    parallel_tool_calls: bool | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    service_tier: Hint | None = None
    modalities: tuple[Hint, ...] | None = None
    audio: Raw | UnsetType = UNSET
    prediction: Raw | UnsetType = UNSET
    reasoning_effort: Hint | None = None
    verbosity: Hint | None = None
    web_search_options: Raw | UnsetType = UNSET
    functions: Raw | UnsetType = UNSET
    function_call: Raw | UnsetType = UNSET


class Source(Struct, frozen=True, kw_only=True):
    """One thing an answer rests on."""

    id: str
    title: str
    label: Clearance
    score: float
    source: str = ""
    partition: Partition | None = None


class Provenance(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What OpenAI's API has no place for. `run` is the correlation id; `model` the one that really wrote: the configured
    provider, and behind a slash what its server calls the model.

    Of Sophia and Artemis also the session, how sure they are (0 to 1), what the answer rests on (a mark such as `[1]` means the
    first of `evidence`), which sentence rests on what, and who contributed. `budget` where there is one.
    """

    run: str
    session: str | None = None
    label: Clearance | None = None
    model: str = ""
    team: Team | None = None
    confidence: float | None = None
    evidence: tuple[Source, ...] = ()
    citations: tuple[Citation, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    budget: BudgetSpent | None = None


class CompletionUsage(Struct, frozen=True, kw_only=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ReplyMessage(Struct, frozen=True, kw_only=True):
    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: tuple[ToolCallBody, ...] | UnsetType = UNSET


class Choice(Struct, frozen=True, kw_only=True):
    message: ReplyMessage
    finish_reason: FinishReason
    index: int = 0
    logprobs: None = None


class ChatCompletion(Struct, frozen=True, kw_only=True):
    """The answer to a chat; `created` in Unix seconds."""

    id: str
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: CompletionUsage | UnsetType = UNSET
    object: Literal["chat.completion"] = "chat.completion"
    diarchy: Provenance


class FunctionPart(Struct, frozen=True, kw_only=True):
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class ToolCallChunk(Struct, frozen=True, kw_only=True):
    index: int
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET
    function: FunctionPart


class ChunkDelta(Struct, frozen=True, kw_only=True):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    tool_calls: tuple[ToolCallChunk, ...] | UnsetType = UNSET


class ChunkChoice(Struct, frozen=True, kw_only=True):
    delta: ChunkDelta
    finish_reason: FinishReason | None = None
    index: int = 0


class ChatCompletionChunk(Struct, frozen=True, kw_only=True):
    """A piece of an answer. `diarchy` is in the first one (run and session) and in the one with the finish reason."""

    id: str
    created: int
    model: str
    choices: tuple[ChunkChoice, ...]
    usage: CompletionUsage | UnsetType | None = UNSET
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    diarchy: Provenance | UnsetType = UNSET


class Model(Struct, frozen=True, kw_only=True):
    """`created` is 0: models are configured, not made. `kind` says at which endpoint it is used.

    Of what chats `owned_by` names the providers that may answer, and `models` what they serve.
    """

    id: str
    owned_by: str
    kind: Literal["agent", "chat", "embedding"]
    models: tuple[str, ...] | UnsetType = UNSET
    created: int = 0
    object: Literal["model"] = "model"


class Models(Struct, frozen=True, kw_only=True):
    data: tuple[Model, ...]
    object: Literal["list"] = "list"
