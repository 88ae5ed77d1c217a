"""A queue's stream in memory and what the server keeps of its consumers: the semantics of a pinned durable consumer of JetStream.

A section without `await` is atomic here: that is what stands for the server's lock.
"""

import asyncio
import contextlib
import time

from msgspec import Struct

from adapters.memory_letters import MemoryLetters
from contracts.envelope import Record, to_headers
from contracts.kernel import DeadLetter
from runtime.errors import UnavailableError
from runtime.ports import Lag, QueueName


class Message(Struct, frozen=True):
    subject: str
    sequence: int
    time_ns: int
    headers: dict[str, str]
    body: bytes
    record: Record | None  # None for what came without an envelope
    lane: str
    partition: int


class Stream:
    """Messages in order; sequences count from 1. A message id is known for ever, not only for two minutes."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ids: dict[str, int] = {}
        self.lasts: dict[str, int] = {}
        self._changed = asyncio.Event()

    def add(self, subject: str, body: bytes, record: Record | None, attempt: str | None = None) -> int:
        """The new sequence, or the old one of a message id that is known."""
        headers = {} if record is None else to_headers(record.envelope)
        if record is not None:
            headers["Nats-Msg-Id"] = attempt or record.envelope.id
            if headers["Nats-Msg-Id"] in self.ids:
                return self.ids[headers["Nats-Msg-Id"]]
            self.ids[headers["Nats-Msg-Id"]] = len(self.messages) + 1
        lane, token, *_ = subject.split(".")[1:]
        partition = int(token)
        number = len(self.messages) + 1
        self.messages.append(Message(subject, number, time.time_ns(), headers, body, record, lane, partition))
        self.lasts[subject] = len(self.messages)
        self.wake()
        return len(self.messages)

    def wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, timeout_s: float | None = None) -> None:
        """Return at the next `wake` or after the time-out. Look at what you wait for first, without `await` in between."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()


class Durable:
    """What the server keeps of the consumer of one partition of a queue; times are the event loop's."""

    def __init__(self, stream: Stream, name: QueueName, partition: int, ack_wait_s: float, pending_max: int) -> None:
        self.stream = stream
        self.unended: dict[int, float] = {}  # sequence: until when it may stay so
        self.handed_out = 0
        self.holder: MemoryFeed | None = None
        self.pin = 0
        self._lanes = ("in", "pub") if name == "inbox" else ("log",)
        self._partition = partition
        self._ack_wait_s = ack_wait_s
        self._pending_max = pending_max
        self._position = 0
        self._ended: set[int] = set()  # above the floor
        self._floor = 0

    def hold(self, feed: "MemoryFeed | None") -> None:
        """Give the partition to a feed, or to none."""
        self.holder = feed
        self.pin += feed is not None
        self.stream.wake()

    def restart(self, *, noting: bool) -> None:
        """Hand out again what is not ended, in order; what was ended behind an unended one comes again, too."""
        if noting:
            self.handed_out = max(self.handed_out, self._position)
        self.unended.clear()
        self._position = self._floor
        self._ended.clear()
        self.stream.wake()

    async def next(self, feed: "MemoryFeed") -> tuple[Message, bool]:
        """The next message for the holder, and whether it came before. Raises UnavailableError when it loses the hold."""
        loop = asyncio.get_running_loop()
        held = self.holder is feed
        while True:
            if self.holder is None:
                self.hold(feed)
            if self.holder is feed:
                held = True
                late = min((one for one, until in self.unended.items() if until <= loop.time()), default=None)
                message = self.stream.messages[late - 1] if late is not None else self._new()
                if message is not None:
                    repeated = message.sequence <= self.handed_out or late is not None
                    self.touch(message.sequence)
                    return message, repeated
            elif held:
                raise UnavailableError("broker", "the pin is lost")
            first = min(self.unended.values(), default=None)
            await self.stream.change(None if first is None else max(0.0, first - loop.time()))

    def touch(self, sequence: int) -> None:
        self.unended[sequence] = asyncio.get_running_loop().time() + self._ack_wait_s

    def end(self, sequence: int) -> None:
        self.unended.pop(sequence, None)
        self._ended.add(sequence)
        self._advance()
        self.stream.wake()

    @property
    def waiting(self) -> int:
        """Messages of the partition that are not ended."""
        return sum(self._matches(one) for one in self.stream.messages[self._floor :] if one.sequence not in self._ended)

    def is_taken(self) -> bool:
        """Whether nothing is left that was never handed out since the last restart."""
        return not any(self._matches(one) for one in self.stream.messages[self._position :])

    def _advance(self) -> None:
        while self._floor < self._position and (
            self._floor + 1 in self._ended or not self._matches(self.stream.messages[self._floor])
        ):
            self._floor += 1
            self._ended.discard(self._floor)

    def _new(self) -> Message | None:
        while self._position < len(self.stream.messages) and len(self.unended) < self._pending_max:
            message = self.stream.messages[self._position]
            self._position += 1
            if message.sequence not in self._ended and self._matches(message):
                return message
        return None

    def _matches(self, message: Message) -> bool:
        return message.lane in self._lanes and message.partition == self._partition


class MemoryDelivery:
    def __init__(self, letters: MemoryLetters, durable: Durable, message: Message, *, repeated: bool) -> None:
        self._letters = letters
        self._durable = durable
        self.pin = str(durable.pin)
        self.repeated = repeated
        self.subject = message.subject
        self.sequence = message.sequence
        self.time_ns = message.time_ns
        self.headers = message.headers
        self.body = message.body

    async def ack(self) -> None:
        self._durable.end(self.sequence)

    async def working(self) -> None:
        if self.sequence in self._durable.unended:
            self._durable.touch(self.sequence)

    async def bury(self, letter: DeadLetter) -> None:
        await self._letters.put(letter)
        self._durable.end(self.sequence)


class MemoryFeed:
    """A Feed."""

    def __init__(self, letters: MemoryLetters, durable: Durable) -> None:
        self._letters = letters
        self._durable = durable

    async def open(self) -> None:
        self._durable.hold(None)
        self._durable.restart(noting=True)

    async def take(self) -> MemoryDelivery:
        message, repeated = await self._durable.next(self)
        return MemoryDelivery(self._letters, self._durable, message, repeated=repeated)

    async def reset(self) -> None:
        if self._durable.holder is not self:
            raise UnavailableError("broker", "the pin is lost")
        self._durable.restart(noting=False)

    async def lag(self) -> Lag:
        if not self._durable.is_taken():
            return "backlog"
        return "nothing" if self._durable.holder in (self, None) else "arriving"

    async def close(self) -> None:
        if self._durable.holder is self:
            self._durable.hold(None)
