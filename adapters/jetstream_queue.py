"""Queue on JetStream: durable publishes, feeds of shares, counts of deaths."""

import contextlib

import msgspec

from adapters.jetstream import Broker, RefusedError
from adapters.jetstream_commit import Committer, outgoing
from adapters.jetstream_feed import JetStreamFeed
from adapters.jetstream_letters import JetStreamLetters
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record
from contracts.kernel import DeadLetter
from runtime.errors import FullError, UnavailableError
from runtime.limits import Limits
from runtime.ports import QueueName

_count = msgspec.json.Decoder(int)
NO_ROOM = 10077  # the stream has its maximum of messages or of bytes


class JetStreamQueue:
    """A Queue; one of these may serve any number of concurrent callers."""

    def __init__(self, broker: Broker, *, pending_max: int = Limits().pending_max) -> None:
        self._broker = broker
        self._pending_max = pending_max
        self._committers = {domain: Committer(broker) for domain in Domain}

    async def publish(self, subject: str, record: Record, *, attempt: str | None = None) -> None:
        domain = subjects.parse(subject).actor.domain
        try:
            await self._committers[domain].store([outgoing(subject, record, identity=attempt)])
        except RefusedError as error:
            if error.code == NO_ROOM:
                raise FullError(f"inbox of {domain.value}", "too much waits there already") from None
            raise

    def feed(self, domain: Domain, name: QueueName, share: int) -> JetStreamFeed:
        return JetStreamFeed(self._broker, domain, name, share, pending_max=self._pending_max)

    async def died(self, domain: Domain, name: QueueName, sequence: int) -> int:
        subject = subjects.attempt(domain, name, sequence)
        get = msgspec.json.encode({"last_by_subj": subject})
        msg = await self._broker.request(f"$JS.API.DIRECT.GET.{subjects.ATTEMPTS_STREAM}", get)
        count = (_count.decode(msg.data) if msg.data else 0) + 1
        await self._broker.store(subject, msgspec.json.encode(count), {})
        return count

    async def survived(self, domain: Domain, name: QueueName, sequence: int) -> None:
        with contextlib.suppress(UnavailableError):
            await self._broker.store(subjects.attempt(domain, name, sequence), b"0", {})

    async def bury(self, letter: DeadLetter) -> None:
        await JetStreamLetters(self._broker).put(letter)
