"""A shared cache in this process: for tests, and the reference for the others."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

BYTES_MAX = 64 << 20


class MemoryCache:
    """A SharedCache that lasts as long as the object; when it is full the oldest goes."""

    def __init__(self, *, bytes_max: int = BYTES_MAX, clock: Callable[[], float] = time.monotonic) -> None:
        self._bytes_max = bytes_max
        self._clock = clock
        self._bytes = 0
        self._values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    async def get_all(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._get(key) for key in keys]

    async def put_all(self, values: Mapping[str, bytes], *, ttl_s: float) -> None:
        for key, value in values.items():
            self._put(key, value, ttl_s)

    def _get(self, key: str) -> bytes | None:
        until, value = self._values.get(key, (0.0, b""))
        return value if self._clock() < until else None

    def _put(self, key: str, value: bytes, ttl_s: float) -> None:
        self._forget(key)
        self._values[key] = self._clock() + ttl_s, value
        self._bytes += len(value)
        while self._bytes > self._bytes_max and len(self._values) > 1:
            self._forget(next(iter(self._values)))

    def _forget(self, key: str) -> None:
        _, value = self._values.pop(key, (0.0, b""))
        self._bytes -= len(value)
