"""Messages of one pull consumer through an inbox of our own.

Pull requests overlap, so that the next messages are on their way while the last are handled (measured: five times
nats-py's `fetch`). At rest it costs one request in `PULL_EXPIRES_S`.

A request that waits at a node which dies is never answered. So a cluster's nodes are asked for a sign of life while they have
nothing; the connection itself is the sign where there is one node.
"""

import asyncio
from collections import deque

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, Msg, Subscription
from runtime.errors import UnavailableError

PULL_EXPIRES_S = 10.0
SILENCE_S_MAX = PULL_EXPIRES_S + 3.0  # after this without a sign of life the consumer is taken for lost
CLUSTER_HEARTBEAT_S = 2.0
CLUSTER_SILENCE_S_MAX = 3 * CLUSTER_HEARTBEAT_S
PIN_LOST = "423"
HEARTBEAT = "100"
REOPEN_S_MIN = 0.1
REOPEN_S_MAX = 2.0


class ConsumerLostError(Exception):
    """The consumer no longer answers: open it anew. What had arrived was taken before."""


class _Pull(Struct, omit_defaults=True):
    batch: int
    expires: int
    group: str = ""
    id: str = ""
    idle_heartbeat: int = 0


class Place(Struct, frozen=True):
    """What the acknowledgement subject of a delivered message says."""

    deliveries: int
    sequence: int  # in the stream
    consumer_sequence: int
    time_ns: int


def place(reply: str) -> Place:
    """Parse `$JS.ACK[.<domain>.<account>].<stream>.<consumer>.<deliveries>.<sequence>.<consumer sequence>.<time>.<pending>…`."""
    tokens = reply.split(".")
    first = 4 if len(tokens) == 9 else 6
    return Place(int(tokens[first]), int(tokens[first + 1]), int(tokens[first + 2]), int(tokens[first + 3]))


class Puller:
    """At most `buffer_max` messages are asked for or waiting in `buffer`. Use: `open`, `take` again and again, `close`."""

    def __init__(
        self, broker: Broker, stream: str, consumer: str, *, buffer_max: int, group: str = "", pin: str = ""
    ) -> None:
        """`group` and `pin` for a consumer that is given to one client at a time."""
        self._broker = broker
        self._group = group
        self._pin = pin
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = broker.new_inbox()
        self._buffer_max = buffer_max
        self._asked = 0
        self._lost: str | None = None
        self._news = asyncio.Event()
        self._subscription: Subscription | None = None
        self.buffer: deque[Msg] = deque()

    async def open(self) -> None:
        """Raises UnavailableError."""
        self._broker.on_lost.add(self._on_lost)
        self._subscription = await self._broker.subscribe(self._inbox, self._on_message)

    async def close(self) -> None:
        self._broker.on_lost.discard(self._on_lost)
        if self._subscription is not None:
            await self._broker.unsubscribe(self._subscription)

    async def take(self, count_max: int) -> list[Msg]:
        """1 to `count_max` messages, waiting without end for the first. Raises ConsumerLostError once the buffer is empty."""
        while True:
            if self._lost is None and self._asked + len(self.buffer) <= self._buffer_max // 2:
                await self._ask()
            if self.buffer:
                return [self.buffer.popleft() for _ in range(min(count_max, len(self.buffer)))]
            if self._lost is not None:
                raise ConsumerLostError(self._lost)
            self._news.clear()
            try:
                async with asyncio.timeout(CLUSTER_SILENCE_S_MAX if self._broker.is_clustered else SILENCE_S_MAX):
                    await self._news.wait()
            except TimeoutError:
                self._lost = "silent"

    async def _ask(self) -> None:
        batch = self._buffer_max - self._asked - len(self.buffer)
        heartbeat_s = CLUSTER_HEARTBEAT_S if self._broker.is_clustered else 0.0
        pull = _Pull(batch, int(PULL_EXPIRES_S * 1e9), self._group, self._pin, int(heartbeat_s * 1e9))
        self._asked += pull.batch
        try:
            await self._broker.publish(self._next, msgspec.json.encode(pull), reply=self._inbox)
        except UnavailableError as error:
            self._lost = str(error)

    def _on_message(self, msg: Msg) -> None:
        if msg.reply.startswith("$JS.ACK."):
            self._asked -= 1
            self.buffer.append(msg)
        elif (
            status := (headers := msg.headers or {}).get("Status")
        ) != PIN_LOST and "Nats-Pending-Messages" in headers:
            self._asked -= int(headers["Nats-Pending-Messages"])  # the pull request has ended: 408, 409
        elif (
            status != HEARTBEAT
        ):  # 423 somebody else is pinned, 503 no such consumer, 409 deleted, shutting down, moved
            self._lost = headers.get("Description") or headers.get("Status") or "unknown status"
        self._news.set()

    def _on_lost(self) -> None:
        self._lost = "connection lost"
        self._news.set()
