"""Fetching from addresses that strangers chose: nothing but public servers, within bounds of time, size, kind and redirects.

An address is resolved once, every answer is checked, and the connection goes to the very address that was checked, so that a
name which resolves differently a moment later (DNS rebinding) gains nothing. Each redirect is a new address and checked anew.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection
from types import TracebackType
from typing import Self

import httpx
from msgspec import Struct

from runtime.errors import OutcomeError, UnavailableError

SCHEMES = ("http", "https")
PORTS = (80, 443)
URL_CHARS_MAX = 2_000
HEADER_ACCEPT = "text/html,application/xhtml+xml,text/plain;q=0.9,application/pdf;q=0.8"

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host's name. Raises OSError."""

_EMBEDDED = ipaddress.ip_network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address


class Fetched(Struct, frozen=True):
    """`url` after redirects; `media_type` without its parameters, in lower case; `charset` empty where none is said."""

    url: str
    status: int
    media_type: str
    charset: str
    body: bytes


async def resolve(host: str, port: int) -> list[str]:
    """As the system resolves it."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def public(address: str) -> bool:
    """Whether an address is one of the internet's own: not of this machine, a private network, a link, a group, or reserved."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _EMBEDDED:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


async def checked_address(url: httpx.URL, private_hosts: Collection[str], resolver: Resolve) -> str:
    """The address to connect to, once all that the name has were looked at; those of `private_hosts` may be anywhere.

    Raises OutcomeError, UnavailableError.
    """
    port = url.port or (443 if url.scheme == "https" else 80)
    private = f"{url.host.lower()}:{port}" in private_hosts
    if not private and port not in PORTS:
        raise OutcomeError(f"{_shown(url)} is not fetched: port {port} is not one of the web's")
    try:
        addresses = await resolver(url.host, port)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(url.host, "its name is not known") from error
    if not addresses:
        raise UnavailableError(url.host, "its name has no address")
    if not private and not all(map(public, addresses)):
        raise OutcomeError(f"{_shown(url)} is not fetched: it leads to an address that is not public")
    return addresses[0]


class GuardedHttp:
    """GET requests. `private_hosts`: `HOST:PORT` that are asked wherever they are, such as a server of one's own network."""

    def __init__(
        self,
        *,
        user_agent: str,
        private_hosts: Collection[str] = (),
        redirects_max: int = 4,
        resolver: Resolve = resolve,
    ) -> None:
        self._private = frozenset(host.lower() for host in private_hosts)
        self._redirects_max = redirects_max
        self._resolve = resolver
        # No proxy, no cookies, no .netrc of ours; compressed bodies are not asked for, for they may be a thousand times as large.
        headers = {"User-Agent": user_agent, "Accept": HEADER_ACCEPT, "Accept-Encoding": "identity"}
        self._client = httpx.AsyncClient(headers=headers, trust_env=False, timeout=None)  # noqa: S113 - `get` has one for all

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    async def get(
        self,
        url: str,
        *,
        bytes_max: int,
        media_types: Collection[str] = (),
        allowed: Callable[[httpx.URL], Awaitable[None]] | None = None,
    ) -> Fetched:
        """What is there, redirects followed. `allowed` is asked before each request and raises OutcomeError to refuse it.

        Raises OutcomeError: it may not be fetched, or is not what was wanted. UnavailableError: no answer.
        """
        at = _address(url)
        for _ in range(self._redirects_max + 1):
            pinned = await checked_address(at, self._private, self._resolve)
            if allowed is not None:
                await allowed(at)
            answer = await self._once(at, pinned, bytes_max, media_types)
            if isinstance(answer, Fetched):
                return answer
            at = _address(str(at.join(answer)))
        raise OutcomeError(f"{_shown(at)} is behind more than {self._redirects_max} redirects")

    async def _once(self, url: httpx.URL, address: str, bytes_max: int, media_types: Collection[str]) -> Fetched | str:
        """One answer; of a redirect where it leads."""
        request = self._client.build_request(
            "GET",
            url.copy_with(host=address, fragment=None),
            headers={"Host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.host, "timeout": {}},
        )
        try:
            response = await self._client.send(request, stream=True, follow_redirects=False)
        except httpx.HTTPError as error:
            raise UnavailableError(url.host, str(error) or type(error).__name__) from error
        try:
            self._client.cookies.clear()
            if response.is_redirect and "location" in response.headers:
                return response.headers["location"]
            return await _body(response, url, bytes_max, media_types)
        except httpx.HTTPError as error:
            raise UnavailableError(url.host, f"it broke off: {str(error) or type(error).__name__}") from error
        finally:
            await response.aclose()


async def _body(response: httpx.Response, url: httpx.URL, bytes_max: int, media_types: Collection[str]) -> Fetched:
    said = response.headers.get("content-type", "")
    media_type = said.partition(";")[0].strip().lower()
    if response.is_success and media_types and media_type not in media_types:
        raise OutcomeError(f"{_shown(url)} is {media_type or 'of no kind that it says'}, which is not read")
    if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise OutcomeError(f"{_shown(url)} is compressed, though that was not asked for")
    too_long = OutcomeError(f"{_shown(url)} is longer than {bytes_max:,} bytes")
    said_bytes = response.headers.get("content-length", "")
    if said_bytes.isdecimal() and len(said_bytes) < 20 and int(said_bytes) > bytes_max:
        raise too_long
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > bytes_max:
            raise too_long
    return Fetched(str(url), response.status_code, media_type, response.charset_encoding or "", bytes(body))


def _address(url: str) -> httpx.URL:
    """Raises OutcomeError for what is no address of the web."""
    if len(url) > URL_CHARS_MAX:
        raise OutcomeError(f"an address is longer than {URL_CHARS_MAX:,} characters")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise OutcomeError("an address cannot be read") from error
    if parsed.scheme not in SCHEMES or not parsed.host:
        raise OutcomeError(f"{_shown(parsed)} is not fetched: only http and https are")
    if parsed.userinfo:
        raise OutcomeError(f"{_shown(parsed)} is not fetched: it has a user's name in it")
    return parsed


def _shown(url: httpx.URL) -> str:
    """Without a password that may be in it."""
    return str(url.copy_with(username=None, password=None))[:200]
