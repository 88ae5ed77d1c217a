"""Queue on JetStream: durable publishes, feeds of partitions, counts of deaths."""

import contextlib

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, RefusedError
from adapters.jetstream_commit import Committer, outgoing
from adapters.jetstream_feed import JetStreamFeed
from adapters.jetstream_last import leaders_last, leaders_latest
from adapters.jetstream_letters import JetStreamLetters
from adapters.jetstream_streams import durable
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record
from contracts.kernel import DeadLetter
from contracts.subjects import ActorRef
from runtime.errors import FullError, UnavailableError
from runtime.limits import Limits
from runtime.ports import QueueName

SWEEP_APART = 1_000  # messages between the slowest partition and the quickest: beyond that each is swept by itself

_count = msgspec.json.Decoder(int)
NO_ROOM = 10077  # the stream has its maximum of messages or of bytes


class _State(Struct):
    messages: int = 0
    last_seq: int = 0


class _Info(Struct):
    state: _State


class _Sequence(Struct):
    stream_seq: int = 0


class _Consumer(Struct):
    name: str
    ack_floor: _Sequence  # up to which sequence everything it was to hand out is ended


class _Consumers(Struct):
    consumers: list[_Consumer] = []


class _Purge(Struct, omit_defaults=True):
    seq: int
    filter: str = ""


class _Nothing(Struct):
    """Of the answer only its success counts."""


class JetStreamQueue:
    """A Queue; one of these may serve any number of concurrent callers."""

    def __init__(self, broker: Broker, *, pending_max: int = Limits().pending_max) -> None:
        self._broker = broker
        self._pending_max = pending_max
        self._committers = {domain: Committer(broker) for domain in Domain}

    async def publish(self, subject: str, record: Record, *, attempt: str | None = None) -> None:
        domain = subjects.domain_of(subject)
        try:
            await self._committers[domain].store([outgoing(subject, record, identity=attempt)])
        except RefusedError as error:
            if error.code == NO_ROOM:
                raise FullError(f"inbox of {domain.value}", "too much waits there already") from None
            raise

    async def latest(self, actor: ActorRef) -> Record | None:
        return await leaders_latest(self._broker, subjects.in_stream(actor.domain), subjects.inbox(actor))

    def feed(self, domain: Domain, name: QueueName, partition: int) -> JetStreamFeed:
        return JetStreamFeed(self._broker, domain, name, partition, pending_max=self._pending_max)

    async def sweep(self, domain: Domain) -> None:
        """Not by the stream's own retention: each message that it deletes costs a flush (5,000/s instead of 100,000)."""
        stream = subjects.in_stream(domain)
        state = (await self._broker.api(f"STREAM.INFO.{stream}", {}, _Info)).state
        if not state.messages:
            return
        consumers = (await self._broker.api(f"CONSUMER.LIST.{stream}", {"offset": 0}, _Consumers)).consumers
        floors = {one.name: one.ack_floor.stream_seq for one in consumers}
        ended = []
        for partition in range(subjects.PARTITIONS):
            floor = floors.get(durable(domain, "inbox", partition)[1].name, 0)
            if floor < state.last_seq and await self._last(domain, partition) <= floor:
                floor = state.last_seq
            ended.append(floor)
        await self._purge(stream, _Purge(seq=min(ended) + 1))
        if max(ended) > min(ended) + SWEEP_APART:
            for partition, floor in enumerate(ended):
                await self._purge(stream, _Purge(floor + 1, subjects.partition_filter(domain, "inbox", partition)))

    async def _last(self, domain: Domain, partition: int) -> int:
        """The last sequence of one partition of the inbox; 0 when it is empty."""
        what = subjects.partition_filter(domain, "inbox", partition)
        return await leaders_last(self._broker, subjects.in_stream(domain), what)

    async def _purge(self, stream: str, what: "_Purge") -> None:
        if what.seq > 1:
            await self._broker.api(f"STREAM.PURGE.{stream}", what, _Nothing)

    async def deaths(self, domain: Domain, name: QueueName, sequence: int) -> int:
        get = msgspec.json.encode({"last_by_subj": subjects.attempt(domain, name, sequence)})
        msg = await self._broker.request(f"$JS.API.DIRECT.GET.{subjects.ATTEMPTS_STREAM}", get)
        return _count.decode(msg.data) if msg.data else 0

    async def died(self, domain: Domain, name: QueueName, sequence: int) -> int:
        count = await self.deaths(domain, name, sequence) + 1
        await self._broker.store(subjects.attempt(domain, name, sequence), msgspec.json.encode(count), {})
        return count

    async def survived(self, domain: Domain, name: QueueName, sequence: int) -> None:
        with contextlib.suppress(UnavailableError):
            await self._broker.store(subjects.attempt(domain, name, sequence), b"0", {})

    async def bury(self, letter: DeadLetter) -> None:
        await JetStreamLetters(self._broker).put(letter)
