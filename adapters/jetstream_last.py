"""What a stream holds last, as its leader knows it.

What a consumer says is pending cannot be asked instead: the server adds a message to that only some time after it acknowledged
it to its sender (`signalConsumersLoop`), and on a cluster the consumer may be led by another node.
"""

from typing import TypeVar

from msgspec import Struct

from adapters.jetstream import Broker, RefusedError
from adapters.jetstream_answers import read_record
from adapters.nats_wire import Msg
from contracts.envelope import Record

NO_MESSAGE = 10037


class _Get(Struct):
    last_by_subj: str


class _Place(Struct):
    seq: int


class _Got(Struct):
    message: _Place


class _Kept(_Place):
    hdrs: bytes = b""
    data: bytes = b""


class _GotWhole(Struct):
    message: _Kept


T = TypeVar("T", _Got, _GotWhole)


async def leaders_last(broker: Broker, stream: str, subjects: str) -> int:
    """The last sequence of a subject or filter; 0 when there is none. Raises UnavailableError."""
    found = await _last(broker, stream, subjects, _Got)
    return found.message.seq if found else 0


async def leaders_latest(broker: Broker, stream: str, subject: str) -> Record | None:
    """The last record of a subject. Raises UnavailableError, MalformedError for what is no record of ours."""
    found = await _last(broker, stream, subject, _GotWhole)
    if found is None:
        return None
    kept = found.message
    return read_record(subject, kept.seq, Msg(subject, "", kept.data, kept.hdrs)).record


async def _last(broker: Broker, stream: str, subjects: str, kind: type[T]) -> T | None:
    try:
        return await broker.api(f"STREAM.MSG.GET.{stream}", _Get(subjects), kind)
    except RefusedError as error:
        if error.code == NO_MESSAGE:
            return None
        raise
