"""Actors in memory: what loading, waking and keeping them costs, each beside its raw limit.

`python -m bench.actors [SESSIONS]` writes bench/RESULTS.md. A session is a real `conversation` with one question and its answer,
or three of each: that is all that its working memory holds. `bench.sessions` has a worker with 100,000 of them.
"""

import asyncio
import gc
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from secrets import token_hex

import msgspec
import uvloop

from actors.conversation import conversation
from adapters.jetstream import connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_snapshots import JetStreamSnapshots
from adapters.jetstream_streams import ensure_streams
from adapters.memory import MemoryBroker, MemoryLog
from bench import results
from contracts import subjects
from contracts.catalogue import tag
from contracts.conversation import Answered, Asked, SessionStarted
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Event, Record, Stored
from contracts.ids import new_id
from contracts.subjects import ActorRef
from runtime import snapshots as packing
from runtime.chain import GENESIS, seal
from runtime.limits import Limits
from runtime.live import LiveSet
from tests.servers import NatsServer

SESSIONS = 20_000
EVENTS = 1_000
TAIL_EVENTS = 100  # after the snapshot: half of what may be there
ROUNDS = 25
QUESTION = "Why do customers of the northern region leave us after the first year?"
ANSWER = "Customers leave mainly because the price rises at the first renewal while support answers late [1][2]. " * 4
TURN = new_id().encode()
ID_NUMBER = "sophia-019aa5d0-5e6c-7abc-8def-{:012x}"
NAMES = {1: "one", 3: "three"}
Found = tuple[list[str], dict[str, tuple[float, str]]]
"""Rows, and the figures of the goals."""


def session(number: int) -> ActorRef:
    return ActorRef(Domain.SOPHIA, "conversation", ID_NUMBER.format(number))


def events() -> Iterator[Event]:
    """A session, without end."""
    yield SessionStarted(owner="ada", title=QUESTION, context_type="business")
    while True:
        turn = TURN.decode()
        yield Asked(turn=turn, by="ada", text=QUESTION)
        yield Answered(
            turn=turn,
            question=QUESTION,
            content=ANSWER,
            team="client_analysis",
            confidence=0.8,
            evidence=(),
            collaboration_needed=False,
            collaborators=(),
            contributions=(),
            model="extractive",
            label=Clearance.INTERNAL,
        )


def records(count: int) -> list[Record]:
    found: list[Record] = []
    prev = GENESIS
    for _, event in zip(range(count), events(), strict=False):
        envelope = Envelope(
            id=new_id(),
            type=tag(type(event)),
            time=datetime.now(UTC),
            correlation=new_id(),
            principal="ada",
            source=Domain.SOPHIA,
            causation=new_id(),
            clearance=Clearance.INTERNAL,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        found.append(seal(envelope, msgspec.json.encode(event), prev))
        prev = found[-1].envelope.hash or GENESIS
    return found


class EverybodysLog(MemoryLog):
    """Every actor has had a session of so many events; nothing of it is kept, so that only the actors cost memory."""

    def __init__(self, count: int) -> None:
        super().__init__(MemoryBroker())
        self._records = records(count)

    async def read(self, subject: str, *, after: int = 0, limit: int | None = None) -> list[Stored]:
        found = []
        for number, one in enumerate(self._records[after:limit], after + 1):
            envelope = msgspec.structs.replace(one.envelope, causation=new_id(), hash=token_hex(32))
            body = one.body.replace(TURN, new_id().encode())
            found.append(Stored(subject, number, Record(envelope, body)))
        return found


async def milliseconds(what: Callable[[], Awaitable[object]]) -> float:
    """The median of several."""
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await what()
        found.append(1_000 * (time.perf_counter() - began))
    return statistics.median(found)


async def loading(server: NatsServer) -> Found:
    """An actor of 1,000 events from the real broker."""
    broker = await connect(server.url, user=server.user, password=server.password)
    await ensure_streams(broker)
    server.stage()
    log, snapshots, actor = JetStreamLog(broker), JetStreamSnapshots(broker), session(1)
    subject = subjects.log(actor)
    history = records(EVENTS + TAIL_EVENTS)
    at = await log.append(subject, history[:EVENTS], expected=0)

    async def bare(first: int, count: int) -> None:
        get = b'{"seq":%d,"next_by_subj":"%s","batch":%d}' % (first, subject.encode(), count)
        assert len(await broker.collect("$JS.API.DIRECT.GET.SOPHIA_LOG", get)) == count + 1

    async def load(live: LiveSet) -> None:
        live.drop(actor)
        await live.load(conversation, actor)

    async def bare_snapshot() -> None:
        assert await snapshots.load(actor)
        await bare(at, TAIL_EVENTS + 1)

    plain, limits = LiveSet(log, Limits()), Limits()
    raw = await milliseconds(lambda: bare(1, EVENTS))
    whole = await milliseconds(lambda: load(plain))
    live = await plain.load(conversation, actor)
    await snapshots.save(actor, packing.seal_snapshot(conversation, packing.pack(live)))
    await log.append(subject, history[EVENTS:], expected=at)
    snapped = LiveSet(log, limits, snapshots)
    raw_snapped = await milliseconds(bare_snapshot)
    quick = await milliseconds(lambda: load(snapped))
    await broker.stop()
    rows = [
        f"| load an actor of {EVENTS:,} events | {whole:.1f} ms | ≤ 15 ms | bare direct get of the same messages: {raw:.1f} ms |",
        f"| the same with a snapshot and {TAIL_EVENTS} events after it | {quick:.2f} ms | ≤ 2 ms "
        f"| bare get of both: {raw_snapped:.2f} ms |",
    ]
    return rows, {
        "load.log_ms": (whole, f"bare direct get of the same: {raw:.1f} ms"),
        "load.snapshot_ms": (quick, f"bare get of both: {raw_snapped:.2f} ms; {TAIL_EVENTS} events after the snapshot"),
    }


async def waking() -> Found:
    """Activation of packed actors, in microseconds an actor."""
    rows, reached = [], {}
    for turns, name in NAMES.items():
        live, number = LiveSet(EverybodysLog(1 + 2 * turns), Limits(live_actors_max=1_000)), 10_000
        actors = [session(one) for one in range(number)]
        for actor in actors:
            await live.load(conversation, actor)
        packed = packing.pack(await live.load(conversation, actors[0]))
        unpacking, waking, decoding = [], [], []
        state = msgspec.json.encode((await live.load(conversation, actors[0])).state)
        decoder = msgspec.json.Decoder(type(conversation.initial))
        gc.collect()
        for actor in actors:
            began = time.perf_counter()
            packing.unpack(conversation, actor, packed)
            unpacking.append(time.perf_counter() - began)
            began = time.perf_counter()
            decoder.decode(state)
            decoding.append(time.perf_counter() - began)
        for actor in actors[1:]:
            began = time.perf_counter()
            await live.load(conversation, actor)
            waking.append(time.perf_counter() - began)
        median = [1e6 * statistics.median(times) for times in (unpacking, waking, decoding)]
        rows.append(
            f"| activate a session of {turns} turns from memory | {median[0]:.1f} µs; {median[1]:.1f} µs with the packing of "
            f"the one that it pushes out | ≤ 10 µs | decoding its state alone: {median[2]:.1f} µs |"
        )
        beside = f"decoding its state alone: {median[2]:.1f} µs; with the packing of another: {median[1]:.1f} µs"
        reached[f"activate.{name}_us"] = (median[0], beside)
    return rows, reached


async def idling(sessions: int) -> Found:
    """What an idle actor costs of Python's memory, all included."""
    rows, reached = [], {}
    for turns, name in NAMES.items():
        gc.collect()
        tracemalloc.start()
        live = LiveSet(EverybodysLog(1 + 2 * turns), Limits(live_actors_max=1, idle_actors_bytes_max=1 << 40))
        for number in range(sessions):
            await live.load(conversation, session(number))
        gc.collect()
        each = tracemalloc.get_traced_memory()[0] / sessions
        tracemalloc.stop()
        packed = len(packing.pack(await live.load(conversation, session(0))))
        rows.append(
            f"| an idle session of {turns} turns, all included | {each:,.0f} bytes | ≤ 2,048 bytes "
            f"| its packed bytes: {packed:,} |"
        )
        reached[f"idle.{name}_bytes"] = (each, f"its packed bytes: {packed:,}")
        del live
    return rows, reached


async def main(sessions: int) -> None:
    parts = [await idling(sessions), await waking()]
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-") as folder:
        server = NatsServer(Path(folder))
        server.start()
        try:
            parts.insert(0, await loading(server))
        finally:
            server.stop()
    text = "\n".join(
        ["| what | figure | goal | raw limit |", "|---|---|---|---|", *chain.from_iterable(rows for rows, _ in parts)]
    )
    results.write("Actors in memory", "just bench actors", text)
    for _, reached in parts:
        results.record(reached)
    print(text)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS))
