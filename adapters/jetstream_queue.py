"""Queue on JetStream: durable publishes, competing pull consumers, dead letters."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, Msg, RefusedError
from adapters.jetstream_commit import Committer, outgoing
from adapters.jetstream_pull import REOPEN_S_MAX, REOPEN_S_MIN, ConsumerLostError, Puller, place
from adapters.jetstream_streams import SECOND_NS, durable
from adapters.jetstream_timers import fired_id
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record
from contracts.kernel import DeadLetter
from runtime.errors import FullError, UnavailableError
from runtime.limits import Limits
from runtime.ports import QueueName

BUFFER_MAX = 256  # messages of one `consume` fetched ahead of who handles them
TERM_REASON_CHARS_MAX = 200
INHERITED_LOOK_S = 0.2
NO_ROOM = 10077  # the stream has its maximum of messages or of bytes
INHERITED_S_EXTRA = 1.0  # beyond the ack wait: the server looks for what is due once in a while

_log = logging.getLogger(__name__)
_letters = msgspec.json.Decoder(DeadLetter)


class JetStreamDelivery:
    """One message handed out; see Delivery. An `ack` that is lost only means that the message comes again."""

    __slots__ = ("_broker", "_domain", "_reply", "body", "deliveries", "headers", "sequence", "subject", "time_ns")

    def __init__(self, broker: Broker, domain: Domain, msg: Msg) -> None:
        where = place(msg.reply)
        self._broker = broker
        self._domain = domain
        self._reply = msg.reply
        self.subject = msg.subject
        self.sequence = where.sequence
        self.deliveries = where.deliveries
        self.time_ns = where.time_ns
        self.body = msg.data
        self.headers = {
            name: value
            for name, value in (msg.headers or {}).items()
            if not name.startswith("Nats-") or name == "Nats-Msg-Id"
        }
        if (identity := fired_id(msg.headers or {})) is not None:
            self.headers["Diarchy-Id"] = identity

    async def ack(self) -> None:
        await _tell(self._broker, self._reply, b"+ACK")

    async def working(self) -> None:
        await _tell(self._broker, self._reply, b"+WPI")

    async def bury(self, letter: DeadLetter) -> None:
        """Raises UnavailableError when the letter was not stored; the message comes again then."""
        subject = subjects.dead_letter(self._domain, subjects.lane_of(self.subject))
        headers = {"Nats-Msg-Id": f"{self.subject}:{self.sequence}"}
        await self._broker.store(subject, msgspec.json.encode(letter), headers)
        await _tell(self._broker, self._reply, b"+TERM " + letter.reason[:TERM_REASON_CHARS_MAX].encode())


class _Get(Struct):
    seq: int
    batch: int


class _State(Struct):
    first_seq: int = 0
    last_seq: int = 0


class _StreamInfo(Struct):
    state: _State


class _Delivered(Struct):
    stream_seq: int = 0


class _ConsumerConfig(Struct):
    ack_wait: int = 0


class _ConsumerInfo(Struct):
    delivered: _Delivered
    config: _ConsumerConfig
    num_ack_pending: int = 0


class JetStreamQueue:
    """A Queue; one of these may serve any number of concurrent callers."""

    def __init__(self, broker: Broker, *, ack_wait_s: float = Limits().ack_wait_s) -> None:
        self._broker = broker
        self._ack_wait_s = ack_wait_s
        self._committers = {domain: Committer(broker) for domain in Domain}

    async def publish(self, subject: str, record: Record) -> None:
        domain = subjects.parse(subject).actor.domain
        try:
            await self._committers[domain].store([outgoing(subject, record)])
        except RefusedError as error:
            if error.code == NO_ROOM:
                raise FullError(f"inbox of {domain.value}", "too much waits there already") from None
            raise

    async def consume(self, domain: Domain, name: QueueName) -> AsyncGenerator[JetStreamDelivery, None]:
        """See Queue.consume. The consumer must exist (`ensure_streams`); it is waited for where it does not."""
        stream, consumer = durable(domain, name)
        wait_s = REOPEN_S_MIN
        begun = False
        while True:
            puller = Puller(self._broker, stream, consumer.name, buffer_max=BUFFER_MAX)
            found: dict[int, Msg] = {}
            keeper = asyncio.create_task(self._keep(puller, found), name=f"keep {consumer.name}")
            try:
                left = None if begun else await self._info(stream, consumer.name)
                await puller.open()
                if left is not None:
                    await self._inherit(puller, (stream, consumer.name), left, found)
                for sequence in sorted(found):
                    yield JetStreamDelivery(self._broker, domain, found.pop(sequence))
                begun = True
                while True:
                    [msg] = await puller.take(1)
                    wait_s = REOPEN_S_MIN
                    yield JetStreamDelivery(self._broker, domain, msg)
            except (ConsumerLostError, UnavailableError) as error:
                _log.info("consuming %s again in %.1f s: %s", consumer.name, wait_s, error)
            finally:
                keeper.cancel()
                await puller.close()
                for msg in (*found.values(), *puller.buffer):
                    await _tell(self._broker, msg.reply, b"-NAK")
                with contextlib.suppress(asyncio.CancelledError):
                    await keeper
            await self._broker.wait_connected()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, REOPEN_S_MAX)

    async def _info(self, stream: str, consumer: str) -> "_ConsumerInfo":
        return await self._broker.api(f"CONSUMER.INFO.{stream}.{consumer}", {}, _ConsumerInfo)

    async def _inherit(
        self, puller: Puller, place_of: tuple[str, str], left: "_ConsumerInfo", found: dict[int, Msg]
    ) -> None:
        """Put what a predecessor was handed and did not end into `found`, by sequence, with what came meanwhile.

        The server hands a dead worker's messages out again once their time is up, but new ones at once: without waiting, a new
        message of an actor would overtake an old one. When others still work on some of them, the wait ends by itself.
        """
        until = asyncio.get_running_loop().time() + left.config.ack_wait / SECOND_NS + INHERITED_S_EXTRA
        while sum(sequence <= left.delivered.stream_seq for sequence in found) < left.num_ack_pending:
            try:
                async with asyncio.timeout(INHERITED_LOOK_S):
                    [msg] = await puller.take(1)
                found[place(msg.reply).sequence] = msg
            except TimeoutError:
                pending = (await self._info(*place_of)).num_ack_pending
                if pending <= len(found) + len(puller.buffer) or asyncio.get_running_loop().time() > until:
                    break  # The rest was ended meanwhile, or somebody else holds it.

    async def _keep(self, puller: Puller, found: dict[int, Msg]) -> None:
        """Keep the server from handing out again what waits here for its turn."""
        waiting: Sequence[Msg] = ()
        while True:
            await asyncio.sleep(self._ack_wait_s / 3)
            known = {id(msg) for msg in waiting}
            waiting = (*found.values(), *puller.buffer)
            for msg in waiting:
                if id(msg) in known:
                    await _tell(self._broker, msg.reply, b"+WPI")

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


async def _tell(broker: Broker, reply: str, verdict: bytes) -> None:
    try:
        await broker.publish(reply, verdict)
    except UnavailableError as error:
        _log.debug("%s not said: %s", verdict[:5].decode(), error)
