"""What a stream holds last, as its leader knows it.

What a consumer says is pending cannot be asked instead: the server adds a message to that only some time after it acknowledged
it to its sender (`signalConsumersLoop`), and on a cluster the consumer may be led by another node.
"""

from msgspec import Struct

from adapters.jetstream import Broker, RefusedError

NO_MESSAGE = 10037


class _Get(Struct):
    last_by_subj: str


class _Place(Struct):
    seq: int


class _Got(Struct):
    message: _Place


async def leaders_last(broker: Broker, stream: str, subjects: str) -> int:
    """The last sequence of a subject or filter; 0 when there is none. Raises UnavailableError."""
    try:
        found = await broker.api(f"STREAM.MSG.GET.{stream}", _Get(subjects), _Got)
    except RefusedError as error:
        if error.code == NO_MESSAGE:
            return 0
        raise
    return found.message.seq
