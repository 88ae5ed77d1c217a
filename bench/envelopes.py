"""The envelope of what a benchmark sends."""

from datetime import UTC, datetime

from contracts.catalogue import tag
from contracts.domains import Domain
from contracts.envelope import Envelope, Event, Message
from contracts.ids import new_id


def envelope(kind: type[Message | Event], target: Domain) -> Envelope:
    """The first of a run."""
    identity = new_id()
    return Envelope(
        id=identity,
        type=tag(kind),
        time=datetime.now(UTC),
        correlation=identity,
        principal="bench",
        source=Domain.SYSTEM,
        target=target,
    )
