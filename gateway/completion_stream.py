"""An answer in OpenAI's form while it is written: chunks that only continue one another and end as the recorded answer does."""

import contextlib
from collections.abc import AsyncIterator

import msgspec
from falcon.asgi import SSEvent
from msgspec import UNSET

from contracts.chat import Delta, FinishReason, ToolCallPart, Written
from contracts.openai_chat import (
    ChatCompletionChunk,
    ChunkChoice,
    ChunkDelta,
    CompletionUsage,
    FunctionPart,
    Provenance,
    ToolCallChunk,
)
from gateway import openai_errors
from gateway.completions import Completed, Request, completed, completion_id, session_of, usage_of
from gateway.execution import Command, Execution
from gateway.problems import ProblemError, problem_for
from gateway.transcript import Transcript
from runtime.errors import UnavailableError

DONE = SSEvent(data=b"[DONE]")


async def chunks(incoming: Request, command: Command, execution: Execution) -> AsyncIterator[SSEvent]:
    """The first chunk names the run, the last but `[DONE]` says how it ended; an error ends it without `[DONE]`."""
    chat, transcript = _Chat(incoming, command), Transcript()
    try:
        yield chat.begun()
        async with contextlib.aclosing(execution.written()) as items:
            async for item in items:
                if isinstance(item, Written):
                    for delta in transcript.more(item) if item.label <= incoming.principal.clearance else ():
                        yield chat.chunk(_shown(delta))
                    continue
                done = completed(incoming, command.actor, item)
                rest = transcript.rest(done.message)
                if rest is None:
                    raise _superseded(command)
                for delta in rest:
                    yield chat.chunk(_shown(delta))
                for event in chat.ended(done):
                    yield event
    except UnavailableError:
        detail = f"the answer cannot be followed any more, but is worked on; see {command.status_path}"
        yield openai_errors.event(ProblemError(503, "pending", detail))
    except Exception as error:  # noqa: BLE001 - the headers are sent: this is how a stream says what went wrong
        yield openai_errors.event(problem_for(error))


def _superseded(command: Command) -> ProblemError:
    detail = (
        "the model had to be asked again and answered otherwise: what you were sent does not count; "
        f"the recorded answer is at {command.status_path}"
    )
    return ProblemError(409, "superseded", detail)


class _Chat:
    """The chunks of one answer."""

    def __init__(self, incoming: Request, command: Command) -> None:
        options = incoming.body.stream_options
        self._counted = bool(options and options.include_usage)
        self._id = completion_id(incoming.id)
        self._created = int(incoming.services.clock().timestamp())
        self._model = incoming.body.model
        self._provenance = Provenance(run=incoming.id, session=session_of(command))

    def begun(self) -> SSEvent:
        return self.chunk(ChunkDelta(role="assistant", content=""), provenance=self._provenance)

    def chunk(
        self, delta: ChunkDelta, *, finish: FinishReason | None = None, provenance: Provenance | None = None
    ) -> SSEvent:
        return self._event((ChunkChoice(delta=delta, finish_reason=finish),), None, provenance)

    def ended(self, done: Completed) -> list[SSEvent]:
        """How it ended, what was used, if that is wanted, and the mark of the end."""
        finish = self.chunk(ChunkDelta(), finish=done.finish_reason, provenance=done.provenance)
        return [finish, *([self._event((), usage_of(done), None)] if self._counted else []), DONE]

    def _event(
        self, choices: tuple[ChunkChoice, ...], usage: CompletionUsage | None, provenance: Provenance | None
    ) -> SSEvent:
        chunk = ChatCompletionChunk(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=choices,
            usage=usage if self._counted else UNSET,
            diarchy=provenance or UNSET,
        )
        return SSEvent(data=msgspec.json.encode(chunk))


def _shown(delta: Delta) -> ChunkDelta:
    call = delta.tool_call
    return ChunkDelta(content=delta.text or UNSET, tool_calls=UNSET if call is None else (_call(call),))


def _call(part: ToolCallPart) -> ToolCallChunk:
    """With its id a call begins: OpenAI's clients take the type from there, and texts to add to."""
    return ToolCallChunk(
        index=part.index,
        id=part.id or UNSET,
        type="function" if part.id else UNSET,
        function=FunctionPart(
            name=part.name or UNSET, arguments=part.arguments if part.arguments or part.id else UNSET
        ),
    )
