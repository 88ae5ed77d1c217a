"""What is known of a fact that a program outside published: its place in the stream, and the publisher's own message id."""

from datetime import datetime
from typing import Protocol

from contracts.business import BusinessFact
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Message
from contracts.facts import Fact
from contracts.ids import keyed_id, timed_id
from runtime.errors import MalformedError

MESSAGE_ID_HEADER = "Nats-Msg-Id"
PUBLISHER = "publisher"
"""The principal of facts that programs outside publish."""


class Published(Protocol):
    """A message as its stream has it."""

    @property
    def subject(self) -> str: ...

    @property
    def sequence(self) -> int: ...

    @property
    def time_ns(self) -> int: ...

    @property
    def headers(self) -> dict[str, str]: ...


def outside_id(published: Published) -> str:
    """Its id: of the publisher's message id if he gave one, else of when and where it was stored."""
    given = published.headers.get(MESSAGE_ID_HEADER)
    subject = published.subject
    return keyed_id(subject, given) if given else timed_id(published.time_ns, subject, published.sequence)


def outside_envelope(published: Published, message: Message, target: Domain) -> Envelope:
    """Its envelope; its headers are not trusted, but for the message id. Raises MalformedError for what is no fact."""
    if not isinstance(message, Fact | BusinessFact):
        raise MalformedError(f"{tag(type(message))} is not taken from outside")
    label = message.confidentiality or Clearance.INTERNAL
    identity = outside_id(published)
    return Envelope(
        id=identity,
        type=tag(type(message)),
        time=datetime.fromtimestamp(published.time_ns / 1e9).astimezone(),
        correlation=identity,
        principal=PUBLISHER,
        clearance=label,
        label=label,
        source=Domain.SYSTEM,
        target=target,
    )
