"""Given, when, then: how the decisions of an actor are tested.

given(conversation, SessionStarted(...)).when(Ask(...)).then(Asked(...))
given(conversation).when(EndSession(by="ann")).rejects("no such session")
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.envelope import Event, Message
from runtime.actor import AnyActor
from runtime.errors import Rejected


@dataclass(frozen=True)
class Given:
    """An actor after some events."""

    actor: AnyActor
    state: Any

    def when(self, *messages: Message) -> "When":
        """Decide the messages one after the other; the last one's outcome is what `then` and `rejects` look at."""
        state, events, rejected = self.state, [], None
        for message in messages:
            try:
                events, rejected = list(self.actor.decide(state, message)), None
            except Rejected as refusal:
                events, rejected = [], refusal
            for event in events:
                state = self.actor.evolve(state, event)
        return When(Given(self.actor, state), events, rejected)


@dataclass(frozen=True)
class When:
    """What the last message led to."""

    after: Given
    events: Sequence[Event]
    rejected: Rejected | None

    def then(self, *events: Event) -> Given:
        """The message was taken and led to exactly these events."""
        if self.rejected is not None:
            raise AssertionError(f"rejected: {self.rejected.reason}")
        if list(self.events) != list(events):
            raise AssertionError(f"expected {list(events)}\n     got {list(self.events)}")
        return self.after

    def rejects(self, part: str) -> Given:
        """The message was refused, and the reason contains `part`."""
        if self.rejected is None:
            raise AssertionError(f"not rejected: {list(self.events)}")
        if part not in self.rejected.reason:
            raise AssertionError(f"rejected with {self.rejected.reason!r}, which does not contain {part!r}")
        return self.after


def given(actor: AnyActor, *events: Event) -> Given:
    """The actor after these events."""
    state = actor.initial
    for event in events:
        state = actor.evolve(state, event)
    return Given(actor, state)
