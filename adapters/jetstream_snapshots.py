"""Snapshots on a JetStream stream: one message an actor, the last one stored."""

from adapters.jetstream import Broker
from contracts import subjects
from contracts.subjects import ActorRef
from runtime.errors import UnavailableError


class JetStreamSnapshots:
    """A Snapshots cache."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def save(self, actor: ActorRef, snapshot: bytes) -> None:
        await self._broker.store(subjects.snapshot(actor), snapshot, {})

    async def load(self, actor: ActorRef) -> bytes | None:
        subject = subjects.snapshot(actor)
        msg = await self._broker.request(f"$JS.API.DIRECT.GET.{subjects.snapshot_stream(actor.domain)}.{subject}")
        headers = msg.headers or {}
        if (status := headers.get("Status")) is None:
            return msg.data
        if status == "404":
            return None
        raise UnavailableError("broker", f"reading {subject}: {status} {headers.get('Description', '')}")
