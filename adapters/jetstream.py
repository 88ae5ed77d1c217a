"""The connection to NATS that all JetStream adapters share.

nats-py's own request, publish-with-ack and fetch calls wait out their time-outs when the server dies and cost a task or a
future too many each, so this module has its own reply inbox over the client's core primitives: a lost connection fails
every open request at once, and a publish while disconnected fails instead of being sent at some later time.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
import nats.errors
from msgspec import Struct
from nats.aio.client import Client

from runtime.errors import InvalidError, UnavailableError

REQUEST_S_MAX = 5.0
PING_INTERVAL_S = 5
RECONNECT_WAIT_S = 0.25
CONNECT_S_MAX = 2
DRAIN_S_MAX = 5
FRAME_BYTES_MAX = 16 << 10  # names of headers and separators, allowed for beside the body and the values
REPLY_PARTS_MAX = 10_000  # messages of one collected reply

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Msg(Protocol):
    """What of a nats-py message is used here. Server statuses stand in `headers["Status"]`."""

    subject: str
    reply: str
    data: bytes
    headers: dict[str, str] | None


class Subscription(Protocol):
    async def unsubscribe(self) -> None: ...


class RefusedError(UnavailableError):
    """JetStream answered with an error; `code` is its err_code."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__("broker", f"{description} ({code})")
        self.code = code


class SilenceError(UnavailableError):
    """The broker is there, but nobody listens on the subject or replies in time: `reason` says which."""

    def __init__(self, reason: str) -> None:
        super().__init__("broker", reason)
        self.reason = reason


class ApiError(Struct):
    err_code: int = 0
    description: str = ""


class Ack(Struct):
    """JetStream's answer to a publish: the sequence, and whether it had the message id already."""

    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


class _Answer(Struct):
    error: ApiError | None = None


_ack = msgspec.json.Decoder(Ack)
_answer = msgspec.json.Decoder(_Answer)


class Broker:
    """One connection. Made by `connect`; `stop` ends it and every task started through `spawn`."""

    def __init__(self) -> None:
        self._client: Any = Client()
        # nats-py's own takes 100 µs for an envelope's headers, ours 5: it looks at every character of every name.
        self._client._parse_header_lines = parse_header_lines  # noqa: SLF001 - there is no public way
        self._connected = asyncio.Event()
        self._closed = asyncio.Event()
        self._stopping = False
        self._told = False
        self._tokens = itertools.count()
        self._replies: dict[str, Callable[[Msg], None]] = {}
        self._pending: set[asyncio.Future[Any]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._inbox = ""
        self.on_lost: set[Callable[[], None]] = set()
        """Called, without arguments, whenever the connection is lost; must not raise."""

    @property
    def is_connected(self) -> bool:
        return bool(self._client.is_connected)

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
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            async with asyncio.timeout(2 * DRAIN_S_MAX):
                await self._client.drain()
        except (nats.errors.Error, TimeoutError) as error:
            _log.debug("broker connection not drained: %s", error)
        await self._client.close()
        await self._on_closed()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task owned by the connection: cancelled and awaited by `stop`; its failure is logged."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def publish(
        self, subject: str, body: bytes = b"", *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Send without confirmation. Raises UnavailableError when not connected, InvalidError when it is too large."""
        self.check_size(body, headers)
        try:
            await self._client.publish(subject, body, reply=reply, headers=headers)
        except (nats.errors.BadSubjectError, nats.errors.BadHeaderError) as error:
            raise InvalidError(str(error)) from None
        except (nats.errors.Error, OSError) as error:
            raise UnavailableError("broker", str(error) or type(error).__name__) from error

    def check_size(self, body: bytes, headers: dict[str, str] | None) -> None:
        """Raises InvalidError for what the server would refuse: it closes the connection of whoever sends too much."""
        size = len(body) + FRAME_BYTES_MAX + (4 * sum(map(len, headers.values())) if headers else 0)
        if self.is_connected and size > self.payload_bytes_max:
            raise InvalidError(
                f"{len(body)} bytes are more than the broker takes ({self.payload_bytes_max} with headers)"
            )

    async def subscribe(self, subject: str, handler: Callable[[Msg], None], *, queue: str = "") -> Subscription:
        """Call `handler` for each message; kept over reconnects. The handler must be quick and must not raise.

        Bytes are not bounded here: every use either bounds what it asks for or what it lets wait.
        """

        async def on_message(msg: Msg) -> None:
            handler(msg)

        try:
            subscription: Subscription = await self._client.subscribe(
                subject, queue=queue, cb=on_message, pending_bytes_limit=0
            )
        except (nats.errors.ConnectionClosedError, nats.errors.ConnectionDrainingError, OSError) as error:
            raise UnavailableError("broker", str(error)) from error
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
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
        headers: dict[str, str] | None = None,
        timeout_s: float = REQUEST_S_MAX,
    ) -> Msg:
        """The first reply. Raises SilenceError, UnavailableError where the connection is lost."""
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

        def take(msg: Msg) -> None:
            if not answer.done():
                answer.set_result(msg)

        msg = await self._await(subject, body, headers, timeout_s, take, answer)
        if not msg.data and msg.headers and msg.headers.get("Status") == "503":
            raise SilenceError(f"nobody answers on {subject}")
        return msg

    async def collect(self, subject: str, body: bytes, *, timeout_s: float = REQUEST_S_MAX) -> list[Msg]:
        """All replies up to the one with a status, which is the last of the list. Raises UnavailableError."""
        answer: asyncio.Future[list[Msg]] = asyncio.get_running_loop().create_future()
        parts: list[Msg] = []

        def take(msg: Msg) -> None:
            parts.append(msg)
            ended = msg.headers is not None and "Status" in msg.headers
            if (ended or len(parts) >= REPLY_PARTS_MAX) and not answer.done():
                answer.set_result(parts)

        return await self._await(subject, body, None, timeout_s, take, answer)

    async def store(
        self, subject: str, body: bytes, headers: dict[str, str], *, timeout_s: float = REQUEST_S_MAX
    ) -> Ack:
        """Publish into a stream and return once it is durable. Raises RefusedError, UnavailableError (outcome unknown)."""
        msg = await self.request(subject, body, headers=headers, timeout_s=timeout_s)
        ack = _ack.decode(msg.data)
        if ack.error is not None:
            raise RefusedError(ack.error.err_code, ack.error.description)
        return ack

    async def api(self, name: str, payload: object, reply: type[T]) -> T:
        """Call `$JS.API.<name>`; `reply` says what of the answer is wanted. Raises RefusedError, UnavailableError."""
        msg = await self.request(f"$JS.API.{name}", msgspec.json.encode(payload))
        error = _answer.decode(msg.data).error
        if error is not None:
            raise RefusedError(error.err_code, error.description)
        return msgspec.json.decode(msg.data, type=reply)

    async def _await(
        self,
        subject: str,
        body: bytes,
        headers: dict[str, str] | None,
        timeout_s: float,
        take: Callable[[Msg], None],
        answer: asyncio.Future[T],
    ) -> T:
        token = str(next(self._tokens))
        self._replies[token] = take
        self._pending.add(answer)
        timer = asyncio.get_running_loop().call_later(
            timeout_s, _fail, answer, SilenceError(f"no answer on {subject} in {timeout_s} s")
        )
        try:
            await self.publish(subject, body, reply=self._inbox + token, headers=headers)
            return await answer
        finally:
            timer.cancel()
            self._pending.discard(answer)
            del self._replies[token]

    def _on_reply(self, msg: Msg) -> None:
        take = self._replies.get(msg.subject[len(self._inbox) :])
        if take is not None:
            take(msg)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s failed", task.get_name(), exc_info=error)

    async def _on_error(self, error: Exception) -> None:
        level = logging.DEBUG if self._told else logging.WARNING
        self._told = not self.is_connected  # Attempts to reconnect fail four times a second: once is enough.
        _log.log(level, "broker connection: %s", error or type(error).__name__)

    async def _on_connected(self) -> None:
        _log.info("connected to the broker")
        self._told = False
        self._connected.set()

    async def _on_disconnected(self) -> None:
        if not self._stopping:
            _log.warning("connection to the broker lost; reconnecting")
        self._connected.clear()
        for answer in list(self._pending):
            _fail(answer, UnavailableError("broker", "connection lost"))
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


def parse_header_lines(raw: bytes) -> dict[str, str]:
    """The headers of a message: `name: value` lines that end in CRLF. Lines without a colon are ignored."""
    lines = raw.decode("utf-8", "replace").split("\r\n")
    try:
        return dict([line.split(": ", 1) for line in lines if line])
    except ValueError:  # not as NATS clients write them, but allowed
        parts = [line.partition(":") for line in lines]
        return {name.strip(): value.strip() for name, colon, value in parts if colon}


async def connect(
    servers: str | Sequence[str],
    *,
    user: str | None = None,
    password: str | None = None,
    name: str = "diarchy",
    inbox_prefix: str = "_INBOX",
) -> Broker:
    """A connected broker, kept connected without end. Waits for a server that is not there yet: bound it from outside."""
    broker = Broker()
    urls = [servers] if isinstance(servers, str) else servers
    await broker.open(urls, user=user, password=password, name=name, inbox_prefix=inbox_prefix)
    return broker
