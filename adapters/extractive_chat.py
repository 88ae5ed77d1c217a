"""A chat without a language model: the sentences of what was said before that meet the last question, quoted, nothing invented.

The same messages give the same answer. It says what it is, calls no tool, and answers nothing where nothing meets the question.
"""

from adapters.extractive import NAME, afford, compose
from contracts.chat import ChatMessage, ChatReply, ChatRequest, Delta
from contracts.domains import Clearance
from contracts.model import NOTHING_KNOWN, Evidence, Prompt, Section, Usage
from runtime.errors import OutcomeError
from runtime.model_ports import Call

MODEL = "extractive"
ABOUT = (
    "This answer was put together without a language model: it quotes the messages of this chat that meet the question."
)
NOTHING_MET = "This model only quotes what this chat holds, and nothing in it meets the question."
_ANSWER = Section("answer", "The answer.")


class ExtractiveChat:
    """A ChatCompletions with the one model `extractive`."""

    models = (MODEL,)

    async def chat(self, request: ChatRequest, call: Call) -> ChatReply:
        """The answer. Raises OutcomeError where a tool has to be called, nothing is asked, or the allowance does not do."""
        if request.tools and request.tool_choice not in (None, "auto", "none"):
            raise OutcomeError(f"the model {MODEL!r} calls no tools; ask another one, or leave `tool_choice` out")
        text = answer(request.messages)
        usage = Usage(sum(len(message.content.split()) for message in request.messages), len(text.split()))
        afford(usage, call.allowance)
        if call.on_delta is not None:
            for line in text.splitlines(keepends=True):
                call.on_delta(Delta(text=line))
        return ChatReply(
            message=ChatMessage(role="assistant", content=text),
            finish_reason="stop",
            model=NAME,
            usage=usage,
        )


def answer(messages: tuple[ChatMessage, ...]) -> str:
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
    return NOTHING_MET if text == NOTHING_KNOWN or not found.cited else f"{ABOUT}\n\n{text}"
