"""What a chat in OpenAI's form asks a model, or Sophia or Artemis, for. What we cannot do is refused by its name."""

from collections.abc import Iterable, Mapping

from msgspec import UNSET, Raw

from contracts.chat import ChatMessage, ChatRequest, ToolCall
from contracts.conversation import EXCHANGE_CHARS_MAX, EXCHANGES_MAX, Exchange
from contracts.openai_chat import ChosenTool, Content, CreateChatCompletion, MessageParam
from contracts.raw_chat import EXTRACTIVE
from gateway.problems import ValidationProblemError
from runtime.answer_forms import form_of
from runtime.errors import InvalidError

QUESTION_CHARS_MAX = 8_000
INSTRUCTIONS = "What should you keep in mind?"
"""The question whose answer the system's messages are, in the history of a session."""

_CHOICES = ("auto", "none", "required")
_NO_MEDIA = "only text is taken and given: no images, audio or files"
_OLD = "is out of date: use tools and tool_choice"
_NOT_PASSED_ON = "is not passed on to models; leave it out"
_OWN_WAY = "Sophia and Artemis answer in their own form, with their own tools; leave it out, or ask a configured model"

REFUSED: Mapping[str, tuple[tuple[object, ...], str]] = {
    "n": ((1,), "there is one answer to a request; send several requests"),
    "logprobs": ((False,), _NOT_PASSED_ON),
    "top_logprobs": ((0,), _NOT_PASSED_ON),
    "audio": ((), _NO_MEDIA),
    "modalities": ((("text",),), _NO_MEDIA),
    "prediction": ((), _NOT_PASSED_ON),
    "web_search_options": ((), "models search nothing here; ask sophia or artemis, who search what the company knows"),
    "functions": ((), _OLD),
    "function_call": ((), _OLD),
    "logit_bias": ((), _NOT_PASSED_ON),
    "frequency_penalty": ((0,), _NOT_PASSED_ON),
    "presence_penalty": ((0,), _NOT_PASSED_ON),
    "parallel_tool_calls": ((True,), "models may call several tools at once; leave it out"),
    "reasoning_effort": ((), _NOT_PASSED_ON),
    "verbosity": ((), _NOT_PASSED_ON),
    "service_tier": (("auto", "default"), "there is one tier; leave it out"),
}
"""What changes an answer and that we cannot do: the values that change nothing, and what to do instead."""

REFUSED_BY_AGENTS: Mapping[str, tuple[tuple[object, ...], str]] = {
    "tools": ((), _OWN_WAY),
    "tool_choice": (("none", "auto"), _OWN_WAY),
    "stop": ((), _OWN_WAY),
}


class UnsupportedError(ValidationProblemError):
    """A parameter of OpenAI's API that we do not have, or not with this value."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(field, detail, status=400)
        self.slug = "unsupported-parameter"


def for_model(body: CreateChatCompletion) -> ChatRequest:
    """The chat as the model of that name is asked it. Raises ValidationProblemError."""
    _refuse(body, REFUSED)
    names = {tool.function.name for tool in body.tools or ()}
    for number, tool in enumerate(body.tools or ()):
        if not bytes(tool.function.parameters).startswith(b"{"):
            raise ValidationProblemError(f"$.tools[{number}].function.parameters", "must be a JSON Schema", status=400)
    choice = body.tool_choice.function.name if isinstance(body.tool_choice, ChosenTool) else body.tool_choice
    if isinstance(body.tool_choice, ChosenTool) and (choice not in names or choice in _CHOICES):
        raise ValidationProblemError("$.tool_choice", f"{choice} is none of the tools", status=400)
    if choice == "required" and not names:
        raise ValidationProblemError("$.tool_choice", "is required, but there are no tools", status=400)
    if body.response_format is not None and body.response_format.type == "json_schema":
        given = body.response_format.json_schema
        if given is UNSET or not bytes(given).startswith(b"{"):
            raise ValidationProblemError(
                "$.response_format.json_schema", "must be an object with the schema", status=400
            )
    if body.model == EXTRACTIVE:
        _refuse_quoting(body, choice)
    return ChatRequest(
        model=body.model,
        messages=_messages(body),
        tools=tuple(tool.function for tool in body.tools or ()),
        tool_choice=choice,
        temperature=body.temperature,
        top_p=body.top_p,
        tokens_max=body.max_completion_tokens or body.max_tokens,
        stop=(body.stop,) if isinstance(body.stop, str) else body.stop or (),
        seed=body.seed,
        response_format=body.response_format,
    )


def _messages(body: CreateChatCompletion) -> tuple[ChatMessage, ...]:
    """All of them. Raises ValidationProblemError, also for a tool's result that nobody asked for: every provider refuses it."""
    found: list[ChatMessage] = []
    called: set[str | None] = set()
    for number, given in enumerate(body.messages):
        message = _message(f"$.messages[{number}]", given)
        called |= {call.id for call in message.tool_calls}
        if message.role == "tool" and message.tool_call_id not in called:
            detail = "answers no call: an assistant message with this id in its tool_calls must stand before it"
            raise ValidationProblemError(f"$.messages[{number}].tool_call_id", detail, status=400)
        found.append(message)
    return tuple(found)


def _refuse_quoting(body: CreateChatCompletion, choice: str | None) -> None:
    """What a model that only quotes cannot do, known before it is asked."""
    if choice not in (None, "auto", "none"):
        remedy = "leave it out (or auto, or none), or ask a configured language model"
        raise UnsupportedError("$.tool_choice", f"the model {EXTRACTIVE!r} calls no tools: {remedy}")
    if not any(message.role == "user" for message in body.messages):
        raise ValidationProblemError("$.messages", "there is no user message to be answered", status=400)
    try:
        form_of(body.response_format)
    except InvalidError as error:
        raise UnsupportedError(error.field, str(error)) from error


def for_agent(body: CreateChatCompletion) -> tuple[str, tuple[Exchange, ...]]:
    """The question, which is the last user message, and what was said before it. Raises ValidationProblemError."""
    _refuse(body, REFUSED)
    _refuse(body, REFUSED_BY_AGENTS)
    if body.response_format is not None and body.response_format.type != "text":
        raise UnsupportedError("$.response_format", _OWN_WAY)
    messages = [_message(f"$.messages[{number}]", one) for number, one in enumerate(body.messages)]
    for number, message in enumerate(messages):
        if message.role == "tool" or message.tool_calls:
            raise UnsupportedError(f"$.messages[{number}]", _OWN_WAY)
    asked = [number for number, message in enumerate(messages) if message.role == "user"]
    if not asked:
        raise ValidationProblemError("$.messages", "there is no user message to be answered", status=400)
    last = asked[-1]
    if any(message.role == "assistant" for message in messages[last:]):
        raise ValidationProblemError(
            "$.messages", "the last message must be the user's: it is what is answered", status=400
        )
    question = messages[last].content
    if not question.strip() or len(question) > QUESTION_CHARS_MAX:
        detail = f"a question has 1 to {QUESTION_CHARS_MAX} characters, and not of space alone"
        raise ValidationProblemError(f"$.messages[{last}].content", detail, status=400)
    return question, history_of([*messages[:last], *messages[last + 1 :]])


def history_of(messages: Iterable[ChatMessage]) -> tuple[Exchange, ...]:
    """What a session remembers of what was said: the system's instructions, then the last exchanges, each cut."""
    instructions: list[str] = []
    exchanges: list[Exchange] = []
    question: str | None = None
    for message in messages:
        match message.role:
            case "system":
                instructions.append(message.content)
            case "user":
                if question is not None:
                    exchanges.append(_exchange(question, ""))
                question = message.content
            case _:
                exchanges.append(_exchange(question or "", message.content))
                question = None
    if question is not None:
        exchanges.append(_exchange(question, ""))
    kept = [_exchange(INSTRUCTIONS, "\n".join(instructions))] if instructions else []
    return (*kept, *exchanges[-(EXCHANGES_MAX - len(kept)) :])


def _exchange(question: str, answer: str) -> Exchange:
    return Exchange(question[:EXCHANGE_CHARS_MAX], answer[:EXCHANGE_CHARS_MAX])


def _refuse(body: CreateChatCompletion, refused: Mapping[str, tuple[tuple[object, ...], str]]) -> None:
    for name, (harmless, instead) in refused.items():
        value = getattr(body, name)
        if _given(value) and value not in harmless:
            raise UnsupportedError(f"$.{name}", instead)


def _given(value: object) -> bool:
    if isinstance(value, Raw):
        return bytes(value) not in (b"", b"null")
    return value not in (None, UNSET, (), {})


def _message(path: str, given: MessageParam) -> ChatMessage:
    if _given(given.audio):
        raise UnsupportedError(f"{path}.audio", _NO_MEDIA)
    if _given(given.function_call):
        raise UnsupportedError(f"{path}.function_call", _OLD)
    calls = given.tool_calls or ()
    if calls and given.role != "assistant":
        raise ValidationProblemError(f"{path}.tool_calls", "only an assistant calls tools", status=400)
    if (given.tool_call_id is None) is (given.role == "tool"):
        raise ValidationProblemError(f"{path}.tool_call_id", "goes with the role tool, and only with it", status=400)
    if given.content is None and not calls and not given.refusal:
        raise ValidationProblemError(f"{path}.content", "is missing", status=400)
    return ChatMessage(
        role="system" if given.role == "developer" else given.role,
        content=_text(f"{path}.content", given.content) or given.refusal or "",
        name=given.name,
        tool_calls=tuple(
            ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments) for call in calls
        ),
        tool_call_id=given.tool_call_id,
    )


def _text(path: str, content: Content | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    for number, part in enumerate(content):
        if part.type != "text":
            raise UnsupportedError(f"{path}[{number}].type", f"is {part.type}: {_NO_MEDIA}")
    return "\n".join(part.text for part in content)
