"""The job that HTTP figures are taken on: a keyed durable actor, one journaled effect and one state change a request.

`POST /v1/bench/counters/{counter}` → Add → AddRequested → reaction: one journaled effect, then tell → Finish → Added → answer.

`python -m bench.counter gateway|sophia|artemis` runs that role as deployed (deploy.roles), but for these actors and this route.
"""

import sys
from typing import assert_never

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.collaboration import collaboration
from actors.requests import HANDLERS
from actors.roster import ACTORS
from contracts.collaboration import Outcome, Request, Requested
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from contracts.subjects import actor_ref
from contracts.users import Role
from deploy.roles import run
from deploy.settings import load
from gateway import routes
from gateway.commands import Incoming
from gateway.execution import Command, Ended
from gateway.rows import Does, Route
from runtime.actor import Actor, Recorded
from runtime.effects import Effects

KIND = "counter"
ASKER = "asker"
PATH = "/v1/bench/counters"
ROLE: Role = "sophia_user"
ECHO = "echo"
"""A request type that the other domain answers without asking a model."""


class Add(Message, frozen=True, kw_only=True, tag="bench.add.v1"):
    amount: int


class Finish(Message, frozen=True, kw_only=True, tag="bench.finish.v1"):
    amount: int
    effect: str


class AddRequested(Event, frozen=True, kw_only=True, tag="bench.add_requested.v1"):
    amount: int


class Added(Event, frozen=True, kw_only=True, tag="bench.added.v1"):
    amount: int
    total: int
    effect: str


class State(Struct, frozen=True):
    total: int = 0


def decide(state: State, message: Add | Finish) -> list[AddRequested | Added]:
    match message:
        case Add():
            return [AddRequested(amount=message.amount)]
        case Finish():
            total = state.total + message.amount
            return [Added(amount=message.amount, total=total, effect=message.effect)]
        case _:
            assert_never(message)


def evolve(state: State, event: AddRequested | Added) -> State:
    return replace(state, total=event.total) if isinstance(event, Added) else state


async def react(recorded: Recorded[AddRequested], effects: Effects) -> None:
    effect = await effects.new_id()
    await effects.tell(Finish(amount=recorded.event.amount, effect=effect))


counter = Actor(KIND, State(), decide, evolve, react)


class AskOther(Message, frozen=True, kw_only=True, tag="bench.ask_other.v1"):
    question: str


class OtherAsked(Event, frozen=True, kw_only=True, tag="bench.other_asked.v1"):
    question: str


class Asking(Struct, frozen=True):
    """Nothing is kept: each question stands for itself."""


def decide_asking(state: Asking, message: AskOther) -> list[OtherAsked]:  # noqa: ARG001 - any state will do
    return [OtherAsked(question=message.question)]


def evolve_asking(state: Asking, event: OtherAsked) -> Asking:  # noqa: ARG001 - the annotation says what is recorded
    return state


async def ask_other(recorded: Recorded[OtherAsked], effects: Effects) -> None:
    await effects.ask(Domain.ARTEMIS, Request(request_type=ECHO, question=recorded.event.question))


asker = Actor(ASKER, Asking(), decide_asking, evolve_asking, ask_other)


async def echo(requested: Requested, _effects: Effects) -> Outcome:
    return Outcome(status="completed", sections={"echo": requested.request.question}, confidence=1.0)


class Amount(Struct, frozen=True, forbid_unknown_fields=True):
    amount: int


class Total(Struct, frozen=True):
    total: int
    effect: str


_added = msgspec.json.Decoder(Added)


async def add(incoming: Incoming[Amount]) -> Command:
    name = incoming.path["counter"]
    return Command(
        actor=actor_ref(Domain.SOPHIA, KIND, name),
        message=Add(amount=incoming.body.amount),
        label=Clearance.PUBLIC,
        status_path=f"{PATH}/{name}",
        projected=False,
    )


async def total(_incoming: Incoming[Amount], _command: Command, ended: Ended) -> Total:
    event = _added.decode(ended.ending.record.body)
    return Total(event.total, event.effect)


ROUTE = Route(
    method="POST",
    path=PATH + "/{counter}",
    summary="Add to a counter",
    action=Does(add, (Added,), total),
    limit="sophia",
    request=Amount,
    reply=Total,
    permissions=("sophia:write",),
)


def main() -> None:
    routes.ROUTES = (*routes.ROUTES, ROUTE)
    ACTORS[Domain.SOPHIA] = (counter, asker, collaboration)
    ACTORS[Domain.ARTEMIS] = (collaboration,)
    HANDLERS[Domain.ARTEMIS, ECHO] = echo
    run(sys.argv[1:], load())


if __name__ == "__main__":
    main()
