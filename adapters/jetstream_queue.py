"""Queue on JetStream: durable publishes, feeds of shares, counts of deaths, dead letters."""

import contextlib

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, RefusedError
from adapters.jetstream_commit import Committer, outgoing
from adapters.jetstream_feed import JetStreamFeed, bury
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record
from contracts.kernel import DeadLetter
from runtime.errors import FullError, UnavailableError
from runtime.limits import Limits
from runtime.ports import QueueName

_count = msgspec.json.Decoder(int)
NO_ROOM = 10077  # the stream has its maximum of messages or of bytes
_letters = msgspec.json.Decoder(DeadLetter)


class _Get(Struct):
    seq: int
    batch: int


class _State(Struct):
    first_seq: int = 0
    last_seq: int = 0


class _StreamInfo(Struct):
    state: _State


class JetStreamQueue:
    """A Queue; one of these may serve any number of concurrent callers."""

    def __init__(self, broker: Broker, *, pending_max: int = Limits().pending_max) -> None:
        self._broker = broker
        self._pending_max = pending_max
        self._committers = {domain: Committer(broker) for domain in Domain}

    async def publish(self, subject: str, record: Record) -> None:
        domain = subjects.parse(subject).actor.domain
        try:
            await self._committers[domain].store([outgoing(subject, record)])
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
        await bury(self._broker, letter)

    async def dead_letters(self, *, limit: int = 100) -> list[DeadLetter]:
        """Raises UnavailableError."""
        stream = subjects.DEAD_LETTERS_STREAM
        state = (await self._broker.api(f"STREAM.INFO.{stream}", {}, _StreamInfo)).state
        letters: list[DeadLetter] = []
        end = state.last_seq
        while len(letters) < limit and end >= max(state.first_seq, 1):
            first = max(state.first_seq, end - limit + 1, 1)
            get = msgspec.json.encode(_Get(first, end - first + 1))
            *parts, _ = await self._broker.collect(f"$JS.API.DIRECT.GET.{stream}", get)
            page = [part for part in parts if int((part.headers or {})["Nats-Sequence"]) <= end]
            letters += [_letters.decode(part.data) for part in reversed(page)]
            end = first - 1
        return letters[:limit]
