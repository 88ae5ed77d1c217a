"""Two caches, one after the other: in this process, then shared by all. A hit is for the clearance it was made under.

Nothing is ever right because a cache says so: what is cached can be made again, and losing all of it costs time only.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from contracts.domains import Clearance
from runtime.errors import UnavailableError
from runtime.telemetry import CACHE_LOOKUPS_TOTAL, Telemetry

ENTRIES_MAX = 10_000


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

    Every lookup is counted: `CACHE_LOOKUPS_TOTAL` with the space, and `l1`, `l2` or `miss`.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        shared: SharedCache | None = None,
        *,
        entries_max: int = ENTRIES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._telemetry = telemetry
        self._shared = shared
        self._entries_max = entries_max
        self._clock = clock
        self._entries: OrderedDict[Key, tuple[float, bytes]] = OrderedDict()

    async def get(self, key: Key, *, ttl_s: float) -> bytes | None:
        """What was put under the key; what the shared cache knew is kept here for `ttl_s` more at most."""
        found = self._entries.get(key)
        if found is not None and self._clock() < found[0]:
            self._entries.move_to_end(key)
            self._count(key, "l1")
            return found[1]
        value = await self._from_shared(key)
        if value is not None:
            self._keep(key, value, ttl_s)
        self._count(key, "miss" if value is None else "l2")
        return value

    async def put(self, key: Key, value: bytes, *, ttl_s: float) -> None:
        self._keep(key, value, ttl_s)
        if self._shared is not None:
            try:
                await self._shared.put(key.text, value, ttl_s=ttl_s)
            except UnavailableError:
                self._count(key, "unstored")

    async def _from_shared(self, key: Key) -> bytes | None:
        if self._shared is None:
            return None
        try:
            return await self._shared.get(key.text)
        except UnavailableError:
            return None

    def _keep(self, key: Key, value: bytes, ttl_s: float) -> None:
        self._entries[key] = self._clock() + ttl_s, value
        self._entries.move_to_end(key)
        if len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)

    def _count(self, key: Key, outcome: str) -> None:
        self._telemetry.count(CACHE_LOOKUPS_TOTAL, space=key.space, outcome=outcome)
