"""Two caches, one after the other: in this process, then shared by all. A hit is for the clearance it was made under.

Nothing is ever right because a cache says so: what is cached can be made again, and losing all of it costs time only.
"""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from contracts.domains import Clearance
from runtime.errors import UnavailableError
from runtime.telemetry import CACHE_LOOKUPS_TOTAL, Telemetry

ENTRIES_MAX = 10_000
BYTES_MAX = 32 << 20  # of values
AWAY_S = 5.0  # for which a shared cache that did not answer is left alone


class Key(Struct, frozen=True):
    """Which cache (`space`), made under which clearance, of what. Equal keys mean equal content: `what` names all it rests on."""

    space: str
    clearance: Clearance
    what: bytes

    @property
    def text(self) -> str:
        """The key as one token of letters, digits, `-` and `_`."""
        return f"{self.space}-{self.clearance.value}-{hashlib.sha256(self.what).hexdigest()}"


class _Kept(Struct, gc=False):
    """A value here, until when, and whether the shared cache was given it."""

    until: float
    value: bytes
    shared: bool


class SharedCache(Protocol):
    """Bytes under a text, for a while, seen by every process."""

    async def get_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """In the order of the keys (one at least); None where there is no value, or no more. Raises UnavailableError."""
        ...

    async def put_all(self, values: Mapping[str, bytes], *, ttl_s: float) -> None:
        """One value at least. Raises UnavailableError: any of them may be there or not."""
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
        self._entries: OrderedDict[Key, _Kept] = OrderedDict()

    async def get(self, key: Key, *, ttl_s: float) -> bytes | None:
        """What was put under the key; what the shared cache knew is kept here for `ttl_s` more at most."""
        return (await self.get_all([key], ttl_s=ttl_s))[0]

    async def get_all(self, keys: Sequence[Key], *, ttl_s: float) -> list[bytes | None]:
        """As `get`, of several keys of one space at once."""
        kept = [self._from_here(key) for key in keys]
        found = [None if one is None else one.value for one in kept]
        missing = [place for place, value in enumerate(found) if value is None]
        here = len(keys) - len(missing)
        again = {key: one for key, one in zip(keys, kept, strict=True) if one is not None and not one.shared}
        if again:
            await self._share(again, ttl_s)
        shared = 0
        if missing:
            values = await self._from_shared([keys[place] for place in missing])
            for place, value in zip(missing, values, strict=True):
                if value is not None:
                    self._keep(keys[place], value, ttl_s).shared = True
                    found[place] = value
                    shared += 1
        for outcome, amount in (("l1", here), ("l2", shared), ("miss", len(missing) - shared)):
            if amount:
                self._telemetry.count(CACHE_LOOKUPS_TOTAL, amount, space=keys[0].space, outcome=outcome)
        return found

    async def put(self, key: Key, value: bytes, *, ttl_s: float, share: bool = True) -> None:
        """Keep it here, and share it at once; not to `share` is to share it only when it is asked for again here."""
        await self.put_all({key: value}, ttl_s=ttl_s, share=share)

    async def put_all(self, values: Mapping[Key, bytes], *, ttl_s: float, share: bool = True) -> None:
        """As `put`, of several keys of one space at once."""
        kept = {key: self._keep(key, value, ttl_s) for key, value in values.items()}
        if kept and share:
            await self._share(kept, ttl_s)

    async def _share(self, kept: Mapping[Key, _Kept], ttl_s: float) -> None:
        shared = self._reachable()
        if shared is None:
            return
        for one in kept.values():
            one.shared = True
        try:
            await shared.put_all({key.text: one.value for key, one in kept.items()}, ttl_s=ttl_s)
        except UnavailableError:
            self._away_until = self._clock() + AWAY_S
            space = next(iter(kept)).space
            self._telemetry.count(CACHE_LOOKUPS_TOTAL, len(kept), space=space, outcome="unstored")

    async def _from_shared(self, keys: Sequence[Key]) -> list[bytes | None]:
        shared = self._reachable()
        if shared is None:
            return [None] * len(keys)
        try:
            return await shared.get_all([key.text for key in keys])
        except UnavailableError:
            self._away_until = self._clock() + AWAY_S
            return [None] * len(keys)

    def _reachable(self) -> SharedCache | None:
        return self._shared if self._clock() >= self._away_until else None

    def _from_here(self, key: Key) -> _Kept | None:
        found = self._entries.get(key)
        if found is None or self._clock() >= found.until:
            return None
        self._entries.move_to_end(key)
        return found

    def _keep(self, key: Key, value: bytes, ttl_s: float) -> _Kept:
        self._forget(key)
        kept = self._entries[key] = _Kept(self._clock() + ttl_s, value, shared=False)
        self._bytes += len(value)
        while len(self._entries) > self._entries_max or self._bytes > self._bytes_max:
            self._forget(next(iter(self._entries)))
        return kept

    def _forget(self, key: Key) -> None:
        kept = self._entries.pop(key, None)
        self._bytes -= len(kept.value) if kept is not None else 0
