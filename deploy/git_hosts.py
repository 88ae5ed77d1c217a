"""Repositories that questions name by a URL: those of the hosts that the operator lets them name, fetched over HTTPS.

A host is asked at public addresses only, at port 443; one that the operator gave a port may be anywhere, and may speak HTTP. Its
name is resolved once, every answer is checked, and the process that fetches connects to the address that was checked.
"""

import asyncio
from collections.abc import Collection

import httpx

from adapters.web_guard import Resolve, checked_address, resolve
from contracts.domains import Clearance
from deploy.packing import Packer
from runtime.errors import OutcomeError, UnavailableError
from runtime.named_repositories import Naming, PackedRepository

RESOLVE_S_MAX = 10.0
PORTS = {"https": 443, "http": 80}


class AllowedHosts:
    """NamedRepositories of `hosts`: each `HOST` or `HOST:PORT`. Questions above `label_max` are not told to them."""

    def __init__(
        self,
        hosts: Collection[str],
        packer: Packer,
        *,
        label: Clearance,
        label_max: Clearance,
        resolver: Resolve = resolve,
    ) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._packer = packer
        self._label = label
        self._label_max = label_max
        self._resolve = resolver

    async def read(self, naming: Naming) -> PackedRepository:
        place, _, ref = naming.place.partition("#")
        url = _url(place)
        if not self._names(url) or self._label > naming.clearance:  # In one sentence, as for folders.
            raise OutcomeError(
                f"{naming.place} is not read: its host is none of those that the operator lets questions name"
                " (repositories.hosts), or it is above your clearance",
                code="input",
            )
        if naming.label > self._label_max:
            raise OutcomeError(
                f"{naming.place} is not read: the question is {naming.label.value}, and other hosts are told only of those that"
                f" are {self._label_max.value} or below (ask it with a lower confidentiality, or set repositories.label_max)",
                code="input",
            )
        address = await self._address(naming.place, url)
        packed = await self._packer.packed(naming.place, "deploy.git_fetch", [str(url), address, ref])
        return PackedRepository(content=packed.content, text=packed.text, label=self._label)

    def _names(self, url: httpx.URL) -> bool:
        port = PORTS[url.scheme] if url.port is None else url.port
        if f"{url.host}:{port}" in self._hosts:
            return True
        return url.scheme == "https" and port == PORTS["https"] and url.host in self._hosts

    async def _address(self, place: str, url: httpx.URL) -> str:
        try:
            async with asyncio.timeout(RESOLVE_S_MAX):
                return await checked_address(url, self._hosts, self._resolve)
        except (UnavailableError, TimeoutError) as error:
            raise OutcomeError(f"{place} is not read: the name of its host is not known now") from error
        except OutcomeError as error:
            raise OutcomeError(
                f"{place} is not read: its host is at an address that is not public; an operator who means that names it with"
                " its port (repositories.hosts)",
                code="input",
            ) from error


def _url(place: str) -> httpx.URL:
    """Raises OutcomeError, which does not show what may hold somebody's key."""
    try:
        url = httpx.URL(place)
    except (httpx.InvalidURL, ValueError, UnicodeError):
        url = httpx.URL()
    if url.scheme not in PORTS or not url.host or url.userinfo or url.query:
        raise OutcomeError(
            "the repository is not read: its address must be https://HOST/PATH, with #BRANCH where one is meant, and hold no"
            " user's name and no query",
            code="input",
        )
    return url
