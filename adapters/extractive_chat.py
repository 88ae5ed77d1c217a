"""A chat without a language model: the sentences of what was said before that meet the last question, quoted, nothing invented.

The same messages give the same answer. It says what it is, calls no tool, and answers nothing where nothing meets the question.
Words count as tokens. A bound on them, and what it shall stop at, leave whole sentences where one fits, else words; what it says
of itself goes first. JSON stays whole: what is cut is the text in it.
"""

import asyncio
import re

from msgspec import Struct
from msgspec.structs import replace

from adapters.extractive import NAME, afford, compose
from contracts.chat import ChatMessage, ChatReply, ChatRequest, Delta, FinishReason
from contracts.domains import Clearance
from contracts.model import NOTHING_KNOWN, Evidence, Prompt, Section, Usage
from contracts.raw_chat import EXTRACTIVE
from runtime.answer_forms import Form, Known, form_of
from runtime.errors import InvalidError, OutcomeError
from runtime.model_ports import Call

ABOUT = (
    "This answer was put together without a language model: it quotes the messages of this chat that meet the question."
)
NOTHING_MET = "This model only quotes what this chat holds, and nothing in it meets the question."
_ANSWER = Section("answer", "The answer.")
_WORD = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"""[.!?…]["'”’)\]]{0,4}(?: \[\d+\])?(?=\s|$)""")


class ExtractiveChat:
    """A ChatCompletions with the one model `extractive`."""

    models = (EXTRACTIVE,)

    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:
        """The answer. Raises OutcomeError where a tool has to be called, nothing is asked, a form cannot be filled, or the
        allowance does not do."""
        if request.tools and request.tool_choice not in (None, "auto", "none"):
            raise OutcomeError(f"the model {EXTRACTIVE!r} calls no tools; ask another one, or leave `tool_choice` out")
        try:
            form = form_of(request.response_format)
        except InvalidError as error:
            raise OutcomeError(f"{error.field.removeprefix('$.')} {error}") from error
        known = await asyncio.to_thread(answer, request.messages)  # A second of work for the longest chats.
        written = _text(known, request) if form is None else _json(form, known, request)
        usage = Usage(sum(_count(message.content) for message in request.messages), _count(written.text))
        afford(usage, call.allowance)
        if call.on_delta is not None:
            for line in written.text.splitlines(keepends=True):
                call.on_delta(Delta(text=line))
        return ChatReply(
            message=ChatMessage(role="assistant", content=written.text),
            finish_reason=written.finish,
            model=NAME,
            usage=usage,
        )


def answer(messages: tuple[ChatMessage, ...]) -> Known:
    """The whole answer as a function of the messages. Raises OutcomeError where nobody asks anything."""
    asked = next((at for at in reversed(range(len(messages))) if messages[at].role == "user"), None)
    if asked is None:
        raise OutcomeError("the chat holds no message of role `user`: nothing is asked")
    said = (message for at, message in enumerate(messages) if at != asked and message.role != "assistant")
    evidence = tuple(
        Evidence(id=str(at), title=one.role, text=one.content, label=Clearance.PUBLIC, score=0.0)
        for at, one in enumerate(said, start=1)
        if one.content.strip()
    )
    question = messages[asked].content
    found = compose(Prompt(role="the reader", question=question, sections=(_ANSWER,), evidence=evidence))
    text = found.sections[_ANSWER.name]
    if text == NOTHING_KNOWN or not found.cited:
        return Known(answer=NOTHING_MET, confidence=found.confidence, model=NAME)
    quotes = tuple(one.sentence.of(text) for one in found.citations)
    return Known(answer=text, quotes=quotes, confidence=found.confidence, found=True, model=NAME)


class _Written(Struct, frozen=True):
    text: str
    finish: FinishReason = "stop"


def _text(known: Known, request: ChatRequest) -> _Written:
    """The answer behind what it says of itself, as far as that has room and holds nothing to stop at."""
    if known.found:
        whole = f"{ABOUT}\n\n{known.answer}"
        fits = request.tokens_max is None or _count(whole) <= request.tokens_max
        stopped = _stopped(whole, request.stop)
        if fits and len(stopped) > len(whole) - len(known.answer):
            return _Written(stopped)
    return _cut(_stopped(known.answer, request.stop), request.tokens_max)


def _json(form: Form, known: Known, request: ChatRequest) -> _Written:
    """The answer in the form. Of a bound the text gets what the form leaves, then the quotes as many as fit."""
    known = replace(
        known,
        answer=_stopped(known.answer, request.stop),
        quotes=tuple(filter(None, (_stopped(one, request.stop) for one in known.quotes))),
    )
    whole = form.filled(known)
    if request.tokens_max is None or _count(whole) <= request.tokens_max:
        return _Written(whole)
    bare = form.filled(replace(known, answer="", quotes=()))
    text = replace(known, answer=_cut(known.answer, max(1, request.tokens_max - _count(bare))).text, quotes=())
    for quotes in range(len(known.quotes), 0, -1):
        some = form.filled(replace(text, quotes=known.quotes[:quotes]))
        if _count(some) <= request.tokens_max:
            return _Written(some, "length")
    return _Written(form.filled(text), "length")


def _stopped(text: str, stop: tuple[str, ...]) -> str:
    """What stands before the first of these texts."""
    return text[: min((at for one in stop if one and (at := text.find(one)) >= 0), default=len(text))]


def _cut(text: str, words_max: int | None) -> _Written:
    """At most so many words: whole sentences with their marks, or what fits of the first."""
    words = list(_WORD.finditer(text))
    if words_max is None or len(words) <= words_max:
        return _Written(text)
    fits = words[words_max - 1].end()
    ends = [match.end() for match in _SENTENCE_END.finditer(text) if match.end() <= fits]
    return _Written(text[: ends[-1] if ends else fits], "length")


def _count(text: str) -> int:
    return len(text.split())
