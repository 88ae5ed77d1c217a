"""EventLog on JetStream: compare-and-set appends, batched direct reads, an ordered tail."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from adapters.jetstream import REQUEST_S_MAX, Broker, Msg, RefusedError
from adapters.jetstream_answers import read_record
from adapters.jetstream_commit import Committer, outgoing
from adapters.jetstream_last import leaders_last
from adapters.jetstream_pull import REOPEN_S_MAX, REOPEN_S_MIN, ConsumerLostError, Puller, place
from adapters.jetstream_shapes import Consumer, CreateConsumer
from adapters.jetstream_streams import SECOND_NS
from adapters.jetstream_watch import JetStreamWatch, watch
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record, Stored
from contracts.subjects import Lane
from runtime.errors import ConflictError, InvalidError, UnavailableError

BATCH_RECORDS_MAX = 1_000  # the server's limit for one atomic batch
PAGE_RECORDS_MAX = 1_000
PAGE_BYTES_MAX = 4 << 20
FOLLOW_BATCH_MAX = 500
FOLLOW_BUFFER_MAX = 2 * FOLLOW_BATCH_MAX
FOLLOWER_INACTIVE_S = 120
WAIT_RECHECK_S = 2.0
LAG_LOOK_S = 0.02
SEQUENCE_LINE = b"\r\nNats-Sequence: "

# 10071 and 10164: the subject's last sequence is another. 10201: a batch repeats a message id that is stored.
CONFLICTS = frozenset({10071, 10164, 10201})

_log = logging.getLogger(__name__)


class _Get(Struct, omit_defaults=True):
    seq: int = 0
    next_by_subj: str = ""
    last_by_subj: str = ""
    batch: int = 0
    max_bytes: int = 0


class _State(Struct):
    last_seq: int = 0


class _StreamInfo(Struct):
    state: _State


class _Created(Struct):
    name: str | UnsetType = UNSET


class JetStreamLog:
    """An EventLog; one of these may serve any number of concurrent callers."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._committers = {domain: Committer(broker) for domain in Domain}

    async def append(self, subject: str, records: Sequence[Record], *, expected: int) -> int:
        """See EventLog.append. Alone or in a group with others: see `jetstream_commit`."""
        if not 1 <= len(records) <= BATCH_RECORDS_MAX:
            raise InvalidError(f"an append takes 1 to {BATCH_RECORDS_MAX} records, not {len(records)}")
        first, *others = records
        messages = [outgoing(subject, first, expected), *[outgoing(subject, one) for one in others]]
        try:
            ack = await self._committers[subjects.domain_of(subject)].store(messages)
        except RefusedError as error:
            if error.code in CONFLICTS:
                raise ConflictError(f"{subject} does not end at {expected}") from None
            raise
        if ack.duplicate:
            # Stored before, so nothing was appended now, and `seq` is the old place: the writer must read it back.
            raise ConflictError(f"{subject}: event {records[0].envelope.id} was stored before, at {ack.seq}")
        return ack.seq

    async def read(self, subject: str, *, after: int = 0, limit: int | None = None) -> list[Stored]:
        """Any node of a cluster answers, also one that lags behind: so its leader is asked how much there is."""
        stream = subjects.log_stream(subjects.parse(subject).actor.domain)
        if not self._broker.is_clustered:
            return await self._read(stream, subject, after, limit)
        last, found = await asyncio.gather(
            leaders_last(self._broker, stream, subject), self._read(stream, subject, after, limit)
        )
        loop = asyncio.get_running_loop()
        until = loop.time() + REQUEST_S_MAX
        while (found[-1].sequence if found else after) < last and (limit is None or len(found) < limit):
            if loop.time() > until:
                raise UnavailableError("broker", f"a node lags behind in {stream}")
            await asyncio.sleep(LAG_LOOK_S)
            found += await self._read(stream, subject, found[-1].sequence if found else after, limit)
        return found[:limit]

    async def _read(self, stream: str, subject: str, after: int, limit: int | None) -> list[Stored]:
        """As the node has it that happens to answer."""
        if limit is not None:
            return (await self._page(stream, subject, after + 1, min(limit, PAGE_RECORDS_MAX)))[0]
        found: list[Stored] = []
        more = True
        while more:
            page, more = await self._page(stream, subject, after + 1)
            found += page
            after = found[-1].sequence if found else after
        return found

    async def at(self, domain: Domain, sequence: int) -> Stored | None:
        body = msgspec.json.encode(_Get(seq=sequence))
        loop = asyncio.get_running_loop()
        until = loop.time() + REQUEST_S_MAX
        while True:
            msg = await self._broker.request(f"$JS.API.DIRECT.GET.{subjects.log_stream(domain)}", body)
            if (subject := _header(msg, "Nats-Subject")) is not None:
                return _from_direct(subject, msg)
            if not self._broker.is_clustered or await self.last(domain) < sequence:
                return None
            if loop.time() > until:
                raise UnavailableError("broker", f"a node lags behind in the log of {domain.value}")
            await asyncio.sleep(LAG_LOOK_S)

    async def _page(
        self, stream: str, subject: str, first: int, records_max: int = PAGE_RECORDS_MAX
    ) -> tuple[list[Stored], bool]:
        """Records from sequence `first` on, and whether there are more behind them."""
        get = _Get(seq=first, next_by_subj=subject, batch=records_max, max_bytes=PAGE_BYTES_MAX)
        read = functools.partial(_from_direct, subject)
        page, end = await self._broker.collect_as(read, f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(get))
        status = _header(end, "Status")
        if status == "404":
            return [], False
        if status != "204":
            raise UnavailableError("broker", f"reading {subject}: {status} {_header(end, 'Description')}")
        return page, int(_header(end, "Nats-Num-Pending") or 0) > 0

    async def follow(
        self, domain: Domain, lanes: Sequence[Lane], *, after: int
    ) -> AsyncGenerator[Sequence[Stored], None]:
        wait_s = REOPEN_S_MIN
        while True:
            try:
                async with contextlib.aclosing(self._tail(domain, lanes, after)) as tail:
                    async for batch in tail:
                        after = batch[-1].sequence
                        wait_s = REOPEN_S_MIN
                        yield batch
            except (ConsumerLostError, UnavailableError) as error:
                _log.info("following %s again after %d in %.1f s: %s", domain.value, after, wait_s, error)
            await self._broker.wait_connected()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, REOPEN_S_MAX)

    async def _tail(self, domain: Domain, lanes: Sequence[Lane], after: int) -> AsyncGenerator[Sequence[Stored], None]:
        """Batches through one ephemeral consumer, until it is lost or skips a message (ConsumerLostError)."""
        stream = subjects.log_stream(domain)
        # Two filters make the server search its index of subjects anew for every message: 4,000 records/s instead of 60,000.
        every = set(lanes) == {"log", "run"}
        config = Consumer(
            filter_subjects=[] if every else [subjects.lane_filter(domain, lane) for lane in lanes],
            ack_policy="none",
            deliver_policy="by_start_sequence",
            opt_start_seq=after + 1,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=FOLLOWER_INACTIVE_S * SECOND_NS,
        )
        name = str((await self._broker.api(f"CONSUMER.CREATE.{stream}", CreateConsumer(stream, config), _Created)).name)
        puller = Puller(self._broker, stream, name, buffer_max=FOLLOW_BUFFER_MAX)
        try:
            await puller.open()
            due = 1
            while True:
                batch = []
                for msg in await puller.take(FOLLOW_BATCH_MAX):
                    where = place(msg.reply)
                    if where.consumer_sequence != due:
                        break
                    due += 1
                    batch.append(read_record(msg.subject, where.sequence, msg))
                else:
                    yield batch
                    continue
                if batch:
                    yield batch
                raise ConsumerLostError(f"message {due} is missing")
        finally:
            await puller.close()
            with contextlib.suppress(UnavailableError):
                await self._broker.publish(f"$JS.API.CONSUMER.DELETE.{stream}.{name}")

    async def last(self, domain: Domain) -> int:
        info = await self._broker.api(f"STREAM.INFO.{subjects.log_stream(domain)}", {}, _StreamInfo)
        return info.state.last_seq

    async def wait(self, subject: str, *, after: int, timeout_s: float) -> bool:
        """See EventLog.wait. Looks again every WAIT_RECHECK_S, should a notice have been lost with a connection."""
        stream = subjects.log_stream(subjects.parse(subject).actor.domain)
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        noticed = asyncio.Event()
        newest = 0

        def on_notice(msg: Msg) -> None:
            nonlocal newest
            newest = max(newest, int(_header(msg, "Nats-Sequence") or 0))
            noticed.set()

        subscription = await self._broker.subscribe(subjects.stored(subject), on_notice)
        try:
            while True:
                if newest > after or await self._last_of(stream, subject) > after:
                    return True
                left_s = end - loop.time()
                if left_s <= 0:
                    return False
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, WAIT_RECHECK_S)):
                        await noticed.wait()
                noticed.clear()
        finally:
            await self._broker.unsubscribe(subscription)

    async def watch(self, subject: str, *, after: int, from_now: bool = False) -> JetStreamWatch:
        return await watch(self._broker, subject, after, self._above, from_now=from_now)

    async def _above(self, subject: str, after: int) -> list[Stored]:
        return await self.read(subject, after=after)

    async def _last_of(self, stream: str, subject: str) -> int:
        if self._broker.is_clustered:
            return await leaders_last(self._broker, stream, subject)
        body = msgspec.json.encode(_Get(last_by_subj=subject))
        msg = await self._broker.request(f"$JS.API.DIRECT.GET.{stream}", body)
        return int(_header(msg, "Nats-Sequence") or 0)


def _header(msg: Msg, name: str) -> str | None:
    headers: dict[str, Any] = msg.headers or {}
    return headers.get(name)


def _from_direct(subject: str, msg: Msg) -> Stored:
    """A record that was asked for, at the place that the server names behind what was stored."""
    begin = msg.raw.rindex(SEQUENCE_LINE) + len(SEQUENCE_LINE)
    return read_record(subject, int(msg.raw[begin : msg.raw.index(b"\r\n", begin)]), msg)
