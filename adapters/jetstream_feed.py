"""Feed on JetStream: a pinned durable consumer for one partition of one queue.

The server gives a pinned consumer's messages to one client. A client that takes over asks for one message to learn its pin,
resets the consumer, and only then asks for more: so nothing of before the reset's answer can be mixed with what comes after it.
"""

import asyncio
import contextlib
import logging

from msgspec import Struct

from adapters.jetstream import Broker, Msg, RefusedError
from adapters.jetstream_last import leaders_last
from adapters.jetstream_letters import JetStreamLetters
from adapters.jetstream_pull import REOPEN_S_MAX, REOPEN_S_MIN, ConsumerLostError, Puller, place
from adapters.jetstream_streams import GROUP, durable
from adapters.jetstream_timers import fired_id
from adapters.nats_wire import frame
from contracts.domains import Domain
from contracts.kernel import DeadLetter
from runtime.errors import UnavailableError
from runtime.ports import Lag, QueueName

PIN_HEADER = "Nats-Pin-Id"
TERM_REASON_CHARS_MAX = 200
ENDS_S_MAX = 0.05  # for the server to take in what was said to be ended
OUSTED_S = 2.0  # more than workers take to agree on who holds what

_log = logging.getLogger(__name__)


class JetStreamDelivery:
    """One message handed out; see Delivery. An `ack` that is lost only means that the message comes again."""

    __slots__ = ("_broker", "_reply", "body", "headers", "pin", "repeated", "sequence", "subject", "time_ns")

    def __init__(self, broker: Broker, msg: Msg, handed_out: int) -> None:
        """`handed_out`: what was handed out up to this sequence may have been in hand when a worker died."""
        where = place(msg.reply)
        headers = msg.headers or {}
        self._broker = broker
        self._reply = msg.reply
        self.subject = msg.subject
        self.sequence = where.sequence
        self.pin = headers.get(PIN_HEADER, "")
        self.repeated = where.sequence <= handed_out or where.deliveries > 1
        self.time_ns = where.time_ns
        self.body = msg.data
        self.headers = headers
        if (identity := fired_id(headers)) is not None:
            headers["Diarchy-Id"] = identity

    async def ack(self) -> None:
        await tell(self._broker, self._reply, b"+ACK")

    async def working(self) -> None:
        await tell(self._broker, self._reply, b"+WPI")

    async def bury(self, letter: DeadLetter) -> None:
        """Raises UnavailableError when the letter was not stored; the message comes again then."""
        await JetStreamLetters(self._broker).put(letter)
        await tell(self._broker, self._reply, b"+TERM " + letter.reason[:TERM_REASON_CHARS_MAX].encode())


class _Delivered(Struct):
    stream_seq: int = 0
    consumer_seq: int = 0  # how many since the last reset


class _Group(Struct):
    pinned_client_id: str = ""


class _Floor(Struct):
    stream_seq: int = 0


class _ConsumerInfo(Struct):
    delivered: _Delivered
    ack_floor: _Floor
    num_pending: int = 0
    num_ack_pending: int = 0
    priority_groups: tuple[_Group, ...] = ()


class _Nothing(Struct):
    """Of the answer only its success counts."""


class JetStreamFeed:
    """See Feed. The consumer must exist (`ensure_consumers`); it is waited for where it does not."""

    def __init__(self, broker: Broker, domain: Domain, name: QueueName, partition: int, *, pending_max: int) -> None:
        self._broker = broker
        self._stream, consumer = durable(domain, name, partition)
        self._consumer = consumer.name
        [self._filter] = consumer.filter_subjects
        self._pending_max = pending_max
        self._pin = ""
        self._ousted = False
        self._handed_out = 0
        self._taken = 0  # since the last reset
        self._resetting = False
        self._puller: Puller | None = None
        self._wait_s = REOPEN_S_MIN

    async def open(self) -> None:
        with contextlib.suppress(RefusedError):  # nobody holds it
            await self._broker.api(f"CONSUMER.UNPIN.{self._where}", {"group": GROUP}, _Nothing)
        await self._restart()

    async def take(self) -> JetStreamDelivery:
        puller = self._puller or await self._reopen()
        try:
            [msg] = await puller.take(1)
        except (ConsumerLostError, UnavailableError) as error:
            await self._close()
            if "Pin" in str(error):
                self._pin, self._ousted = "", True
            raise UnavailableError("broker", f"{self._consumer}: {error}") from None
        self._wait_s = REOPEN_S_MIN
        delivery = JetStreamDelivery(self._broker, msg, self._handed_out)
        self._pin = delivery.pin
        self._taken += 1
        return delivery

    async def reset(self) -> None:
        """No pull request is open now: the first message of a hold was the only one asked for."""
        await self._close()
        await self._restart(noting=False)
        await self._open(self._pending_max)

    async def lag(self) -> Lag:
        """Nothing: none was handed out to others, all that was handed out has arrived, and none is left to be.

        What is stored is asked first, and of the stream: the consumer learns of it later than who has sent it.
        """
        last = await leaders_last(self._broker, self._stream, self._filter)
        info = await self._broker.api(f"CONSUMER.INFO.{self._where}", {}, _ConsumerInfo)
        if info.num_pending:
            return "backlog"
        if max(info.delivered.stream_seq, info.ack_floor.stream_seq) < last:
            return "arriving"
        ours = all(group.pinned_client_id == self._pin for group in info.priority_groups)
        arrived = ours and not self._resetting and info.delivered.consumer_seq <= self._taken
        return "nothing" if arrived else "arriving"

    async def close(self) -> None:
        """What was handed to us and not ended goes to the partition's present or next holder: at once, not after the ack wait."""
        await self._close()
        with contextlib.suppress(UnavailableError):  # The server takes no API request that has no reply subject.
            if self._pin:
                await self._broker.api(f"CONSUMER.UNPIN.{self._where}", {"group": GROUP}, _Nothing)
            for pause_s in (0.0, ENDS_S_MAX):
                await asyncio.sleep(pause_s)
                info = await self._broker.api(f"CONSUMER.INFO.{self._where}", {}, _ConsumerInfo)
                if not info.num_ack_pending:
                    break
            else:
                await self._broker.api(f"CONSUMER.RESET.{self._where}", {}, _Nothing)
        self._pin = ""

    async def _holders(self) -> set[str]:
        """The pins of who is given the partition's messages; none after the server was started again."""
        try:
            info = await self._broker.api(f"CONSUMER.INFO.{self._where}", {}, _ConsumerInfo)
        except RefusedError as error:
            raise UnavailableError("broker", f"{self._consumer}: {error}") from None
        return {group.pinned_client_id for group in info.priority_groups} - {""}

    @property
    def _where(self) -> str:
        return f"{self._stream}.{self._consumer}"

    async def _restart(self, *, noting: bool = True) -> None:
        """Have the server begin again behind what is ended; note up to where it had handed out to who may have died since."""
        self._resetting = True  # until it is known to have been done
        try:
            if noting:
                info = await self._broker.api(f"CONSUMER.INFO.{self._where}", {}, _ConsumerInfo)
                self._handed_out = max(self._handed_out, info.delivered.stream_seq)
            await self._broker.api(f"CONSUMER.RESET.{self._where}", {}, _Nothing)
        except RefusedError as error:
            raise UnavailableError("broker", f"{self._consumer}: {error}") from None
        self._resetting, self._taken = False, 0

    async def _reopen(self) -> Puller:
        """After a loss: ask for one message. What was handed out before the loss comes again."""
        # The pause comes first: where the connection is closed for good, `wait_connected` raises at once.
        if self._wait_s > REOPEN_S_MIN:
            await asyncio.sleep(self._wait_s)
        self._wait_s = min(2 * self._wait_s, REOPEN_S_MAX)
        await self._broker.wait_connected()
        if self._ousted:
            # Whoever took it is to hold it, and we are told so by then; or he will not any more, and may not have let go.
            await asyncio.sleep(OUSTED_S)
            self._ousted = False
            await self.open()
        elif self._pin:
            holders = await self._holders()
            if self._pin in holders:
                # Where the server does not know yet that the old connection is dead, what was asked for there under this pin
                # would still be answered there: a part of the messages, so that the others overtake them.
                await self.open()
            else:
                await self._restart()
            if not holders - {self._pin}:
                self._pin = ""  # It is nobody's: asked for under a pin that is over, nothing would come.
        return await self._open(1)

    async def _open(self, buffer_max: int) -> Puller:
        puller = Puller(self._broker, self._stream, self._consumer, buffer_max=buffer_max, group=GROUP, pin=self._pin)
        await puller.open()
        self._puller = puller
        return puller

    async def _close(self) -> None:
        puller, self._puller = self._puller, None
        if puller is not None:
            await puller.close()


async def tell(broker: Broker, reply: str, verdict: bytes) -> None:
    """Say what became of a delivery; that this may be lost is part of the bargain."""
    try:
        broker.send(frame(reply, verdict))
    except UnavailableError as error:
        _log.debug("%s not said: %s", verdict[:5].decode(), error)
