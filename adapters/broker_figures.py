"""Figures of the broker, as its API tells them to any client of our account: nothing of the server's own monitoring port."""

import asyncio

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker
from contracts import subjects
from contracts.domains import Domain

LISTED_MAX = 256  # streams, and consumers of a stream, that one answer of the API lists; there are 26 and 16


class _State(Struct):
    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    last_seq: int = 0


class _Config(Struct):
    name: str
    max_bytes: int = -1
    max_msgs: int = -1


class _Stream(Struct):
    config: _Config
    state: _State


class _Streams(Struct):
    streams: list[_Stream] = []


class _Consumer(Struct):
    num_pending: int = 0
    num_ack_pending: int = 0
    num_redelivered: int = 0


class _Consumers(Struct):
    consumers: list[_Consumer] = []


class _Api(Struct):
    errors: int = 0


class _Account(Struct):
    memory: int = 0
    storage: int = 0
    consumers: int = 0
    api: _Api = msgspec.field(default_factory=_Api)


class _Statistics(Struct):
    conns: int = 0
    num_subscriptions: int = 0
    slow_consumers: int = 0


class _Data(Struct):
    account_statz: list[_Statistics] = []


class _Answer(Struct):
    data: _Data = msgspec.field(default_factory=_Data)


async def broker_figures(broker: Broker) -> dict[str, float]:
    """Messages and bytes of every stream, how full it is, what its consumers wait for, and the account's connections.

    Raises UnavailableError, RefusedError.
    """
    queues = [name for domain in Domain for name in (subjects.in_stream(domain), subjects.log_stream(domain))]
    account, listed, statistics = await asyncio.gather(
        broker.api("INFO", {}, _Account),
        broker.api("STREAM.LIST", {}, _Streams),
        broker.answer("$SYS.REQ.ACCOUNT.PING.STATZ", b"{}"),
    )
    consumers = await asyncio.gather(*(broker.api(f"CONSUMER.LIST.{name}", {}, _Consumers) for name in queues))
    figures: dict[str, float] = {
        "storage bytes": account.storage,
        "memory bytes": account.memory,
        "consumers": account.consumers,
        "api errors": account.api.errors,
    }
    for one in msgspec.json.decode(statistics.data, type=_Answer).data.account_statz:
        figures |= {
            "connections": one.conns,
            "subscriptions": one.num_subscriptions,
            "slow consumers": one.slow_consumers,
        }
    for stream in listed.streams:
        figures |= _of_stream(stream)
    for name, found in zip(queues, consumers, strict=True):
        figures |= {
            f"{name} pending": sum(one.num_pending for one in found.consumers),
            f"{name} unacknowledged": sum(one.num_ack_pending for one in found.consumers),
            f"{name} redelivered": sum(one.num_redelivered for one in found.consumers),
        }
    return figures


def _of_stream(stream: _Stream) -> dict[str, float]:
    name, state = stream.config.name, stream.state
    filled = max(
        state.bytes / stream.config.max_bytes if stream.config.max_bytes > 0 else 0.0,
        state.messages / stream.config.max_msgs if stream.config.max_msgs > 0 else 0.0,
    )
    return {
        f"{name} messages": state.messages,
        f"{name} bytes": state.bytes,
        f"{name} filled share": filled,
        f"{name} last sequence": state.last_seq,
    }
