"""The actors of the simulated domains: small, but between them they use all of the kernel.

Nothing in their decisions hides a mistake of the kernel: a ledger takes the same entry twice if it is handed it twice.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal, assert_never

from msgspec import Struct
from msgspec.structs import replace

from actors.collaboration import collaboration
from actors.requests import HANDLERS
from contracts.collaboration import Outcome, Request, Requested
from contracts.domains import Domain
from contracts.envelope import Event, Message
from contracts.model import Prompt, Section
from contracts.subjects import ActorRef
from runtime.actor import Actor, AnyActor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError, Rejected

Todo = Literal["", "chat", "several", "both", "unusable", "ask", "relay", "sleep", "bug"]
POISON = 13
"""A size that no ledger can decide on."""


class Put(Message, frozen=True, kw_only=True, tag="ledger.put.v1"):
    """From a sender, its numbers counting up: `size` entries, the first of them with something to do."""

    sender: str
    number: int
    size: int
    todo: Todo


class Settle(Message, frozen=True, kw_only=True, tag="ledger.settle.v1"):
    """What the reaction to an entry (an event id) came to."""

    entry: str
    results: tuple[str, ...]


class Entered(Event, frozen=True, kw_only=True, tag="ledger.entered.v1"):
    sender: str
    number: int
    part: int
    todo: Todo


class Settled(Event, frozen=True, kw_only=True, tag="ledger.settled.v1"):
    entry: str
    results: tuple[str, ...]


class Book(Struct, frozen=True):
    entries: int = 0
    settled: tuple[str, ...] = ()


def decide(_state: Book, message: Put | Settle) -> list[Entered | Settled]:
    match message:
        case Put():
            if message.size < 0:
                raise Rejected("sizes are not negative", "limit")
            if message.size == POISON:
                raise RuntimeError("a bug")
            return [
                Entered(sender=message.sender, number=message.number, part=part, todo="" if part else message.todo)
                for part in range(message.size)
            ]
        case Settle():
            return [Settled(entry=message.entry, results=message.results)]
        case _:
            assert_never(message)


def evolve(state: Book, event: Entered | Settled) -> Book:
    match event:
        case Entered():
            return replace(state, entries=state.entries + 1)
        case Settled():
            return replace(state, settled=(*state.settled, event.entry))
        case _:
            assert_never(event)


async def react(recorded: Recorded[Entered], effects: Effects) -> None:
    if recorded.event.todo == "relay":
        message = Relay(source=recorded.actor.id, entry=recorded.envelope.id)
        return await effects.tell(message, sink_of(recorded.actor))
    if recorded.event.todo:
        results = await _results(recorded.event, effects)
        await effects.tell(Settle(entry=recorded.envelope.id, results=results))
    return None


async def _results(event: Entered, effects: Effects) -> tuple[str, ...]:
    match event.todo:
        case "chat":
            return (await _said(event, effects),)
        case "several":
            first = await _said(event, effects)
            moment = await effects.now()
            return first, moment.isoformat(), await effects.new_id(), await _said(event, effects)
        case "both":
            return tuple(await asyncio.gather(_said(event, effects), _said(event, effects)))
        case "unusable":
            try:
                return (await _said(event, effects),)
            except OutcomeError as error:
                return (str(error),)
        case "ask":
            outcome = await effects.ask(Domain.ARTEMIS, Request(request_type=REQUEST_TYPE, question=str(event.number)))
            return outcome.status, *outcome.sections.values()
        case "sleep":
            await effects.sleep(timedelta(seconds=0.2 + event.number % 4))
            return ("slept",)
        case "bug":
            raise RuntimeError("a bug")
        case _:
            return ()


async def _said(event: Entered, effects: Effects) -> str:
    prompt = Prompt(role=event.todo, question=str(event.number), sections=(Section("answer", "any"),))
    return (await effects.chat(prompt)).sections["answer"]


def abandon(recorded: Recorded[Entered], reason: str) -> Settle | None:  # noqa: ARG001 - the form of all
    return Settle(entry=recorded.envelope.id, results=("abandoned",)) if recorded.event.todo != "relay" else None


class Relay(Message, frozen=True, kw_only=True, tag="sink.relay.v1"):
    source: str
    entry: str


class Received(Event, frozen=True, kw_only=True, tag="sink.received.v1"):
    source: str
    entry: str


class Sum(Struct, frozen=True):
    count: int = 0


def decide_sink(_state: Sum, message: Relay) -> list[Received]:
    return [Received(source=message.source, entry=message.entry)]


def evolve_sink(state: Sum, event: Received) -> Sum:  # noqa: ARG001 - the form of all
    return Sum(state.count + 1)


def sink_of(ledger: ActorRef) -> ActorRef:
    """Where a ledger's entries are relayed to: half of them to another domain."""
    number = int(ledger.id.removeprefix("l"))
    return ActorRef((Domain.SOPHIA, Domain.ARTEMIS)[number % 2], "sink", f"s{number // 4}")


ledger = Actor("ledger", Book(), decide, evolve, react, abandon)
sink = Actor("sink", Sum(), decide_sink, evolve_sink)
ACTORS: dict[Domain, tuple[AnyActor, ...]] = {Domain.SOPHIA: (ledger, sink), Domain.ARTEMIS: (collaboration, sink)}
REQUEST_TYPE = "simulated"


async def _answer(requested: Requested, effects: Effects) -> Outcome:
    question = requested.request.question
    reply = await effects.chat(Prompt(role="ask", question=question, sections=(Section("answer", "any"),)))
    return Outcome(status="completed", sections=reply.sections, confidence=1.0, model=reply.model)


@contextmanager
def answering() -> Iterator[None]:
    """Meanwhile Artemis takes the simulation's requests."""
    HANDLERS[Domain.ARTEMIS, REQUEST_TYPE] = _answer
    try:
        yield
    finally:
        del HANDLERS[Domain.ARTEMIS, REQUEST_TYPE]
