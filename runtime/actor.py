"""An actor is three functions and a value: `decide`, `evolve`, `react`, and the state it starts with."""

import types
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from contracts import upcasting
from contracts.catalogue import tag
from contracts.envelope import Envelope, Event, Message
from contracts.stored import StoredDecoder
from contracts.subjects import ActorRef
from runtime.effects import Effects

S = TypeVar("S")
M = TypeVar("M", bound=Message)
E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)


@dataclass(frozen=True)
class Recorded(Generic[E_co]):
    """An event as it stands in its actor's log."""

    actor: ActorRef
    event: E_co
    envelope: Envelope


React = Callable[[Recorded[Any], Effects], Awaitable[None]]
Abandon = Callable[[Recorded[Any], str], Message | None]


@dataclass(frozen=True)
class Actor(Generic[S, M, E]):
    """A kind of actor. What it understands and records follows from the annotations of its functions.

    `decide(state, message)` and `evolve(state, event)` are pure; `decide` refuses with `Rejected`. `react(recorded, effects)`
    is annotated with the events it reacts to, `Recorded[Asked]` or `Recorded[Asked | Ended]`. `abandon(recorded, reason)` is the
    message that tells the actor that its reaction was given up and put into the dead letters; None: nobody waits for it.
    """

    kind: str
    initial: S
    decide: Callable[[S, M], Sequence[E]]
    evolve: Callable[[S, E], S]
    react: React | None = None
    abandon: Abandon | None = None
    messages: tuple[type[Message], ...] = field(init=False)
    events: tuple[type[Event], ...] = field(init=False)
    reacts_to: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        messages = _members(get_type_hints(self.decide)["message"])
        events = _members(get_type_hints(self.evolve)["event"])
        reacts_to: tuple[type, ...] = ()
        if self.react is not None:
            reacts_to = _members(get_args(get_type_hints(self.react)["recorded"])[0])
        object.__setattr__(self, "messages", messages)
        object.__setattr__(self, "events", events)
        object.__setattr__(self, "reacts_to", upcasting.with_old_tags(map(tag, reacts_to)))
        object.__setattr__(self, "_message_decoder", msgspec.json.Decoder(Union[messages]))  # noqa: UP007 - built at run time
        object.__setattr__(self, "_event_decoder", StoredDecoder(Union[events]))  # noqa: UP007 - built at run time

    def decode_message(self, body: bytes) -> M:
        """Raises msgspec.ValidationError or DecodeError for anything this actor does not understand."""
        decoder: msgspec.json.Decoder[M] = self.__dict__["_message_decoder"]
        return decoder.decode(body)

    def decode_event(self, body: bytes) -> E:
        """The event, as today's version of its type. Raises msgspec.ValidationError for anything this actor does not record."""
        decoder: StoredDecoder[E] = self.__dict__["_event_decoder"]
        return decoder.decode(body)


AnyActor = Actor[Any, Any, Any]


def _members(union: Any) -> tuple[type, ...]:
    if get_origin(union) in (Union, types.UnionType):
        return tuple(member for part in get_args(union) for member in _members(part))
    return (union,)
