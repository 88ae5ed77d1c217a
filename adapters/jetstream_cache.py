"""A shared cache on a JetStream stream in the broker's memory: one message a key, with a time to live of its own."""

import math
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, Msg
from adapters.nats_wire import header_lines
from contracts import subjects
from runtime.errors import UnavailableError

ANSWER_S_MAX = 0.5
"""A cache that takes longer helps nobody."""

KEYS_MAX = 512
"""Of one request: the server gives 1,024 messages for one."""

TTL_HEADER = "Nats-TTL"


class _Get(Struct):
    multi_last: list[str]


class JetStreamCache:
    """A SharedCache for all processes of one broker. Full, it forgets the oldest; a restart of the broker empties it.

    Many keys are read by one request, which costs the broker a message for those that are not there; many values are sent
    together, and only the last is acknowledged, after the others were taken.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def get_all(self, keys: Sequence[str]) -> list[bytes | None]:
        if len(keys) == 1:
            return [await self._get(keys[0])]
        found: dict[str, bytes] = {}
        for start in range(0, len(keys), KEYS_MAX):
            found |= await self._some(keys[start : start + KEYS_MAX])
        return [found.get(subjects.cached(key)) for key in keys]

    async def put_all(self, values: Mapping[str, bytes], *, ttl_s: float) -> None:
        """The broker counts whole seconds: a part of one is a whole one."""
        headers = {TTL_HEADER: f"{math.ceil(ttl_s)}s"}
        lines = header_lines(headers)
        *firsts, last = values
        frames = [self._broker.checked(subjects.cached(key), values[key], lines=lines) for key in firsts]
        if frames:
            self._broker.send(b"".join(frames))
        await self._broker.store(subjects.cached(last), values[last], headers, timeout_s=ANSWER_S_MAX)

    async def _get(self, key: str) -> bytes | None:
        request = f"$JS.API.DIRECT.GET.{subjects.CACHE_STREAM}.{subjects.cached(key)}"
        msg = await self._broker.request(request, timeout_s=ANSWER_S_MAX)
        if not msg.has_status:
            return msg.data
        _check(msg, key)
        return None

    async def _some(self, keys: Sequence[str]) -> dict[str, bytes]:
        """What there is of these, by subject."""
        request = msgspec.json.encode(_Get([subjects.cached(key) for key in keys]))
        subject = f"$JS.API.DIRECT.GET.{subjects.CACHE_STREAM}"
        parts, end = await self._broker.collect_as(_subject_and_data, subject, request, timeout_s=ANSWER_S_MAX)
        _check(end, f"{len(keys)} keys")
        return dict(parts)


def _subject_and_data(msg: Msg) -> tuple[str, bytes]:
    return (msg.headers or {})["Nats-Subject"], msg.data


def _check(status: Msg, what: str) -> None:
    """Raises UnavailableError, unless the server says that there is no more, or nothing."""
    headers = status.headers or {}
    if headers.get("Status") not in ("204", "404"):
        raise UnavailableError("broker", f"reading {what}: {headers.get('Status')} {headers.get('Description', '')}")
