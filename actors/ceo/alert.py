"""Alert: something that somebody has to look at; it becomes more urgent until somebody says that he has."""

import hashlib
from datetime import timedelta
from typing import assert_never

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from contracts.alerts import (
    ALERT,
    ESCALATIONS_MAX,
    EXECUTIVE_ATTENTION_FROM,
    PRIORITY_MAX,
    AcknowledgeAlert,
    AlertAcknowledged,
    AlertEscalated,
    AlertRaised,
    AlertResolved,
    EscalateAlert,
    RaiseAlert,
    ResolveAlert,
    patience_s,
)
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import Rejected

Recordable = AlertRaised | AlertAcknowledged | AlertEscalated | AlertResolved


class State(Struct, frozen=True):
    """`times`: how often it was raised; `said`: the SHA-256 of what it says; `within_s`: how long it may wait, if one said so."""

    times: int = 0
    said: str = ""
    priority: int = 0
    step: int = 0
    within_s: int | None = None
    acknowledged: bool = False
    resolved: bool = False

    @property
    def open(self) -> bool:
        return self.times > 0 and not self.acknowledged and not self.resolved


def decide(state: State, message: RaiseAlert | AcknowledgeAlert | EscalateAlert | ResolveAlert) -> list[Recordable]:
    match message:
        case RaiseAlert():
            known = state.times and not state.resolved and state.said == _digest(message)
            return [] if known else [_raised(message, state.times + 1)]
        case AcknowledgeAlert():
            _exists(state)
            return [AlertAcknowledged(by=message.by, note=message.note)] if state.open else []
        case EscalateAlert():
            due = state.open and (message.times, message.step) == (state.times, state.step + 1)
            return [_escalated(state)] if due else []
        case ResolveAlert():
            _exists(state)
            return [] if state.resolved else [AlertResolved(by=message.by, note=message.note)]
        case _:
            assert_never(message)


def _digest(said: RaiseAlert | AlertRaised) -> str:
    whole = (said.title, said.text, said.origin, said.alert_priority, said.category, said.within_s)
    return hashlib.sha256(msgspec.json.encode(whole)).hexdigest()


def _exists(state: State) -> None:
    if not state.times:
        raise Rejected("no such alert", "not_found")


def _raised(message: RaiseAlert, times: int) -> AlertRaised:
    return AlertRaised(
        title=message.title,
        text=message.text,
        origin=message.origin,
        alert_priority=message.alert_priority,
        executive_attention=message.alert_priority >= EXECUTIVE_ATTENTION_FROM,
        times=times,
        within_s=message.within_s,
        category=message.category,
    )


def _escalated(state: State) -> AlertEscalated:
    priority = min(PRIORITY_MAX, state.priority + 1)
    return AlertEscalated(
        times=state.times,
        step=state.step + 1,
        alert_priority=priority,
        executive_attention=priority >= EXECUTIVE_ATTENTION_FROM,
        within_s=state.within_s,
    )


def evolve(state: State, event: Recordable) -> State:
    match event:
        case AlertRaised():
            return State(times=event.times, said=_digest(event), priority=event.alert_priority, within_s=event.within_s)
        case AlertAcknowledged():
            return replace(state, acknowledged=True)
        case AlertEscalated():
            return replace(state, priority=event.alert_priority, step=event.step)
        case AlertResolved():
            return replace(state, resolved=True)
        case _:
            assert_never(event)


async def react(recorded: Recorded[AlertRaised | AlertEscalated], effects: Effects) -> None:
    """See to it that it rises when nobody acknowledges it in time; if somebody does, what the timer sends changes nothing."""
    event = recorded.event
    step = event.step + 1 if isinstance(event, AlertEscalated) else 1
    if step > ESCALATIONS_MAX:
        return
    due = recorded.envelope.time + timedelta(seconds=patience_s(event.alert_priority, event.within_s))
    await effects.schedule(f"escalate-{event.times}-{step}", EscalateAlert(times=event.times, step=step), due)


alert = Actor(ALERT, State(), decide, evolve, react)
