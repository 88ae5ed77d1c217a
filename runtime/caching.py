"""Two caches, one after the other: in this process, then shared by all. A hit is for the clearance it was made under.

Nothing is ever right because a cache says so: what is cached can be made again, and losing all of it costs time only.
"""

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from contracts.domains import Clearance
from runtime.errors import UnavailableError
from runtime.telemetry import CACHE_LOOKUPS_TOTAL, Telemetry

ENTRIES_MAX = 10_000
BYTES_MAX = 32 << 20  # of values
AWAY_S = 5.0  # for which a shared cache that did not answer is left alone

T = TypeVar("T")


class Key(Struct, frozen=True):
    """Which cache (`space`), made under which clearance, of what. Equal keys mean equal content: `what` names all it rests on."""

    space: str
    clearance: Clearance
    what: bytes

    @property
    def text(self) -> str:
        """The key as one token of letters, digits, `-` and `_`."""
        return f"{self.space}-{self.clearance.value}-{hashlib.sha256(self.what).hexdigest()}"


class SharedCache(Protocol):
    """Bytes under a text, for a while, seen by every process."""

    async def get(self, key: str) -> bytes | None:
        """None where there is none, or no more. Raises UnavailableError."""
        ...

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Raises UnavailableError."""
        ...


class Cache:
    """L1 in this process, bounded; L2 shared, where there is one. An L2 that is away is no error: it misses.

    Whoever found it away does not ask it for AWAY_S. Every lookup is counted: `CACHE_LOOKUPS_TOTAL` with the space, and `l1`,
    `l2` or `miss`; what L2 did not take, as `unstored`.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        shared: SharedCache | None = None,
        *,
        entries_max: int = ENTRIES_MAX,
        bytes_max: int = BYTES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._telemetry = telemetry
        self._shared = shared
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._clock = clock
        self._away_until = -math.inf
        self._entries: OrderedDict[Key, tuple[float, bytes]] = OrderedDict()

    async def get(self, key: Key, *, ttl_s: float) -> bytes | None:
        """What was put under the key; what the shared cache knew is kept here for `ttl_s` more at most."""
        return (await self.get_all([key], ttl_s=ttl_s))[0]

    async def get_all(self, keys: Sequence[Key], *, ttl_s: float) -> list[bytes | None]:
        """As `get`, of several keys of one space at once."""
        found = [self._from_here(key) for key in keys]
        missing = [place for place, value in enumerate(found) if value is None]
        here = len(keys) - len(missing)
        shared = 0
        if missing and self._reachable() is not None:
            values = await self._from_shared([keys[place] for place in missing])
            for place, value in zip(missing, values, strict=True):
                if value is not None:
                    self._keep(keys[place], value, ttl_s)
                    found[place] = value
                    shared += 1
        for outcome, amount in (("l1", here), ("l2", shared), ("miss", len(missing) - shared)):
            if amount:
                self._telemetry.count(CACHE_LOOKUPS_TOTAL, amount, space=keys[0].space, outcome=outcome)
        return found

    async def put(self, key: Key, value: bytes, *, ttl_s: float) -> None:
        await self.put_all({key: value}, ttl_s=ttl_s)

    async def put_all(self, values: Mapping[Key, bytes], *, ttl_s: float) -> None:
        for key, value in values.items():
            self._keep(key, value, ttl_s)
        shared = self._reachable()
        if shared is None:
            return
        putting = [shared.put(key.text, value, ttl_s=ttl_s) for key, value in values.items()]
        ended = await _each(putting)
        for key, one in zip(values, ended, strict=True):
            if isinstance(one, UnavailableError):
                self._away_until = self._clock() + AWAY_S
                self._telemetry.count(CACHE_LOOKUPS_TOTAL, space=key.space, outcome="unstored")

    async def _from_shared(self, keys: Sequence[Key]) -> list[bytes | None]:
        shared = self._reachable()
        if shared is None:
            return [None] * len(keys)
        ended = await _each([shared.get(key.text) for key in keys])
        if any(isinstance(one, UnavailableError) for one in ended):
            self._away_until = self._clock() + AWAY_S
        return [None if isinstance(one, UnavailableError) else one for one in ended]

    def _reachable(self) -> SharedCache | None:
        return self._shared if self._clock() >= self._away_until else None

    def _from_here(self, key: Key) -> bytes | None:
        found = self._entries.get(key)
        if found is None or self._clock() >= found[0]:
            return None
        self._entries.move_to_end(key)
        return found[1]

    def _keep(self, key: Key, value: bytes, ttl_s: float) -> None:
        self._forget(key)
        self._entries[key] = self._clock() + ttl_s, value
        self._bytes += len(value)
        while len(self._entries) > self._entries_max or self._bytes > self._bytes_max:
            self._forget(next(iter(self._entries)))

    def _forget(self, key: Key) -> None:
        _, value = self._entries.pop(key, (0.0, b""))
        self._bytes -= len(value)


async def _each(work: Sequence[Coroutine[Any, Any, T]]) -> list[T | UnavailableError]:
    """The outcome of each, in order."""

    async def one(part: Coroutine[Any, Any, T]) -> T | UnavailableError:
        try:
            return await part
        except UnavailableError as error:
            return error

    if len(work) == 1:
        return [await one(work[0])]
    return await asyncio.gather(*map(one, work))
