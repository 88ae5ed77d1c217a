"""Signal: one fact from outside; once recorded, the domain's teams can find it.

A strategic alert goes on from the CEO's domain to those that its category concerns, and waits for somebody who acknowledges it.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from actors.findable import make_findable
from actors.subscriptions import told_of_alert
from contracts.alerts import ALERT, EXECUTIVE_ATTENTION_FROM, RaiseAlert, alert_id
from contracts.facts import FACT_DOMAINS, SIGNAL, AnyFact, SignalRecorded, StrategicAlert
from contracts.subjects import ActorRef
from runtime.actor import Actor, Recorded
from runtime.effects import Effects


class State(Struct, frozen=True):
    last: AnyFact | None = None


def decide(state: State, message: AnyFact) -> list[SignalRecorded]:
    if message == state.last:
        return []
    attention = isinstance(message, StrategicAlert) and message.alert_priority >= EXECUTIVE_ATTENTION_FROM
    return [SignalRecorded(fact=message, executive_attention=attention)]


def evolve(state: State, event: SignalRecorded) -> State:
    match event:
        case SignalRecorded():
            return replace(state, last=event.fact)
        case _:
            assert_never(event)


async def react(recorded: Recorded[SignalRecorded], effects: Effects) -> None:
    await make_findable(recorded, effects)
    fact, actor = recorded.event.fact, recorded.actor
    if isinstance(fact, StrategicAlert) and actor.domain is FACT_DOMAINS[StrategicAlert]:
        for domain in sorted(told_of_alert(recorded.envelope.label, fact.category)):
            await effects.tell(fact, to=ActorRef(domain, SIGNAL, actor.id))
        await effects.tell(_alert(fact), to=ActorRef(actor.domain, ALERT, alert_id(actor.id, recorded.envelope.label)))


def _alert(fact: StrategicAlert) -> RaiseAlert:
    return RaiseAlert(
        title=fact.title,
        text=fact.text,
        origin=fact.origin,
        alert_priority=fact.alert_priority,
        category=fact.category,
        within_s=fact.acknowledge_within_s,
    )


signal = Actor(SIGNAL, State(), decide, evolve, react)
