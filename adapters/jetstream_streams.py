"""The topology: every stream and durable consumer, created or brought up to date.

Through the raw API, because nats-py lacks fields such as `allow_atomic`. `discard: new` means that a full stream refuses
(the gateway answers 503) rather than forgetting what was accepted. The server refuses message scheduling together with it,
so timers have a stream of their own.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, get_args

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, RefusedError
from adapters.jetstream_shapes import Consumer, CreateConsumer, Mapping, Source, Stream
from contracts import subjects
from contracts.domains import Domain
from runtime.errors import InvalidError
from runtime.limits import Limits
from runtime.ports import QueueName

GIB = 1 << 30
DAY_NS = 86_400_000_000_000
WEEK_S = 604_800
SECOND_NS = 1_000_000_000
DUPLICATES_S = 120
ATTEMPTS_BYTES_MAX = 64 << 20
GROUP = "holder"
"""The priority group of a durable consumer: the client that is pinned in it gets the messages."""
PIN_S = 60  # a holder that asks for nothing for so long has let go; more than one pull request's time
NAME_IN_USE = 10058
NO_STREAM = 10059
GATHERING = (10005, 10008, 10023)
"""No suitable peers, not available, insufficient resources: a cluster whose nodes have not all met says so."""
TOO_FEW_NODES = (10005, 10074)
"""No suitable peers, not a cluster at all: what a stream of several copies is refused with."""
GATHER_S_MAX = 30.0
GATHER_LOOK_S = 0.25

_log = logging.getLogger(__name__)


class TooSmallError(InvalidError):
    """A stream holds more bytes than it is to have room for. Nothing was changed, neither it nor another one."""

    def __init__(self, stream: str, held: int, wanted: int) -> None:
        super().__init__(
            f"stream {stream} holds {held:,} bytes, so its max_bytes cannot become {wanted:,}; nothing was changed"
        )
        self.stream = stream
        self.held = held
        self.wanted = wanted


class Sizes(Struct, frozen=True, kw_only=True):
    """How large, and how old, each stream may become. The server reserves the sum: `max_file_store` must be `total` at least.

    The cache is in its memory.
    """

    inbox_bytes_max: int = 2 * GIB
    inbox_messages_max: int = Limits().backlog_max
    inbox_age_s_max: int = WEEK_S
    log_bytes_max: int = 6 * GIB
    snapshots_bytes_max: int = GIB // 2
    timers_bytes_max: int = GIB // 2
    dead_letters_bytes_max: int = 1 * GIB
    spans_bytes_max: int = 1 * GIB
    spans_age_s_max: int = WEEK_S
    measurements_bytes_max: int = GIB // 4
    measurements_age_s_max: int = WEEK_S
    blobs_bytes_max: int = 8 * GIB
    cache_bytes_max: int = 64 << 20

    @property
    def total(self) -> int:
        domain = self.inbox_bytes_max + self.log_bytes_max + self.snapshots_bytes_max + self.timers_bytes_max
        telemetry = self.spans_bytes_max + self.measurements_bytes_max
        return len(Domain) * domain + self.dead_letters_bytes_max + telemetry + self.blobs_bytes_max


class _Nothing(Struct):
    """Of the answer only its success counts."""


class _State(Struct):
    bytes: int = 0


class _Info(Struct):
    """A stream as it is: its configuration with everything that the server filled in, and what it holds."""

    config: dict[str, Any]
    state: _State


class _ConsumerInfo(Struct):
    config: dict[str, Any]


class _Consumers(Struct):
    consumers: list[_ConsumerInfo] | None = None


async def ensure_streams(broker: Broker, *, replicas: int = 1, sizes: Sizes | None = None) -> None:
    """Create or update every stream; repeatable. What an update changes is logged: other processes may run on it.

    Raises TooSmallError (before anything is changed), RefusedError, UnavailableError.
    """
    wanted = streams(replicas, sizes or Sizes())
    for stream in wanted:
        await _gathered(partial(_fitting, broker, stream))
    for stream in wanted:
        await _gathered(partial(_create, broker, stream))


async def ensure_consumers(broker: Broker, domain: Domain, limits: Limits) -> None:
    """Create or update the durable consumers of a domain, one a queue and partition; repeatable.

    One that is as it should be is left alone: to say it again takes a flush each, twenty times as long as to list them all.
    Raises RefusedError, UnavailableError.
    """
    for name in get_args(QueueName):
        wanted = [durable(domain, name, partition, limits) for partition in range(subjects.PARTITIONS)]
        there = await _listed(broker, wanted[0][0])
        for stream, consumer in wanted:
            if consumer not in there:
                request = CreateConsumer(stream, consumer)
                await _gathered(partial(broker.api, f"CONSUMER.CREATE.{stream}.{consumer.name}", request, _Nothing))


async def _listed(broker: Broker, stream: str) -> list[Consumer]:
    """The first page of a stream's consumers, as far as they can be ours. What is not in it is only made once more."""
    found: list[Consumer] = []
    with contextlib.suppress(RefusedError):
        for one in (await broker.api(f"CONSUMER.LIST.{stream}", {}, _Consumers)).consumers or ():
            with contextlib.suppress(msgspec.ValidationError):  # another program's
                found.append(msgspec.convert(one.config, Consumer))
    return found


async def _gathered(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask; while a cluster gathers, again for GATHER_S_MAX."""
    until = asyncio.get_running_loop().time() + GATHER_S_MAX
    while True:
        try:
            await ask()
        except RefusedError as error:
            if error.code not in GATHERING or asyncio.get_running_loop().time() > until:
                raise
            await asyncio.sleep(GATHER_LOOK_S)
        else:
            return


async def _create(broker: Broker, stream: Stream) -> None:
    try:
        await broker.api(f"STREAM.CREATE.{stream.name}", stream, _Nothing)
    except RefusedError as error:
        if error.code != NAME_IN_USE:
            raise
        before = await _fitting(broker, stream)
        after = (await broker.api(f"STREAM.UPDATE.{stream.name}", stream, _Info)).config
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key) and key != "metadata":  # which the server writes for itself
                _log.warning("stream %s: %s changes from %s to %s", stream.name, key, before.get(key), after.get(key))


async def _fitting(broker: Broker, stream: Stream) -> dict[str, Any]:
    """The stream's configuration as it is now; empty: there is no such stream. Raises TooSmallError."""
    try:
        info = await broker.api(f"STREAM.INFO.{stream.name}", {}, _Info)
    except RefusedError as error:
        if error.code != NO_STREAM:
            raise
        return {}
    room = info.config["max_bytes"]
    if stream.max_bytes < info.state.bytes and (stream.max_bytes < room or room <= 0):  # -1: it is not limited yet
        raise TooSmallError(stream.name, info.state.bytes, stream.max_bytes)
    return info.config


def streams(replicas: int, sizes: Sizes) -> list[Stream]:
    """Every stream as it should be."""
    found = [
        stream for domain in Domain for stream in (_inbox(domain, replicas, sizes), _event_log(domain, replicas, sizes))
    ]
    found = [_timers(domain, replicas, sizes) for domain in Domain] + found  # first: the inboxes source them
    found += [_snapshots(domain, replicas, sizes) for domain in Domain]
    found.append(
        Stream(
            name=subjects.DEAD_LETTERS_STREAM,
            subjects=[subjects.DEAD_LETTERS_FILTER],
            storage="file",
            num_replicas=replicas,
            max_bytes=sizes.dead_letters_bytes_max,
            max_msgs_per_subject=1,
            discard="new",
            allow_direct=True,
        )
    )
    found.append(
        Stream(
            name=subjects.ATTEMPTS_STREAM,
            subjects=[subjects.ATTEMPTS_FILTER],
            storage="file",
            num_replicas=replicas,
            max_bytes=ATTEMPTS_BYTES_MAX,
            max_msgs_per_subject=1,
            max_age=DAY_NS,
            allow_direct=True,
        )
    )
    found += _telemetry(replicas, sizes)
    found.append(
        Stream(
            name=subjects.BLOBS_STREAM,
            subjects=[subjects.BLOBS_FILTER],
            storage="file",
            num_replicas=replicas,
            max_bytes=sizes.blobs_bytes_max,
            discard="new",
            allow_direct=True,
            deny_delete=True,
            deny_purge=True,
        )
    )
    found.append(_cache(replicas, sizes))
    return found


def _telemetry(replicas: int, sizes: Sizes) -> list[Stream]:
    """Spans and measurements: no truth, so they are not flushed each, and the oldest go.

    Replicated streams cannot have `persist_mode: async`.
    """
    kept = (
        (subjects.SPANS_STREAM, subjects.SPANS_FILTER, sizes.spans_bytes_max, sizes.spans_age_s_max),
        (
            subjects.MEASUREMENTS_STREAM,
            subjects.MEASUREMENTS_FILTER,
            sizes.measurements_bytes_max,
            sizes.measurements_age_s_max,
        ),
    )
    return [
        Stream(
            name=name,
            subjects=[subject],
            storage="file",
            num_replicas=replicas,
            max_bytes=bytes_max,
            max_age=age_s_max * SECOND_NS,
            allow_direct=True,
            persist_mode="async" if replicas == 1 else "default",
        )
        for name, subject, bytes_max, age_s_max in kept
    ]


def _cache(replicas: int, sizes: Sizes) -> Stream:
    """In memory, since it may be lost, but not with one node of several; each message has a time to live of its own."""
    return Stream(
        name=subjects.CACHE_STREAM,
        subjects=[subjects.CACHE_FILTER],
        storage="memory",
        num_replicas=replicas,
        max_bytes=sizes.cache_bytes_max,
        max_msgs_per_subject=1,
        allow_direct=True,
        allow_msg_ttl=True,
    )


def durable(domain: Domain, name: QueueName, partition: int, limits: Limits | None = None) -> tuple[str, Consumer]:
    """The stream and the configuration of the durable consumer of one partition of a domain's queue."""
    limits = limits or Limits()
    consumer = f"{domain.value}-{name}-{partition}"
    return subjects.in_stream(domain) if name == "inbox" else subjects.log_stream(domain), Consumer(
        name=consumer,
        durable_name=consumer,
        filter_subjects=[subjects.partition_filter(domain, name, partition)],
        ack_policy="explicit",
        ack_wait=int(limits.ack_wait_s * SECOND_NS),
        max_ack_pending=limits.pending_max,
        priority_groups=[GROUP],
        priority_policy="pinned_client",
        priority_timeout=PIN_S * SECOND_NS,
    )


def _inbox(domain: Domain, replicas: int, sizes: Sizes) -> Stream:
    published = f"{domain.value}.pub.*.*"
    return Stream(
        name=subjects.in_stream(domain),
        subjects=[subjects.lane_filter(domain, "in"), published],
        storage="file",
        num_replicas=replicas,
        max_bytes=sizes.inbox_bytes_max,
        max_msgs=sizes.inbox_messages_max,
        max_age=sizes.inbox_age_s_max * SECOND_NS,
        duplicate_window=DUPLICATES_S * SECOND_NS,
        discard="new",
        allow_direct=True,
        allow_atomic=True,
        sources=[_due(domain)],
        subject_transform=Mapping(
            src=published,
            dest=f"{domain.value}.pub.{{{{partition({subjects.PARTITIONS},1,2)}}}}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}",
        ),
    )


def _snapshots(domain: Domain, replicas: int, sizes: Sizes) -> Stream:
    """A cache: one snapshot an actor; when it is full the oldest goes. Lost with the machine's power, it costs time only."""
    return Stream(
        name=subjects.snapshot_stream(domain),
        subjects=[subjects.lane_filter(domain, "snap")],
        storage="file",
        num_replicas=replicas,
        max_bytes=sizes.snapshots_bytes_max,
        max_msgs_per_subject=1,
        allow_direct=True,
        persist_mode="async" if replicas == 1 else "default",
    )


def _timers(domain: Domain, replicas: int, sizes: Sizes) -> Stream:
    """Timers, and for a while what they fired. When it is full the oldest goes, so it must not become full (FILL_MAX)."""
    return Stream(
        name=subjects.timer_stream(domain),
        subjects=[subjects.lane_filter(domain, "tmr"), f"{domain.value}.{subjects.DUE}.>"],
        storage="file",
        num_replicas=replicas,
        max_bytes=sizes.timers_bytes_max,
        allow_direct=True,
        allow_msg_schedules=True,
        allow_msg_ttl=True,
    )


def _due(domain: Domain) -> Source:
    """What timers fired, as messages of the inbox. A full inbox is tried again each second; nothing is lost meanwhile."""
    names = ".".join(f"{{{{wildcard({number})}}}}" for number in (1, 2, 3))
    transform = Mapping(src=f"{domain.value}.{subjects.DUE}.*.*.*", dest=f"{domain.value}.in.{names}")
    return Source(name=subjects.timer_stream(domain), subject_transforms=[transform])


def _event_log(domain: Domain, replicas: int, sizes: Sizes) -> Stream:
    everything = f"{domain.value}.>"
    return Stream(
        name=subjects.log_stream(domain),
        subjects=[subjects.lane_filter(domain, "log"), subjects.lane_filter(domain, "run")],
        storage="file",
        num_replicas=replicas,
        max_bytes=sizes.log_bytes_max,
        duplicate_window=DUPLICATES_S * SECOND_NS,
        discard="new",
        allow_direct=True,
        allow_atomic=True,
        deny_delete=True,
        deny_purge=True,
        # Told whole after the record is stored, not when it arrives: whoever waits for it need not look.
        republish=Mapping(src=everything, dest=subjects.stored(everything)),
    )
