"""Reading a request: its body, parameters and headers, checked against the row before anything happens."""

import asyncio
import contextlib
import re
from datetime import datetime
from typing import Any

import msgspec
from falcon.asgi import Request
from msgspec import Struct

from gateway.problems import NO_TOKEN, ProblemError, UnauthenticatedError, ValidationProblemError, invalid_json
from gateway.rows import MEDIA_JSON, Route

MEDIA_STREAM = "text/event-stream"
BODY_S_MAX = 60.0
CHUNK_BYTES = 65_536
DRAIN_BYTES_MAX = 16 * 1024 * 1024
DRAIN_S_MAX = 2.0
_NUL = "\x00"
_PREFER = re.compile(r"\s*(respond-async|wait\s*=\s*\"?(\d{1,9})\"?)\s*(?:;.*)?", re.IGNORECASE)


class _Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """What a path takes whose row has no request type: no body, or an empty object."""


def bearer(request: Request) -> str:
    """The token of the Authorization header. Raises UnauthenticatedError."""
    scheme, _, token = (request.get_header("Authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError(NO_TOKEN)
    return token.strip()


def wants_stream(request: Request, route: Route) -> bool:
    """Whether to answer with server-sent events. Raises ProblemError 406 when nothing we have is acceptable."""
    if request.get_header("Accept", default="*/*") == "*/*":
        return False
    streams = route.streams and request.method != "HEAD"
    offers = [route.media, MEDIA_STREAM] if streams else [route.media]
    chosen = request.client_prefers(offers)
    if chosen is None:
        raise ProblemError(406, "not-acceptable", f"this path answers with {' or '.join(offers)}")
    return chosen == MEDIA_STREAM


def wait_seconds(request: Request, default: float, maximum: float) -> tuple[float, str | None]:
    """How long to wait for the result, and what of `Prefer` (RFC 7240) was honoured; unknown preferences are ignored."""
    for preference in (request.get_header("Prefer") or "").split(","):
        match = _PREFER.fullmatch(preference)
        if match and match[2] is None:
            return 0.0, "respond-async"
        if match:
            seconds = min(float(match[2]), maximum)
            return seconds, f"wait={seconds:g}"
    return default, None


class Room:
    """Bounds the bodies that are in memory at once, over all requests."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self.held = 0

    def take(self, size: int) -> None:
        """Raises ProblemError 503 when there is no room for them."""
        if self.held + size > self._bytes_max:
            raise ProblemError(503, "full", "too many bodies at once; try again", headers={"Retry-After": "1"})
        self.held += size

    def release(self, size: int) -> None:
        self.held -= size


async def body_of(request: Request, route: Route, room: Room, *, bytes_max: int) -> bytes:
    """The bytes sent, which are in `room` until the caller releases them; none where the row takes none.

    Raises ProblemError: 408 too slow, 413 over the limit, 415 not JSON, 400 cut short, 503 no room, 422 no body is taken.
    """
    if route.method == "GET":
        return b""
    if route.request not in (None, bytes):
        _require_json(request, optional=route.optional)
    body = await _received(request, room, bytes_max)
    if route.request is not None:
        return body
    room.release(len(body))
    _refuse_body(request, body)
    return b""


async def _received(request: Request, room: Room, bytes_max: int) -> bytes:
    announced = _content_length(request)
    if announced is not None and announced > bytes_max:
        raise _too_large(bytes_max)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S_MAX):
            async for chunk in request.stream:  # as it comes: `read` would gather more than is counted
                room.take(len(chunk))
                body += chunk
                if len(body) > bytes_max:
                    raise _too_large(bytes_max)
        if announced is not None and len(body) != announced:
            raise ValidationProblemError("$", "the body is shorter than its Content-Length", status=400)
    except TimeoutError as error:
        room.release(len(body))
        raise ProblemError(408, "slow", f"the body did not arrive within {BODY_S_MAX:g} s") from error
    except BaseException:
        room.release(len(body))
        raise
    return bytes(body)


async def drain(request: Request) -> None:
    """Take in what is left of a body that is refused: a client still sending would lose our answer to a reset connection.

    Bounded in bytes and time; whoever sends more may lose it.
    """
    taken = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S_MAX):
            while taken < DRAIN_BYTES_MAX and (chunk := await request.stream.read(CHUNK_BYTES)):
                taken += len(chunk)


def decoded(route: Route, body: bytes) -> Any:
    """The body as the row's request type. Raises ValidationProblemError naming the field."""
    if route.request is None:
        return None
    if route.request is bytes:
        return body
    if route.optional and not body:
        return route.request()
    request = _as(route.request, body)
    if rb"\u0000" in body:
        _refuse_nul(msgspec.json.decode(body), "$")
    return request


def parameters(request: Request, route: Route) -> Any:
    """The query parameters as the row's query type; None where it has none. Raises ValidationProblemError naming one."""
    given: dict[str, Any] = dict(request.params)
    for name, value in given.items():
        if isinstance(value, list):
            raise ValidationProblemError(name[:100], "is given more than once")
        _refuse_nul(value, name[:100])
    if route.query is None:
        for name in given:
            raise ValidationProblemError(name[:100], "is no parameter of this path")
        return None
    try:
        query = msgspec.convert(given, route.query, strict=False)
    except msgspec.ValidationError as error:
        raise invalid_json(error, route.query, "query") from error
    for name, value in given.items():
        if isinstance(getattr(query, name), datetime) and _is_number(value):
            raise ValidationProblemError(name, "must be a date and time (RFC 3339), such as 2026-01-31T12:00:00Z")
    return query


def _require_json(request: Request, *, optional: bool) -> None:
    """Raises ProblemError 415. `optional`: there may be no type, as where there is no body."""
    media = (request.content_type or "").partition(";")[0].strip().lower()
    if media != MEDIA_JSON and not (optional and not media):
        raise ProblemError(415, "not-json", f"send {MEDIA_JSON}", headers={"Accept": MEDIA_JSON})


def _refuse_body(request: Request, body: bytes) -> None:
    """Whoever sends fields to a path that takes none means something that would not happen. An empty object is none."""
    if body:
        _require_json(request, optional=True)
        _as(_Nothing, body)


def _as(kind: Any, body: bytes) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise invalid_json(error, kind) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValidationProblemError("$", "not readable as JSON", status=400) from error


def _is_number(text: str) -> bool:
    """Whether msgspec would take the text for seconds since 1970: nobody who writes a year means those."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _content_length(request: Request) -> int | None:
    text = request.get_header("Content-Length")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise ValidationProblemError("Content-Length", "is not a number of bytes", status=400)
    return int(text[:18])


def _too_large(limit: int) -> ProblemError:
    return ProblemError(413, "too-large", f"the body may have at most {limit} bytes")


def _refuse_nul(value: Any, path: str) -> None:
    """Text with U+0000 cannot be kept by the database, and nobody means it."""
    if isinstance(value, str) and _NUL in value:
        raise ValidationProblemError(path, "must not contain the character U+0000")
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_nul(key, path)
            _refuse_nul(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _refuse_nul(inner, f"{path}[{number}]")
