"""Signal: one fact from outside; once recorded, the domain's teams can find it."""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from contracts.domains import Domain, Partition
from contracts.facts import SIGNAL, AnyFact, SignalRecorded, StrategicAlert
from contracts.retrieval import Entry
from runtime.actor import Actor, Recorded
from runtime.effects import Effects

EXECUTIVE_ATTENTION_FROM = 8
PARTITIONS: dict[Domain, Partition] = {
    Domain.SOPHIA: "sophia_business",
    Domain.ARTEMIS: "artemis_technical",
    Domain.CEO: "ceo_knowledge",
}


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
    partition = PARTITIONS.get(recorded.actor.domain)
    if partition is None:
        return
    fact = recorded.event.fact
    priority = fact.alert_priority if isinstance(fact, StrategicAlert) else 5
    entry = Entry(
        id=recorded.envelope.id,
        title=fact.title,
        text=fact.text,
        label=recorded.envelope.label,
        priority=priority,
        source=fact.origin,
        tags=(recorded.actor.id,),
    )
    await effects.index(partition, entry)


signal = Actor(SIGNAL, State(), decide, evolve, react)
