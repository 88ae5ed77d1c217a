"""Whether a reaction used what its journal holds, and its journal holds what the outside really answered."""

from collections.abc import Iterator
from typing import Any

import msgspec

from contracts import subjects
from contracts.collaboration import COLLABORATION
from contracts.domains import Domain
from contracts.ids import derived_id
from contracts.subjects import ActorRef
from tests.simulation.actors import Entered, Settled
from tests.simulation.world import World


def effects_of(world: World, ref: ActorRef, entry: str, entered: Entered, settled: Settled) -> Iterator[str]:
    """The findings of one settled entry."""
    subject = subjects.run(ref, entry)
    entries = [msgspec.json.decode(one.record.body) for one in world.server.read(subject, 0)]
    numbers = sorted(one["effect"] for one in entries)
    if numbers != list(range(len(numbers))):
        yield f"{ref}: the journal of {entry} holds the effects {numbers}"
        return
    journal = sorted(entries, key=lambda one: one["effect"])
    answers = {call.answer: call.key for call in world.calls}
    for one in journal:
        if one["name"] == "chat":
            answer = one.get("error") or one["result"]["sections"]["answer"]
            if answers.get(answer) != f"{entry}:{one['effect']}":
                yield f"{ref}: effect {one['effect']} of {entry} is {answer!r}, which nobody answered to it"
    expected = _expected(entered, journal)
    if settled.results != expected:
        yield f"{ref}: entry {entry} was settled with {settled.results}, its journal holds {expected}"
    if entered.todo == "ask":
        yield from _outcome_of(world, ref, entry, settled)


def _expected(entered: Entered, journal: list[dict[str, Any]]) -> tuple[str, ...]:
    match entered.todo:
        case "bug":
            return ("abandoned",)
        case "sleep":
            return ("slept",) if len(journal) == 2 else (f"{len(journal)} effects",)
        case "ask":
            outcome: dict[str, Any] = journal[0]["result"] if journal else {"status": "nothing"}
            return outcome["status"], *outcome.get("sections", {}).values()
        case "unusable":
            return tuple(one["error"] for one in journal)
        case _:
            return tuple(_result(one) for one in journal)


def _result(one: dict[str, Any]) -> str:
    if one["name"] == "chat":
        return str(one["result"]["sections"]["answer"])
    return str(one["result"]).replace("Z", "+00:00")


def _outcome_of(world: World, ref: ActorRef, entry: str, settled: Settled) -> Iterator[str]:
    """The other domain concluded once, and that is what was used."""
    asked = ActorRef(Domain.ARTEMIS, COLLABORATION, derived_id(entry, "ask", 0))
    concluded = [
        msgspec.json.decode(one.record.body)["outcome"]
        for one in world.server.read(subjects.log(asked), 0)
        if one.record.envelope.type == "collaboration.concluded.v1"
    ]
    if len(concluded) != 1:
        yield f"{asked} concluded {len(concluded)} times"
    elif settled.results != (concluded[0]["status"], *concluded[0].get("sections", {}).values()):
        yield f"{ref}: entry {entry} was settled with {settled.results}, and {asked} concluded {concluded[0]}"
