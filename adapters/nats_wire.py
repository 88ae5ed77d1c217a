"""The NATS protocol as it is on the wire: frames that are sent, and a parser that hands what comes straight to who wants it.

nats-py's `publish` takes 16 µs for an envelope's headers, and its subscriptions a task and a switch to it a message; these
1 µs and none. nats-py keeps the connection: it connects, authenticates, pings, reconnects and subscribes again.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from nats.errors import ProtocolError

from runtime.errors import InvalidError

HEADER_LINE = b"NATS/1.0"
STATUS_LINE = HEADER_LINE + b" "

_ODD = re.compile(r"[^\s]+")
_BREAKS = re.compile(r"[\r\n]+")
_NAME = re.compile(r"[!-9;-~]+")

_log = logging.getLogger(__name__)


class Msg(Struct, eq=False, gc=False):
    """A message that came. Its headers are read when first asked for; server statuses stand in `headers["Status"]`."""

    subject: str
    reply: str
    data: bytes
    raw: bytes = b""
    """The headers as they came, with the line before them."""
    _headers: dict[str, str] | None = None

    @property
    def headers(self) -> dict[str, str] | None:
        if self._headers is None and self.raw:
            self._headers = parse_headers(self.raw)
        return self._headers

    @property
    def has_status(self) -> bool:
        """Whether it is the server's word on a request instead of a message that somebody sent."""
        return self.raw.startswith(STATUS_LINE)


Handler = Callable[[Msg], None]


def header_text(raw: bytes) -> str:
    """The header lines without the one before them."""
    return raw[len(HEADER_LINE) + 2 :].decode("utf-8", "replace")


def parse_headers(raw: bytes) -> dict[str, str]:
    """A message's headers with the line before them, such as `NATS/1.0 404 No Messages`."""
    first, _, lines = raw.partition(b"\r\n")
    if len(first) == len(HEADER_LINE):
        return parse_header_lines(lines)
    status, _, description = first[len(HEADER_LINE) :].decode("utf-8", "replace").strip().partition(" ")
    headers = {"Status": status} if status.isdigit() else {}
    if description:
        headers["Description"] = description.strip()
    return {**headers, **parse_header_lines(lines)}


def parse_header_lines(raw: bytes) -> dict[str, str]:
    """The headers of a message: `name: value` lines that end in CRLF. Lines without a colon are ignored."""
    lines = raw.decode("utf-8", "replace").split("\r\n")
    try:
        return dict([line.split(": ", 1) for line in lines if line])
    except ValueError:  # not as NATS clients write them, but allowed
        parts = [line.partition(":") for line in lines]
        return {name.strip(): value.strip() for name, colon, value in parts if colon}


def header_lines(headers: Mapping[str, str]) -> bytes:
    """The opposite; line breaks within a value become spaces. Raises InvalidError for a name that is none."""
    lines = []
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise InvalidError(f"{name[:80]!r} is no header's name")
        lines.append(f"{name}: {_BREAKS.sub(' ', value) if not value.isprintable() else value}\r\n")
    return "".join(lines).encode()


def frame(subject: str, body: bytes, reply: str = "", lines: bytes = b"") -> bytes:
    """A message to publish; `lines` as `header_lines` makes them. Raises InvalidError for a subject with a space in it."""
    if not _ODD.fullmatch(subject):
        raise InvalidError(f"{subject[:80]!r} is no subject")
    if not lines:
        return b"PUB %b %b %d\r\n%b\r\n" % (subject.encode(), reply.encode(), len(body), body)
    size = len(lines) + 12  # NATS/1.0, and a line break before and after the lines
    return b"HPUB %b %b %d %d\r\nNATS/1.0\r\n%b\r\n%b\r\n" % (
        subject.encode(),
        reply.encode(),
        size,
        size + len(body),
        lines,
        body,
    )


class Parser:
    """Takes the place of a nats-py client's parser: its `reset` and `parse` are what the client calls.

    A handler registered for a subscription's number is called at once; everything else is left to the client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.handlers: dict[int, Handler] = {}
        self.reset()

    def reset(self) -> None:
        """Forget what was begun: a new connection begins anew."""
        self._parts: list[bytes] = []
        self._have = 0
        self._need = 0  # bytes without which nothing can be done
        self._epoch = object()

    async def parse(self, data: bytes = b"") -> None:
        self._parts.append(data)
        self._have += len(data)
        if self._have < self._need:
            return
        buffer = b"".join(self._parts) if len(self._parts) > 1 else data
        epoch, at, size = self._epoch, 0, len(buffer)
        self._need = 0
        while (end := buffer.find(b"\r\n", at)) >= 0:
            line = buffer[at:end]
            if line.startswith((b"MSG ", b"HMSG ")):
                after = end + 2 + int(line[line.rindex(b" ") + 1 :])
                if size < after + 2:
                    self._need = after + 2 - at
                    break
                at = after + 2
                if (unknown := self._hand(line, buffer, end + 2, after)) is not None:
                    await unknown
            else:
                at = end + 2
                await self._control(line)
            if self._epoch is not epoch:
                return  # The connection was lost meanwhile.
        self._parts = [buffer[at:]] if at < size else []
        self._have = size - at

    def _hand(self, line: bytes, buffer: bytes, begin: int, end: int) -> Awaitable[None] | None:
        tokens = line.decode().split(" ")
        number = int(tokens[2])
        with_headers = line[0] == 72  # H
        reply = tokens[3] if len(tokens) == (6 if with_headers else 5) else ""
        middle = begin + int(tokens[-2]) if with_headers else begin
        raw, data = buffer[begin:middle], buffer[middle:end]
        handler = self.handlers.get(number)
        if handler is None:
            process: Awaitable[None] = self._client._process_msg(  # noqa: SLF001 - there is no public way
                number, tokens[1].encode(), reply.encode(), data, raw or None
            )
            return process
        try:
            handler(Msg(tokens[1], reply, data, raw))
        except Exception:  # noqa: BLE001 - one handler's fault must not end the connection
            _log.exception("a message on %s was not handled", tokens[1])
        return None

    async def _control(self, line: bytes) -> None:
        client = self._client
        if line == b"PING":
            await client._process_ping()  # noqa: SLF001 - nats-py has no other way
        elif line == b"PONG":
            await client._process_pong()  # noqa: SLF001 - nats-py has no other way
        elif line.startswith(b"-ERR"):
            await client._process_err(line[4:].decode("utf-8", "replace").strip().lower())  # noqa: SLF001 - nats-py has no other way
        elif line.startswith(b"INFO "):
            await client._process_info(msgspec.json.decode(line[5:]))  # noqa: SLF001 - nats-py has no other way
        elif line and not line.startswith(b"+OK"):
            raise ProtocolError(f"nats: unknown protocol {line[:40]!r}")
