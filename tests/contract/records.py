"""Records for the contract suites."""

from datetime import UTC, datetime

from contracts import subjects
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Record
from contracts.ids import new_id
from contracts.subjects import ActorRef


def actor(id: str = "", domain: Domain = Domain.SOPHIA) -> ActorRef:  # noqa: A002 - the field's name
    return subjects.actor_ref(domain, "conversation", id or new_id())


def record(body: bytes = b'{"type":"test.v1"}', **changes: str) -> Record:
    envelope = Envelope(
        id=changes.get("id", new_id()),
        type="test.v1",
        time=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        correlation=new_id(),
        principal=changes.get("principal", "Zoë — tester"),
        source=Domain.SOPHIA,
        target=Domain.ARTEMIS,
        clearance=Clearance.RESTRICTED,
        label=Clearance.INTERNAL,
        priority=7,
        response_required=True,
        causation=new_id(),
        deadline=datetime(2026, 2, 3, tzinfo=UTC),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        prev="0" * 64,
        hash="f" * 64,
    )
    return Record(envelope, body)
