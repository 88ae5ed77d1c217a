"""How many messages one worker process takes from its inbox to an acknowledged commit, beside what bounds it and its peer.

python -m bench.kernel [MESSAGES]
"""

import asyncio
import hashlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import uvloop

from adapters.jetstream import Broker, connect
from adapters.jetstream_commit import Committer, outgoing
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_pull import Puller
from adapters.jetstream_queue import JetStreamQueue
from adapters.jetstream_rpc import NatsRpc
from adapters.jetstream_shapes import Consumer, CreateConsumer, Stream
from adapters.jetstream_streams import ensure_consumers, ensure_streams
from adapters.jetstream_timers import JetStreamTimers
from adapters.otel import OtelTelemetry
from adapters.span_store import JetStreamSpanStore
from bench import results
from bench.envelopes import envelope
from bench.stack import CACHE
from contracts import subjects
from contracts.domains import Domain
from contracts.envelope import Record, to_headers
from contracts.ids import new_id
from contracts.subjects import ActorRef
from runtime.limits import Limits
from runtime.telemetry import NoTelemetry, Telemetry
from runtime.worker import Worker
from tests.kernel_world import Add, World, counter
from tests.servers import NatsServer

MESSAGES = 30_000
ROUNDS = 3
ACTORS = 1_000
PUBLISHERS = 512
ALONE_APPENDS = 200
WRITERS = 256
WRITER_APPENDS = 40
BATCH = 500
DOMAIN = Domain.CEO
T = TypeVar("T")
PEER_LOCK = Path(__file__).parent.parent / "requirements" / "bench.lock"


@asynccontextmanager
async def connected(server: NatsServer) -> AsyncIterator[Broker]:
    broker = await connect(server.url, user=server.user, password=server.password)
    try:
        await ensure_streams(broker)
        server.stage()
        yield broker
    finally:
        await broker.stop()


@contextmanager
def fresh_server() -> Iterator[NatsServer]:
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


async def fill(broker: Broker, count: int) -> None:
    """Messages to many actors, in turn."""
    queue = JetStreamQueue(broker)
    body = msgspec.json.encode(Add(amount=1))
    actors = [ActorRef(DOMAIN, "counter", f"c{number}") for number in range(ACTORS)]
    numbers = iter(range(count))

    async def publish() -> None:
        for number in numbers:
            await queue.publish(subjects.inbox(actors[number % ACTORS]), Record(envelope(Add, DOMAIN), body))

    await asyncio.gather(*(publish() for _ in range(PUBLISHERS)))


def a_worker(broker: Broker, telemetry: Telemetry) -> Worker:
    """One that holds the whole domain, with nothing outside but the broker."""
    queue = JetStreamQueue(broker)
    outside = msgspec.structs.replace(
        World(counter).outside,
        log=JetStreamLog(broker),
        queue=queue,
        timers=JetStreamTimers(broker),
        telemetry=telemetry,
        limits=Limits(),
    )
    return Worker(DOMAIN, [counter], outside, NatsRpc(broker), new_id())


class _Consumer(msgspec.Struct):
    num_pending: int
    num_ack_pending: int


class _Consumers(msgspec.Struct):
    consumers: list[_Consumer]


async def acknowledged(broker: Broker) -> None:
    """Return once the server has every acknowledgement of the inbox."""
    while True:
        found = await broker.api(f"CONSUMER.LIST.{subjects.in_stream(DOMAIN)}", {"offset": 0}, _Consumers)
        if not sum(one.num_pending + one.num_ack_pending for one in found.consumers):
            return
        await asyncio.sleep(0.01)


async def worker(server: NatsServer, *, traced: bool, count: int = MESSAGES) -> tuple[float, float]:
    """Messages/s through one worker, and the processor's µs a message in this process."""
    async with connected(server) as broker:
        await ensure_consumers(broker, DOMAIN, Limits())
        await fill(broker, count)
        telemetry: Telemetry = NoTelemetry()
        if traced:
            telemetry = OtelTelemetry("ceo", store=JetStreamSpanStore(broker))
            await telemetry.start()
        one = a_worker(broker, telemetry)
        began, used = time.perf_counter(), time.process_time()
        await one.start()
        await acknowledged(broker)
        took_s, used_s = time.perf_counter() - began, time.process_time() - used
        await one.stop()
        if isinstance(telemetry, OtelTelemetry):
            await telemetry.stop()
        assert await JetStreamLog(broker).last(DOMAIN) == count
    return count / took_s, 1e6 * used_s / count


async def pulling(server: NatsServer, count: int = MESSAGES) -> float:
    """Messages/s that our puller takes and acknowledges, doing nothing with them."""
    async with connected(server) as broker:
        await fill(broker, count)
        stream = subjects.in_stream(DOMAIN)
        every = Consumer(
            name="bench", durable_name="bench", filter_subjects=[f"{DOMAIN.value}.>"], ack_policy="explicit"
        )
        await broker.api(f"CONSUMER.CREATE.{stream}.bench", CreateConsumer(stream, every), dict)
        puller = Puller(broker, stream, "bench", buffer_max=512)
        began = time.perf_counter()
        await puller.open()
        left = count
        while left:
            for msg in await puller.take(256):
                await broker.publish(msg.reply, b"+ACK")
                left -= 1
        await acknowledged(broker)
        took_s = time.perf_counter() - began
        await puller.close()
    return count / took_s


async def batches(server: NatsServer, size: int = BATCH, count: int = MESSAGES) -> float:
    """Events/s into the log in bare atomic batches of prepared messages, two under way."""
    async with connected(server) as broker:
        committer = Committer(broker)
        body = msgspec.json.encode(Add(amount=1))
        subject = subjects.log(ActorRef(DOMAIN, "counter", "one"))
        ready = [
            [outgoing(subject, Record(envelope(Add, DOMAIN), body)) for _ in range(size)] for _ in range(count // size)
        ]

        async def write() -> None:
            while ready:
                await committer.store(ready.pop())

        began = time.perf_counter()
        await asyncio.gather(write(), write())
        return count / (time.perf_counter() - began)


async def peer(server: NatsServer, count: int = MESSAGES) -> float:
    """Messages/s that FastStream consumes, doing nothing with them, of messages such as ours in a stream of its own."""
    async with connected(server) as broker:
        stream = Stream(name="PEER", subjects=["peer.>"], storage="file", max_bytes=1 << 30, num_replicas=1)
        await broker.api("STREAM.CREATE.PEER", stream, dict)
        body = msgspec.json.encode(Add(amount=1))
        numbers = iter(range(count))

        async def publish() -> None:
            for number in numbers:
                await broker.store(f"peer.{number % ACTORS}", body, to_headers(envelope(Add, DOMAIN)))

        await asyncio.gather(*(publish() for _ in range(PUBLISHERS)))
        program = Path(__file__).with_name("peer_faststream.py")
        url = server.url.replace("//", f"//{server.user}:{server.password}@")
        arguments = [url, "PEER", "peer.>", str(count)]
        process = await asyncio.create_subprocess_exec(
            await asyncio.to_thread(_peer_python), "-P", program, *arguments, stdout=asyncio.subprocess.PIPE
        )
        try:
            out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return float(out)


def _peer_python() -> Path:
    """An interpreter with FastStream, which is locked but no part of the project; made once for each lock."""
    folder = CACHE / f"faststream-{hashlib.sha256(PEER_LOCK.read_bytes()).hexdigest()[:16]}"
    python, installed = folder / "bin" / "python", folder / "installed"
    if installed.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    pip = f"{folder}/bin/pip install --quiet --disable-pip-version-check --require-hashes -r".split()
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)  # noqa: S603 - our own commands
    subprocess.run([*pip, PEER_LOCK], check=True)  # noqa: S603 - our own words
    installed.touch()
    return python


async def appends(server: NatsServer, writers: int, each: int) -> tuple[float, float, float]:
    """Events/s, and p50 and p99 of an append in ms, with so many writers each to its own actor."""
    async with connected(server) as broker:
        log = JetStreamLog(broker)
        times_ms: list[float] = []
        body = msgspec.json.encode(Add(amount=1))

        async def write(subject: str) -> None:
            last = 0
            for _ in range(each):
                began = time.perf_counter()
                last = await log.append(subject, [Record(envelope(Add, DOMAIN), body)], expected=last)
                times_ms.append(1e3 * (time.perf_counter() - began))

        names = [subjects.log(ActorRef(DOMAIN, "counter", new_id())) for _ in range(writers)]
        began = time.perf_counter()
        await asyncio.gather(*map(write, names))
        took_s = time.perf_counter() - began
    return writers * each / took_s, statistics.median(times_ms), statistics.quantiles(times_ms, n=100)[98]


def fresh(measure: Callable[[NatsServer], Awaitable[T]]) -> T:
    """What is measured on a server of its own."""
    with fresh_server() as server:

        async def run() -> T:
            return await measure(server)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run())


def main(count: int) -> None:
    """Every row once a round, so that what disturbs the machine disturbs all of them; then their medians."""
    measured: dict[str, Callable[[NatsServer], Awaitable[tuple[float, float]]]] = {
        "one worker: inbox → decide → commit → acknowledge, spans and metrics on": lambda server: worker(
            server, traced=True, count=count
        ),
        "the same without spans and metrics": lambda server: worker(server, traced=False, count=count),
        "our puller, taking and acknowledging only": lambda server: _no_cost(pulling(server, count)),
        "FastStream, JetStream pull, consuming only": lambda server: _no_cost(peer(server, count // 3)),
        f"atomic batches of {BATCH}, nothing else": lambda server: _no_cost(batches(server, count=count)),
    }
    found: dict[str, list[tuple[float, float]]] = {what: [] for what in measured}
    for turn in range(ROUNDS):
        for what, measure in measured.items():
            found[what].append(fresh(measure))
            print(f"round {turn + 1} of {ROUNDS}: {what}: {found[what][-1][0]:,.0f}/s", flush=True)
    text = f"| what, median of {ROUNDS} | messages/s | µs of Python a message |\n|---|---|---|\n"
    rates = {what: statistics.median(rate for rate, _ in rounds) for what, rounds in found.items()}
    for what, rounds in found.items():
        used_us = statistics.median(used_us for _, used_us in rounds)
        text += f"| {what} | {rates[what]:,.0f} | {f'{used_us:.0f}' if used_us else ''} |\n"
    alone = fresh(lambda server: appends(server, 1, ALONE_APPENDS))
    many = fresh(lambda server: appends(server, WRITERS, WRITER_APPENDS))
    text += "\n| appends, each writer to its own actor | events/s | p50 | p99 |\n|---|---|---|---|\n"
    for what, (rate, p50, p99) in (("1 writer", alone), (f"{WRITERS} writers", many)):
        text += f"| {what} | {rate:,.0f} | {p50:.2f} ms | {p99:.2f} ms |\n"
    results.write("The kernel: messages and commits", "just bench kernel", text)
    ours, _, _, theirs, bare = rates.values()
    results.record({"kernel.rate": (ours, f"FastStream, consuming only: {theirs:,.0f}/s; bare batches: {bare:,.0f}/s")})
    print(text)


async def _no_cost(rate: Awaitable[float]) -> tuple[float, float]:
    """Of what only a rate is measured."""
    return await rate, 0.0


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES)
