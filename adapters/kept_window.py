"""Reading what a stream of telemetry kept within a window of time: page after page, by direct gets."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Struct, UnsetType
from nats.aio.msg import Msg

from adapters.jetstream import Broker
from runtime.errors import UnavailableError

PAGE_MESSAGES_MAX = 500
PAGE_BYTES_MAX = 4 << 20


class _Get(Struct, omit_defaults=True):
    next_by_subj: str
    batch: int
    max_bytes: int
    seq: int | UnsetType = UNSET
    start_time: str | UnsetType = UNSET


async def pages(
    broker: Broker, stream: str, subject: str, *, since: datetime, until: datetime
) -> AsyncIterator[list[Msg]]:
    """The messages that the stream stored from `since` to before `until`, in order. Raises UnavailableError."""
    get = _Get(subject, PAGE_MESSAGES_MAX, PAGE_BYTES_MAX, start_time=_rfc3339(since))
    while True:
        *parts, end = await broker.collect(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(get))
        headers = end.headers or {}
        if headers.get("Status") not in ("204", "404"):
            raise UnavailableError("broker", f"reading {subject}: {headers.get('Description', 'no status')}")
        wanted = [part for part in parts if _stored_at(part) < until]
        if wanted:
            yield wanted
        if len(wanted) < len(parts) or not parts or int(headers.get("Nats-Num-Pending", 0)) == 0:
            return
        get = _Get(subject, PAGE_MESSAGES_MAX, PAGE_BYTES_MAX, seq=int((parts[-1].headers or {})["Nats-Sequence"]) + 1)


def _stored_at(message: Msg) -> datetime:
    return datetime.fromisoformat((message.headers or {})["Nats-Time-Stamp"])


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
