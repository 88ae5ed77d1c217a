"""The connection to NATS that all JetStream adapters share.

nats-py keeps the connection; what is sent and what comes goes past it (`nats_wire`), and replies have an inbox of our own:
a lost connection fails every open request at once, and a publish while disconnected fails instead of being sent at some
later time.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
import nats.errors
from msgspec import Struct
from nats.aio.client import Client

from adapters.jetstream_answers import Ack, ApiError, RefusedError, SilenceError, read_ack
from adapters.nats_complaints import Complaints
from adapters.nats_wire import Handler, Msg, Parser, frame, header_lines
from runtime.errors import InvalidError, UnavailableError

REQUEST_S_MAX = 5.0
PING_INTERVAL_S = 5
RECONNECT_WAIT_S = 0.25
CONNECT_S_MAX = 2
DRAIN_S_MAX = 5
MORE_LINES_BYTES = 1 << 10  # header lines that a batch adds to a message
UNSENT_BYTES_MAX = 16 << 20  # what may wait for the socket before `publish` waits, too
WRITES_WAITING_MAX = 10_000  # of one stream, for those under way; beyond that a writer is told to come again
REPLY_PARTS_MAX = 10_000  # messages of one collected reply

_log = logging.getLogger(__name__)

T = TypeVar("T")

__all__ = ["Ack", "Broker", "Msg", "RefusedError", "SilenceError", "Subscription", "connect", "read_ack"]


class Subscription(Protocol):
    @property
    def _id(self) -> int: ...

    async def unsubscribe(self) -> None: ...


class _Answer(Struct):
    error: ApiError | None = None


_answer = msgspec.json.Decoder(_Answer)


class Broker:
    """One connection. Made by `connect`; `stop` ends it and every task started through `spawn`."""

    def __init__(self, *, writes_waiting_max: int = WRITES_WAITING_MAX) -> None:
        self.writes_waiting_max = writes_waiting_max
        self._client: Any = Client()
        self._parser = Parser(self._client)
        self._client._ps = self._parser  # noqa: SLF001 - there is no public way
        self._connected = asyncio.Event()
        self._closed = asyncio.Event()
        self._stopping = False
        self._complaints = Complaints()
        self._tokens = itertools.count()
        self._replies: dict[str, Callable[[Msg], None]] = {}
        self._pending: set[asyncio.Future[Any]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._inbox = ""
        self.on_lost: set[Callable[[], None]] = set()
        """Called, without arguments, whenever the connection is lost; must not raise."""
        self.on_stop: set[Callable[[], None]] = set()
        """Called once, when `stop` begins: what waits to be sent must fail now. Must not raise."""

    @property
    def is_connected(self) -> bool:
        return bool(self._client.is_connected)

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    @property
    def is_clustered(self) -> bool:
        """Whether the server is one of several, so that what one of them says may be older than what another has stored."""
        return bool(self._client._server_info.get("cluster"))  # noqa: SLF001 - there is no public way

    @property
    def payload_bytes_max(self) -> int:
        return int(self._client.max_payload)

    async def wait_connected(self) -> None:
        """Return at once or when the connection is back. Raises UnavailableError when it is closed for good."""
        while not self.is_connected:
            if self._closed.is_set():
                raise UnavailableError("broker", "the connection is closed")
            self._connected.clear()  # the client knows of a loss before it calls us
            await self._connected.wait()

    async def wait_closed(self) -> None:
        """Return when the connection is closed for good: by `stop`, or by a server that no longer admits this user."""
        await self._closed.wait()

    async def open(
        self, servers: Sequence[str], *, user: str | None, password: str | None, name: str, inbox_prefix: str
    ) -> None:
        """Connect, trying without end; `connect` calls this."""
        await self._client.connect(
            servers=list(servers),
            user=user,
            password=password,
            name=name,
            inbox_prefix=inbox_prefix,
            ping_interval=PING_INTERVAL_S,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,
            connect_timeout=CONNECT_S_MAX,
            drain_timeout=DRAIN_S_MAX,
            pending_size=0,  # nothing is kept while disconnected: a publish that failed must not arrive later
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_connected,
            closed_cb=self._on_closed,
        )
        self._inbox = f"{self._client.new_inbox()}."
        await self.subscribe(f"{self._inbox}*", self._on_reply)
        await self._on_connected()

    async def start(self) -> None:
        """Nothing: `connect` returns a started broker."""

    async def stop(self) -> None:
        """End owned tasks, flush what was published, close. Idempotent."""
        if self._stopping:
            await self._closed.wait()
            return
        self._stopping = True
        for listener in list(self.on_stop):
            listener()
        try:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._give_up_reconnecting()
            async with asyncio.timeout(2 * DRAIN_S_MAX):
                await self._client.drain()
        except (nats.errors.Error, OSError, TimeoutError) as error:
            _log.debug("broker connection not drained: %s", error)
        finally:
            await self._end()

    async def _end(self) -> None:
        try:
            await self._client.close()
        except (nats.errors.Error, OSError) as error:
            _log.debug("broker connection not closed in order: %s", error)
        finally:
            self._lose("stopped")
            await self._on_closed()

    async def _give_up_reconnecting(self) -> None:
        """End nats-py's task that tries it. A connection refused just now makes it miss that it was cancelled
        (`asyncio.wait_for`, Python 3.11): then it ends because there is no server left to try.
        """
        task: asyncio.Task[None] | None = self._client._reconnection_task  # noqa: SLF001 - there is no public way
        if task is None or task.done():
            return
        self._client._server_pool.clear()  # noqa: SLF001 - nats-py has no other way
        task.cancel()
        await asyncio.wait([task], timeout=DRAIN_S_MAX)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task owned by the connection: cancelled and awaited by `stop`; its failure is logged."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def publish(
        self, subject: str, body: bytes = b"", *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send without confirmation. Raises UnavailableError when not connected, InvalidError when it is too large."""
        self.send(self.checked(subject, body, reply, header_lines(headers) if headers else b""))
        if self._client.pending_data_size > UNSENT_BYTES_MAX:
            await self._client.flush()

    def checked(self, subject: str, body: bytes, reply: str = "", lines: bytes = b"") -> bytes:
        """A frame for `send`. Raises InvalidError for a bad subject, or for what is larger than the server takes."""
        self.check_size(len(lines) + len(body))
        return frame(subject, body, reply, lines)

    def check_size(self, size: int) -> None:
        """Raises InvalidError for what the server would refuse: it closes the connection of whoever sends too much."""
        if size + MORE_LINES_BYTES > self.payload_bytes_max:
            raise InvalidError(f"{size} bytes are more than the broker takes ({self.payload_bytes_max} with headers)")

    def send(self, frames: bytes) -> None:
        """Put frames on the wire with what else is sent in this turn of the loop. Raises UnavailableError when not connected."""
        client = self._client
        if not client.is_connected or client.is_draining_pubs:
            raise UnavailableError("broker", "not connected")
        client._pending.append(frames)  # noqa: SLF001 - what nats-py's publish does, without its tasks
        client._pending_data_size += len(frames)  # noqa: SLF001 - nats-py has no other way
        if client._flush_queue.empty():  # noqa: SLF001 - nats-py has no other way
            client._flush_queue.put_nowait(asyncio.get_running_loop().create_future())  # noqa: SLF001 - nats-py has no other way

    async def subscribe(self, subject: str, handler: Handler, *, queue: str = "") -> Subscription:
        """Call `handler` for each message; kept over reconnects. The handler must be quick and must not raise.

        Bytes are not bounded here: every use either bounds what it asks for or what it lets wait.
        """

        try:
            # The future keeps nats-py from making a task; the parser calls the handler, so nothing is set on it.
            unused = asyncio.get_running_loop().create_future()
            subscription: Subscription = await self._client.subscribe(subject, queue=queue, future=unused)
        except (nats.errors.ConnectionClosedError, nats.errors.ConnectionDrainingError, OSError) as error:
            raise UnavailableError("broker", str(error)) from error
        self._parser.handlers[subscription._id] = handler  # noqa: SLF001 - there is no public way
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        self._parser.handlers.pop(subscription._id, None)  # noqa: SLF001 - nats-py has no other way
        try:
            await subscription.unsubscribe()
        except (nats.errors.Error, OSError) as error:
            _log.debug("not unsubscribed: %s", error)

    def new_inbox(self) -> str:
        return str(self._client.new_inbox())

    async def request(
        self,
        subject: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = REQUEST_S_MAX,
    ) -> Msg:
        """The first reply. Raises SilenceError, UnavailableError where the connection is lost."""
        return await self.answer(subject, body, header_lines(headers) if headers else b"", timeout_s=timeout_s)

    async def answer(self, subject: str, body: bytes, lines: bytes = b"", *, timeout_s: float = REQUEST_S_MAX) -> Msg:
        """`request` with header lines that are made already."""
        reply, answer = self.expect(subject, timeout_s=timeout_s)
        try:
            self.send(self.checked(subject, body, reply, lines))
            return await answer
        finally:
            answer.cancel()

    def expect(self, subject: str, *, timeout_s: float = REQUEST_S_MAX) -> tuple[str, asyncio.Future[Msg]]:
        """Where a reply may be sent to, and the first that comes there. It fails as `request` says; cancelling it ends it."""
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

        def take(msg: Msg) -> None:
            if answer.done():
                return
            if not msg.data and msg.headers and msg.headers.get("Status") == "503":
                answer.set_exception(SilenceError(f"nobody answers on {subject}"))
            else:
                answer.set_result(msg)

        return self._expect(take, answer, subject, timeout_s), answer

    async def collect(self, subject: str, body: bytes, *, timeout_s: float = REQUEST_S_MAX) -> list[Msg]:
        """All replies up to the one with a status, which is the last of the list. Raises UnavailableError."""
        parts, end = await self.collect_as(lambda msg: msg, subject, body, timeout_s=timeout_s)
        return [*parts, end]

    async def collect_as(
        self, read: Callable[[Msg], T], subject: str, body: bytes, *, timeout_s: float = REQUEST_S_MAX
    ) -> tuple[list[T], Msg]:
        """What `read` makes of all replies up to the one with a status, and that one. Raises what `read` raises, too.

        Each is read when it comes, while the server still looks for the next ones: together they take the time of one.
        """
        answer: asyncio.Future[tuple[list[T], Msg]] = asyncio.get_running_loop().create_future()
        parts: list[T] = []

        def take(msg: Msg) -> None:
            if answer.done():
                return
            if msg.has_status or len(parts) >= REPLY_PARTS_MAX:
                answer.set_result((parts, msg))
                return
            try:
                parts.append(read(msg))
            except Exception as error:  # noqa: BLE001 - it is for who asked
                answer.set_exception(error)

        reply = self._expect(take, answer, subject, timeout_s)
        try:
            self.send(self.checked(subject, body, reply))
            return await answer
        finally:
            answer.cancel()

    async def store(
        self, subject: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float = REQUEST_S_MAX
    ) -> Ack:
        """Publish into a stream and return once it is durable. Raises RefusedError, UnavailableError (outcome unknown)."""
        return read_ack(await self.request(subject, body, headers=headers, timeout_s=timeout_s))

    async def api(self, name: str, payload: object, reply: type[T]) -> T:
        """Call `$JS.API.<name>`; `reply` says what of the answer is wanted. Raises RefusedError, UnavailableError."""
        msg = await self.request(f"$JS.API.{name}", msgspec.json.encode(payload))
        error = _answer.decode(msg.data).error
        if error is not None:
            raise RefusedError(error.err_code, error.description)
        return msgspec.json.decode(msg.data, type=reply)

    def _expect(self, take: Callable[[Msg], None], answer: asyncio.Future[T], subject: str, timeout_s: float) -> str:
        """Have `take` called with what comes to the subject that is returned, until `answer` is done."""
        token = str(next(self._tokens))
        timer = asyncio.get_running_loop().call_later(
            timeout_s, _fail, answer, SilenceError(f"no answer on {subject} in {timeout_s} s")
        )

        def forget(_: object) -> None:
            timer.cancel()
            self._pending.discard(answer)
            self._replies.pop(token, None)

        self._replies[token] = take
        self._pending.add(answer)
        answer.add_done_callback(forget)
        return self._inbox + token

    def _on_reply(self, msg: Msg) -> None:
        take = self._replies.get(msg.subject[len(self._inbox) :])
        if take is not None:
            take(msg)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s failed", task.get_name(), exc_info=error)

    async def _on_error(self, error: Exception) -> None:
        self._complaints.tell(error, connected=self.is_connected)

    async def _on_connected(self) -> None:
        _log.info("connected to the broker")
        self._complaints.over()
        self._connected.set()

    async def _on_disconnected(self) -> None:
        if not self._stopping:
            _log.warning("connection to the broker lost; reconnecting")
        self._connected.clear()
        self._lose("connection lost")

    def _lose(self, reason: str) -> None:
        """Fail whatever waits for an answer: nothing that was sent before may be sent later, or be answered to another."""
        self._client._pending = []  # noqa: SLF001 - accepted, but never written: it has failed
        self._client._pending_data_size = 0  # noqa: SLF001 - nats-py has no other way
        for answer in list(self._pending):
            _fail(answer, UnavailableError("broker", reason))
        for listener in list(self.on_lost):
            listener()

    async def _on_closed(self) -> None:
        if not self._stopping:
            _log.critical("the broker closed the connection for good")
        self._closed.set()
        self._connected.set()


def _fail(answer: asyncio.Future[Any], error: UnavailableError) -> None:
    if not answer.done():
        answer.set_exception(error)


async def connect(
    servers: str | Sequence[str],
    *,
    user: str | None = None,
    password: str | None = None,
    name: str = "diarchy",
    inbox_prefix: str = "_INBOX",
    writes_waiting_max: int = WRITES_WAITING_MAX,
) -> Broker:
    """A connected broker, kept connected without end. Waits for a server that is not there yet: bound it from outside."""
    broker = Broker(writes_waiting_max=writes_waiting_max)
    urls = [servers] if isinstance(servers, str) else servers
    await broker.open(urls, user=user, password=password, name=name, inbox_prefix=inbox_prefix)
    return broker
