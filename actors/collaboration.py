"""Collaboration: one request from another domain; it ends exactly once, with a typed outcome.

Before that it may conclude in part, once, where its handler waits for a third domain.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from actors.requests import HANDLERS, check_context
from contracts.collaboration import (
    COLLABORATION,
    Collaborate,
    Conclude,
    Concluded,
    ConcludedInPart,
    ConcludeInPart,
    Outcome,
    Requested,
)
from contracts.curating import SummaryQuery
from contracts.domains import Domain
from contracts.model import FLOW
from contracts.request_types import request_type
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError, Rejected
from runtime.run import DEADLINE_PASSED


class State(Struct, frozen=True):
    requested: bool = False
    concluded: bool = False
    in_part: bool = False


Recordable = Requested | ConcludedInPart | Concluded


def decide(state: State, message: Collaborate | ConcludeInPart | Conclude) -> list[Recordable]:
    match message:
        case Collaborate():
            return [] if state.requested else [_requested(message)]
        case ConcludeInPart():
            _begun(state)
            return [] if state.in_part or state.concluded else [ConcludedInPart(outcome=message.outcome)]
        case Conclude():
            _begun(state)
            return [] if state.concluded else [Concluded(outcome=message.outcome)]
        case _:
            assert_never(message)


def _begun(state: State) -> None:
    if not state.requested:
        raise Rejected("nothing was requested", "not_found")


def _requested(message: Collaborate) -> Requested:
    return Requested(
        asker=message.asker,
        request=message.request,
        budget=message.budget,
        approval=message.approval,
        partly_to=message.partly_to,
        flow=FLOW,
        grants=message.grants,
        strict=message.asker is Domain.SYSTEM,
    )


def evolve(state: State, event: Recordable) -> State:
    match event:
        case Requested():
            return replace(state, requested=True)
        case ConcludedInPart():
            return replace(state, in_part=True)
        case Concluded():
            return replace(state, concluded=True)
        case _:
            assert_never(event)


async def react(recorded: Recorded[Requested | Concluded], effects: Effects) -> None:
    match recorded.event:
        case Requested():
            outcome = await _handle(recorded, recorded.event, effects)
            await effects.tell(Conclude(outcome=replace(outcome, label=effects.label, usage=effects.spent)))
        case Concluded():
            await effects.reply(recorded.event.outcome)
        case _:
            assert_never(recorded.event)


async def _handle(recorded: Recorded[Requested | Concluded], event: Requested, effects: Effects) -> Outcome:
    request = event.request
    effects.allow(event.budget)
    effects.require(event.approval)
    effects.grant(event.grants)
    handler = HANDLERS.get((recorded.actor.domain, request.request_type))
    if handler is None:
        known = ", ".join(sorted(name for domain, name in HANDLERS if domain == recorded.actor.domain))
        return Outcome(status="unknown_request_type", reason=f"{request.request_type!r} is not one of: {known}")
    if request.deadline is not None and await effects.now() > request.deadline:
        return Outcome(status="expired", reason=f"the deadline {request.deadline} had passed")
    try:
        kind = request_type(recorded.actor.domain, request.request_type)
        if kind is not None and kind.context is not SummaryQuery:  # Its own handler knows what goes without saying.
            check_context(kind, request.context, strict=event.strict)
        return await handler(event, effects)
    except OutcomeError as error:
        return Outcome(status="expired" if str(error) == DEADLINE_PASSED else "failed", reason=str(error))
    except Rejected as refusal:
        return Outcome(status="refused", reason=refusal.reason)


def abandon(recorded: Recorded[Requested | Concluded], reason: str) -> Conclude | None:
    outcome = Outcome(status="failed", reason=reason)
    return Conclude(outcome=outcome) if isinstance(recorded.event, Requested) else None


collaboration = Actor(COLLABORATION, State(), decide, evolve, react, abandon)
