"""The gateway over HTTP, as the commands use it: typed replies, streams, and failures as one line with a remedy.

GatewayError                  the gateway answered with a problem document
UnreachableError              it did not answer at all
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx
import msgspec
from msgspec import Struct

from contracts.http import Problem
from runtime.errors import DiarchyError

if TYPE_CHECKING:
    from deploy.settings import Settings
    from gateway.identity import Principal

T = TypeVar("T")
CORRELATION_HEADER = "Diarchy-Correlation-Id"
READ_S_MAX = 150.0  # above the longest wait a request may ask for
CONNECT_S_MAX = 5.0
STREAM_SILENCE_S_MAX = 60.0  # heartbeats come every 15 s
TOKEN_S = 3_600
TOKEN_MARGIN_S = 300
RETRY_S_MIN = 0.2
RETRY_S_MAX = 30.0

TokenSource = Callable[[], str]
OnWait = Callable[[float, str], None]
"""Told before each wait of a patient request: seconds, and why."""


class GatewayError(DiarchyError):
    """The gateway refused or failed; the text is the problem's, with its fields and permission."""

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        super().__init__(_told(problem))
        self.problem = problem
        self.status = problem.status
        self.retry_after_s = retry_after_s

    @property
    def passes(self) -> bool:
        """Whether waiting may help."""
        return self.status in (429, 503)


class UnreachableError(DiarchyError):
    """Nobody answers at the gateway's address, or the connection broke. `passes`: it did answer before."""

    def __init__(self, text: str, *, passes: bool) -> None:
        super().__init__(text)
        self.passes = passes


class Reply(Struct, frozen=True):
    """A success: status, correlation id of the run, body."""

    status: int
    correlation: str
    body: bytes


class ServerEvent(Struct, frozen=True):
    """One server-sent event; `id` is empty where the stream gave none."""

    name: str
    id: str
    data: bytes


class Gateway:
    """A client of one gateway; close it, or use it as an async context."""

    def __init__(self, url: str, token: TokenSource, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._reached = False
        timeout = httpx.Timeout(READ_S_MAX, connect=CONNECT_S_MAX)
        limits = httpx.Limits(max_connections=128, max_keepalive_connections=128)
        # `trust_env=False`: a proxy of the environment must not come between us and a stack on this machine.
        self._http = httpx.AsyncClient(
            base_url=self.url, timeout=timeout, limits=limits, transport=transport, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str, kind: type[T], parameters: Mapping[str, object] | None = None) -> T:
        """The reply of a GET; parameters at None are left out. Raises GatewayError, UnreachableError."""
        return _decoded(await self.send("GET", path, parameters=parameters), kind)

    async def post(self, path: str, body: Struct, kind: type[T], *, headers: Mapping[str, str] | None = None) -> T:
        """The reply of a POST. Raises GatewayError, UnreachableError."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        return _decoded(await self.send("POST", path, content=msgspec.json.encode(body), headers=sent), kind)

    async def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, object] | None = None,
    ) -> Reply:
        """Any request. Raises GatewayError for a problem, UnreachableError."""
        try:
            response = await self._http.request(
                method, path, content=content, headers=self._headers(headers), params=_given(parameters)
            )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        self._reached = True
        _demand_success(response, response.content)
        return Reply(response.status_code, response.headers.get(CORRELATION_HEADER, ""), response.content)

    async def stream(
        self,
        method: str,
        path: str,
        *,
        body: Struct | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, object] | None = None,
        on_open: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[ServerEvent, None]:
        """The events of a stream until it ends; `on_open` is called once the gateway has begun it.

        Raises GatewayError, also for a `problem` in the stream, UnreachableError.
        """
        sent = self._headers({**(headers or {}), "Accept": "text/event-stream"})
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            sent["Content-Type"] = "application/json"
        timeout = httpx.Timeout(STREAM_SILENCE_S_MAX, connect=CONNECT_S_MAX)
        try:
            async with self._http.stream(
                method, path, content=content, headers=sent, params=_given(parameters), timeout=timeout
            ) as response:
                self._reached = True
                if response.is_error:
                    _demand_success(response, await response.aread())
                on_open()
                async for event in parse_events(response.aiter_lines()):
                    if event.name == "problem":
                        raise GatewayError(msgspec.json.decode(event.data, type=Problem))
                    yield event
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _headers(self, more: Mapping[str, str] | None) -> dict[str, str]:
        token = self._token()
        return {**({"Authorization": f"Bearer {token}"} if token else {}), **(more or {})}

    def _unreachable(self, error: httpx.HTTPError) -> UnreachableError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return UnreachableError(
                f"no gateway answers at {self.url}; start one with `diarchy up`, or name another with --url or --data",
                passes=self._reached,
            )
        return self.ended(str(error) or type(error).__name__)

    def ended(self, how: str) -> UnreachableError:
        """The error for an answer that broke off."""
        return UnreachableError(f"the gateway at {self.url} broke off: {how}", passes=self._reached)


async def patiently(
    request: Callable[[], Awaitable[T]], *, patience_s: float, on_wait: OnWait = lambda _s, _why: None
) -> T:
    """The request's result; 429, 503 and lost connections are tried again as long as the patience lasts.

    The patience begins anew after a request that lasted longer than it; a gateway that never answered gets none. Only for
    requests whose repeat is harmless. Waits as `Retry-After` says, else from 0.2 s doubling up to 30 s.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + patience_s
    pause_s = RETRY_S_MIN
    while True:
        began = loop.time()
        try:
            return await request()
        except (GatewayError, UnreachableError) as error:
            asked_s = error.retry_after_s if isinstance(error, GatewayError) else None
            if not error.passes:
                raise
            if loop.time() - began > patience_s:
                end, pause_s = loop.time() + patience_s, RETRY_S_MIN
            wait_s = pause_s if asked_s is None else asked_s
            if loop.time() + wait_s > end:
                raise
            on_wait(wait_s, str(error))
            await asyncio.sleep(wait_s)
            pause_s = min(2 * pause_s, RETRY_S_MAX)


async def parse_events(lines: AsyncIterator[str]) -> AsyncIterator[ServerEvent]:
    """The events of a text/event-stream, comments left out."""
    name, identity, data = "message", "", list[str]()
    async for line in lines:
        if not line:
            if data:
                yield ServerEvent(name, identity, "\n".join(data).encode())
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                name = value
            case "id":
                identity = value
            case "data":
                data.append(value)
            case _:
                pass  # A comment (no name) or a field that means nothing to us.


# As whom -------------------------------------------------------------------------------------------------------------


class LocalKey:
    """Signs tokens with the key in a data folder: whoever may read it operates the stack."""

    def __init__(self, path: Path) -> None:
        """Raises DiarchyError where the key is not there or not ours to read."""
        from gateway.identity import Tokens

        try:
            self._tokens = Tokens(path.read_bytes())
        except FileNotFoundError:
            raise DiarchyError(
                f"there is no key {path}, which the first start makes: start the stack with `diarchy up`, name its folder "
                "with --data, or give a token with --token"
            ) from None
        except OSError as error:
            raise DiarchyError(f"cannot read the key {path}: {error.strerror}; give a token with --token") from error
        except (TypeError, ValueError) as error:
            raise DiarchyError(f"{path} is not an Ed25519 private key in PEM ({error}); restore it") from error

    def token(self, principal: "Principal", *, lifetime_s: int = TOKEN_S) -> str:
        return self._tokens.issue(principal, datetime.now(UTC), lifetime_s=lifetime_s)

    def source(self, principal: "Principal") -> TokenSource:
        """Tokens for a principal, a new one whenever the last is about to expire."""
        issued: tuple[datetime, str] | None = None

        def give() -> str:
            nonlocal issued
            now = datetime.now(UTC)
            if issued is None or now - issued[0] > timedelta(seconds=TOKEN_S - TOKEN_MARGIN_S):
                issued = (now, self.token(principal))
            return issued[1]

        return give


def operator(settings: "Settings") -> "Principal":
    """The administrator, cleared for everything: who holds the key of the data folder."""
    from contracts.domains import Clearance
    from gateway.identity import Principal

    return Principal(username=settings.gateway.admin_username, roles=("admin",), clearance=Clearance.TOP_SECRET)


def _given(parameters: Mapping[str, object] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (parameters or {}).items() if value is not None}


def _decoded(reply: Reply, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except msgspec.DecodeError as error:
        raise DiarchyError(
            f"the gateway's answer is not what was expected ({error}); is it of another version?"
        ) from error


def _demand_success(response: httpx.Response, body: bytes) -> None:
    if not response.is_error:
        return
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.DecodeError:
        problem = Problem(type="about:blank", title=response.reason_phrase, status=response.status_code)
    raise GatewayError(problem, _seconds(response.headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    """Of a Retry-After header; None where there is none or it is a date."""
    try:
        return max(0.0, float(text or ""))
    except ValueError:
        return None


def _told(problem: Problem) -> str:
    text = problem.detail or problem.title
    fields = "; ".join(f"{error.field}: {error.detail}" for error in problem.errors)
    if fields and not any(error.detail in text for error in problem.errors):
        text = f"{text} ({fields})"
    if problem.permission and problem.permission not in text:
        text = f"{text} (needs {problem.permission})"
    return f"{text} [{problem.status}]"


def pretty_json(value: object) -> str:
    """For --json of one document."""
    plain: Any = msgspec.to_builtins(value)
    return json.dumps(plain, indent=2, ensure_ascii=False)
