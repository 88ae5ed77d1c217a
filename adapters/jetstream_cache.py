"""A shared cache on a JetStream stream in the broker's memory: one message a key, with a time to live of its own."""

import math

from adapters.jetstream import Broker
from contracts import subjects
from runtime.errors import UnavailableError

ANSWER_S_MAX = 0.5
"""A cache that takes longer helps nobody."""

TTL_HEADER = "Nats-TTL"


class JetStreamCache:
    """A SharedCache for all processes of one broker. Full, it forgets the oldest; a restart of the broker empties it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def get(self, key: str) -> bytes | None:
        request = f"$JS.API.DIRECT.GET.{subjects.CACHE_STREAM}.{subjects.cached(key)}"
        msg = await self._broker.request(request, timeout_s=ANSWER_S_MAX)
        headers = msg.headers or {}
        if (status := headers.get("Status")) is None:
            return msg.data
        if status == "404":
            return None
        raise UnavailableError("broker", f"reading {key}: {status} {headers.get('Description', '')}")

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """The broker counts whole seconds: a part of one is a whole one."""
        headers = {TTL_HEADER: f"{math.ceil(ttl_s)}s"}
        await self._broker.store(subjects.cached(key), value, headers, timeout_s=ANSWER_S_MAX)
