"""OpenAI's chat completions as bytes: what is sent, and what comes back whole or piece by piece, checked strictly.

What breaks off is no answer and may be asked for again; what is no JSON, no completion or does not come to an end is an
OutcomeError, which holds what it cost as far as that is known.
"""

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from adapters.refusals import said
from contracts.chat import (
    ChatMessage,
    ChatReply,
    ChatRequest,
    Delta,
    FinishReason,
    ResponseFormat,
    ToolCall,
    ToolCallPart,
)
from contracts.model import Usage
from runtime.errors import OutcomeError, UnavailableError
from runtime.model_ports import OnDelta
from runtime.text import clip

LINE_BYTES_MAX = 1 << 20
ANSWER_CHARS_MAX = 1_000_000  # text and arguments of tools together; a model that goes on is stopped
TOOL_CALLS_MAX = 128
MODEL_CHARS_MAX = 200  # of a model's name as its server tells it
BYTES_A_TOKEN = 4  # where the provider does not count, and before it has: a usual mean for English
TOKENS_A_MESSAGE = 4  # role and ends

_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
Count = Annotated[int, Meta(ge=0)]


class _SentFunction(Struct, omit_defaults=True):
    name: str
    description: str = ""
    parameters: Raw = Raw(b"{}")
    arguments: str | None = None
    strict: bool | UnsetType | None = UNSET


class _SentTool(Struct):
    function: _SentFunction
    type: str = "function"


class _SentCall(Struct):
    id: str
    function: _SentFunction
    type: str = "function"


class _SentMessage(Struct, omit_defaults=True):
    role: str
    content: str | None = None
    name: str | None = None
    tool_calls: list[_SentCall] = []
    tool_call_id: str | None = None


class _Choose(Struct):
    function: _SentFunction
    type: str = "function"


class _StreamOptions(Struct):
    include_usage: bool = True


class _Sent(Struct, omit_defaults=True):
    model: str
    messages: list[_SentMessage]
    tools: list[_SentTool] = []
    tool_choice: str | _Choose | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    response_format: ResponseFormat | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _CallPart(Struct):
    index: Annotated[int, Meta(ge=0, lt=TOOL_CALLS_MAX)] | None = None
    id: str | None = None
    function: _Function | None = None


class _Message(Struct):
    """A whole message, or the next piece of one."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_CallPart] | None = None


class _Choice(Struct):
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    index: int = 0


class _Used(Struct):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None


class _Chunk(Struct):
    """A whole completion, or the next piece of one."""

    choices: list[_Choice] | None = None
    model: str | None = None
    usage: _Used | None = None
    error: Raw = Raw()


_chunks = msgspec.json.Decoder(_Chunk)


def body(request: ChatRequest, model: str, tokens_max: int | None, *, older: bool) -> bytes:
    """The request as it is sent, its answer wanted piece by piece. Its bound goes by its `older` name or its newer."""
    return msgspec.json.encode(
        _Sent(
            model=model,
            messages=[_sent(message) for message in request.messages],
            tools=[
                _SentTool(_SentFunction(one.name, one.description, one.parameters, strict=one.strict))
                for one in request.tools
            ],
            tool_choice=_choice(request.tool_choice) if request.tools else None,
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=tokens_max if older else None,
            max_completion_tokens=None if older else tokens_max,
            stop=request.stop,
            seed=request.seed,
            response_format=request.response_format,
            stream=True,
            stream_options=_StreamOptions(),
        )
    )


def _sent(message: ChatMessage) -> _SentMessage:
    calls = [_SentCall(call.id, _SentFunction(call.name, arguments=call.arguments)) for call in message.tool_calls]
    # A message that only calls tools has no content; all others must have one.
    content = None if calls and not message.content else message.content
    return _SentMessage(message.role, content, message.name, calls, message.tool_call_id)


def _choice(wanted: str | None) -> str | _Choose | None:
    return wanted if wanted in (None, "auto", "none", "required") else _Choose(_SentFunction(wanted or ""))


def tokens_of(request: ChatRequest) -> int:
    """About how many tokens a request is: its texts, tools and form, and what models put around each message."""
    texts = [
        *(part for one in request.messages for part in (one.content, one.name or "")),
        *(part for one in request.messages for call in one.tool_calls for part in (call.name, call.arguments)),
        *(part for tool in request.tools for part in (tool.name, tool.description)),
    ]
    size = sum(len(text.encode(errors="replace")) for text in texts)
    size += sum(len(bytes(tool.parameters)) for tool in request.tools)
    if request.response_format is not None and request.response_format.json_schema is not UNSET:
        size += len(bytes(request.response_format.json_schema))
    return _tokens(size) + TOKENS_A_MESSAGE * len(request.messages)


def _tokens(size: int) -> int:
    return -(-size // BYTES_A_TOKEN)


class Answer:
    """A completion that is being read: `take` its pieces, then ask for the `reply`."""

    def __init__(self, provider: str, model: str, asked: int, on_delta: OnDelta | None) -> None:
        self._provider = provider
        self._model = model
        self._asked = asked
        self._on_delta = on_delta
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[int, _Called] = {}
        self._finish: FinishReason | None = None
        self._used: _Used | None = None
        self._chars = 0

    @property
    def begun(self) -> bool:
        return bool(self._chars)

    def take(self, data: bytes) -> None:
        """One piece, or all of it, as JSON. Raises OutcomeError for what is none."""
        try:
            chunk = _chunks.decode(data)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise self.unusable(f"did not answer as the interface says: {error}") from error
        if (failure := bytes(chunk.error)) not in (b"", b"null"):
            raise self.unusable(f"broke off with an error: {said(failure)}")
        self._model = chunk.model or self._model
        self._used = chunk.usage or self._used
        for choice in chunk.choices or ():
            if choice.index == 0:  # One was asked for.
                self._choice(choice)

    def _choice(self, choice: _Choice) -> None:
        message = choice.delta or choice.message
        if message is not None:
            if message.content:
                self._texts.append(message.content)
                self._tell(Delta(text=message.content), len(message.content))
            if message.refusal:
                self._refusals.append(message.refusal)
            for at, part in enumerate(message.tool_calls or ()):
                self._called(at if part.index is None else part.index, part)
        if choice.finish_reason is not None:
            if choice.finish_reason not in _FINISHES:
                raise self.unusable(f"ended with {clip(choice.finish_reason, 60)!r}, which is no reason to end")
            self._finish = _FINISHES[choice.finish_reason]

    def _called(self, index: int, part: _CallPart) -> None:
        call = self._calls.setdefault(index, _Called())
        function = part.function or _Function()
        more = ToolCallPart(
            index=index,
            id=part.id or "" if not call.id else "",
            name=function.name or "" if not call.name else "",
            arguments=function.arguments or "",
        )
        call.id, call.name = call.id or more.id, call.name or more.name
        call.arguments.append(more.arguments)
        if more != ToolCallPart(index=index):
            self._tell(Delta(tool_call=more), len(more.name) + len(more.arguments))

    def _tell(self, delta: Delta, chars: int) -> None:
        self._chars += chars
        if self._chars > ANSWER_CHARS_MAX:
            raise self.unusable(f"wrote more than {ANSWER_CHARS_MAX} characters")
        if self._on_delta is not None:
            self._on_delta(delta)

    def reply(self) -> ChatReply:
        """All of it. Raises UnavailableError when it broke off, OutcomeError when it is empty or makes no sense."""
        if self._finish is None:
            raise UnavailableError(self._provider, "its answer broke off without a reason to end", usage=self.paid)
        text = "".join(self._texts)
        calls = tuple(call.whole(at) for at, call in sorted(self._calls.items()))
        if not all(call.name for call in calls):
            raise self.unusable("called a tool without saying which")
        if not text and not calls:
            raise self.unusable(f"gave no answer: {clip(''.join(self._refusals) or 'empty content', 200)}")
        return ChatReply(
            message=ChatMessage(role="assistant", content=text, tool_calls=calls),
            finish_reason="tool_calls" if calls and self._finish == "stop" else self._finish,
            model=f"{self._provider}/{clip(self._model, MODEL_CHARS_MAX)}",  # Servers may call different models the same.
            usage=self.usage,
        )

    @property
    def usage(self) -> Usage:
        """What the provider counted; what it left out, by its length."""
        read = self._used.prompt_tokens if self._used else None
        written = self._used.completion_tokens if self._used else None
        return Usage(
            self._asked if read is None else read,
            _tokens(self._chars) if written is None else written,
            estimated=read is None or written is None,
        )

    @property
    def paid(self) -> Usage:
        """What was read and written so far, which is paid for even where the answer is of no use."""
        return self.usage if self._used or self._chars else Usage()

    def unusable(self, why: str) -> OutcomeError:
        """The error to raise."""
        return OutcomeError(f"{self._provider} {why}", self.paid)


class _Called(Struct):
    id: str = ""
    name: str = ""
    arguments: list[str] = msgspec.field(default_factory=list)

    def whole(self, index: int) -> ToolCall:
        return ToolCall(id=self.id or f"call_{index}", name=self.name, arguments="".join(self.arguments))


async def events(received: AsyncIterator[bytes], provider: str) -> AsyncIterator[bytes]:
    """The data of a stream of server-sent events, until it ends or says so. Raises OutcomeError for a line without end."""
    held = b""
    async for more in received:
        *lines, held = (held + more).split(b"\n")
        if len(held) > LINE_BYTES_MAX:
            raise OutcomeError(f"{provider} sent a line of more than {LINE_BYTES_MAX} bytes")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                return
            if data and line.startswith(b"data:"):
                yield data
    if held.startswith(b"data:"):
        yield held.removeprefix(b"data:").strip()
