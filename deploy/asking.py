"""Ask a question over the gateway and follow it to its answer: for `ask` and for the demo."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec
from msgspec import Struct

from contracts.http import AskQuestion, EventView, Pending, Turn
from contracts.ids import new_id
from deploy.client import Gateway, OnWait, Reply, patiently

if TYPE_CHECKING:
    from rich.progress import TaskID

    from deploy.progress import Steps

PATIENCE_S = 60.0
WAIT_S_MAX = 60  # of one request; it is repeated until there is an answer
T = TypeVar("T")
OnProgress = Callable[[EventView], None]
OnPart = Callable[[Turn], None]
OnNote = Callable[[str], None]
OnPending = Callable[[Pending], None]


class Asking(Struct, frozen=True, kw_only=True):
    """One question: where to, and what. The key makes every repeat of it harmless."""

    path: str
    question: AskQuestion
    key: str = msgspec.field(default_factory=new_id)


class Posted(Struct, frozen=True, kw_only=True):
    """A request that is answered by a stream."""

    path: str
    body: Struct
    key: str


class Heard(Struct, Generic[T], frozen=True):
    """Who is told of what comes before the last word."""

    progress: OnProgress
    wait: OnWait
    part: Callable[[T], None]
    note: OnNote


def path_for(domain: str, session: str | None) -> str:
    return f"/v1/sessions/{session}/messages" if session else f"/v1/{domain}/ask"


def noted(steps: "Steps", step: "TaskID") -> OnProgress:
    """Each event is the step's note until the next one; that people are waited for stays to be read."""
    from deploy.rendering import APPROVAL_REQUESTED, progress_line

    def note(view: EventView) -> None:
        if view.type == APPROVAL_REQUESTED:
            steps.say(progress_line(view))
        else:
            steps.note(step, progress_line(view))

    return note


async def streamed(
    gateway: Gateway,
    asking: Asking,
    on_progress: OnProgress,
    on_wait: OnWait,
    on_part: OnPart = lambda _: None,
    on_note: OnNote = lambda _: None,
) -> Turn:
    """The answered turn, with every event on the way told once, and the answer in part if there is one before it is whole.

    `on_note` is told once what the asker had better know. Raises GatewayError, UnreachableError.
    """
    posted = Posted(path=asking.path, body=asking.question, key=asking.key)
    return await followed(gateway, posted, Turn, Heard(on_progress, on_wait, on_part, on_note))


async def followed(gateway: Gateway, posted: Posted, kind: type[T], heard: "Heard[T]") -> T:
    """The last word of what was posted. A broken stream is taken up again, and nothing on the way is told twice.

    Raises GatewayError, UnreachableError.
    """
    seen: set[str] = set()
    told: set[bytes] = set()

    async def once() -> T:
        async for event in gateway.stream(
            "POST", posted.path, body=posted.body, headers={"Idempotency-Key": posted.key}
        ):
            if event.name == "answer":
                return msgspec.json.decode(event.data, type=kind)
            if event.name == "note" and event.data not in told:
                told.add(event.data)
                heard.note(msgspec.json.decode(event.data, type=str))
            if event.name == "partial":
                heard.part(msgspec.json.decode(event.data, type=kind))
            if event.name == "progress":
                view = msgspec.json.decode(event.data, type=EventView)
                if view.id not in seen:
                    seen.add(view.id)
                    heard.progress(view)
        raise gateway.ended("the stream ended before its last word")

    return await patiently(once, patience_s=PATIENCE_S, on_wait=heard.wait)


async def waited(
    gateway: Gateway,
    asking: Asking,
    wait_s: int | None,
    on_wait: OnWait,
    on_pending: OnPending = lambda _: None,
) -> Turn | Pending:
    """The answered turn, or the part that there is; with `wait_s`, Pending when there is none by then.

    `on_pending` is told whenever it is waited for again. Raises GatewayError, UnreachableError.
    """
    loop = asyncio.get_running_loop()
    end = None if wait_s is None else loop.time() + wait_s
    content = msgspec.json.encode(asking.question)
    while True:
        left_s = WAIT_S_MAX if end is None else max(0, round(end - loop.time()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": asking.key,
            "Prefer": f"wait={min(left_s, WAIT_S_MAX)}",
        }

        async def once(headers: dict[str, str] = headers) -> Reply:
            return await gateway.send("POST", asking.path, content=content, headers=headers)

        reply = await patiently(once, patience_s=PATIENCE_S, on_wait=on_wait)
        if reply.status != 202:
            return msgspec.json.decode(reply.body, type=Turn)
        pending = msgspec.json.decode(reply.body, type=Pending)
        if end is not None and left_s <= WAIT_S_MAX:
            return pending
        on_pending(pending)
