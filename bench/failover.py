"""A killed worker's partitions: how long until another worker answers for them.

python -m bench.failover [--kills 5]

Two worker processes of one domain on a real broker, one client for each of the 16 partitions that sends the next message when
the last one is answered. One worker is killed (SIGKILL) and not started again; a new one joins before the next kill.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_queue import JetStreamQueue
from adapters.jetstream_rpc import NatsRpc
from bench import results
from bench.counter import KIND, Add, Added
from bench.envelopes import envelope
from bench.stack import roles, settings_in
from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Domain
from contracts.envelope import Record
from contracts.subjects import ActorRef
from deploy.embedded.child import kill_group
from deploy.embedded.supervisor import Role, RoleProcess, Supervisor
from deploy.roles import INBOX_PREFIX
from deploy.stack import prepared
from runtime.limits import Limits
from runtime.membership import Heartbeat

DOMAIN = Domain.SOPHIA
WORKERS = 2
CALM_S = 2.0  # of load before a kill
ANSWER_S_MAX = 30.0
BALANCED_S_MAX = 30.0
LIMIT = "the silence after which a worker is taken for dead"
T = TypeVar("T")


class Kill(Struct, frozen=True):
    """Seconds until each partition had answered a message sent after the kill, the slowest first; answers/s before it."""

    waits_s: list[float]
    calm_per_s: float


class Client:
    """Adds one to a counter of its partition, again and again; `answers` has when each was sent and answered."""

    def __init__(self, broker: Broker, partition: int) -> None:
        ids = (f"p{partition}-{number}" for number in count())
        name = next(one for one in ids if subjects.partition(KIND, one) == partition)
        self.actor = ActorRef(DOMAIN, KIND, name)
        self.answers: list[tuple[float, float]] = []
        self._answered = asyncio.Event()
        self._log, self._queue = JetStreamLog(broker), JetStreamQueue(broker)

    async def run(self) -> None:
        """Without end. Raises RuntimeError when an answer does not come, or is not the sum of all that was sent."""
        watch = await self._log.watch(subjects.log(self.actor), after=0)
        while True:
            sent = time.monotonic()
            add = Record(envelope(Add, DOMAIN), msgspec.json.encode(Add(amount=1)))
            await self._queue.publish(subjects.inbox(self.actor), add)
            total = None
            while total is None:
                for stored in await watch.take(ANSWER_S_MAX):
                    if stored.record.envelope.type == tag(Added):
                        total = msgspec.json.decode(stored.record.body, type=Added).total
                if time.monotonic() - sent > ANSWER_S_MAX:
                    raise RuntimeError(f"{self.actor}: no answer for {ANSWER_S_MAX:g} s")
            self.answers.append((sent, time.monotonic()))
            if total != len(self.answers):
                raise RuntimeError(f"{self.actor} counted {total}, of {len(self.answers)} messages")
            self._answered.set()

    async def wait_s(self, since: float) -> float:
        """Seconds from then to the first answer to a message that was sent after it."""
        while not self.answers or self.answers[-1][0] < since:
            self._answered.clear()
            await self._answered.wait()
        return next(answered for sent, answered in self.answers if sent >= since) - since


class Members:
    """What the workers say that they hold."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._heard = asyncio.Event()

    def hear(self, _subject: str, body: bytes) -> None:
        beat = msgspec.json.decode(body, type=Heartbeat)
        self._held[beat.worker] = len(beat.partitions)
        self._heard.set()

    async def balanced(self) -> None:
        """Return when the workers that speak from now on hold all partitions, each the same number. Raises TimeoutError."""
        self._held.clear()
        async with asyncio.timeout(BALANCED_S_MAX):
            while sorted(self._held.values()) != [subjects.PARTITIONS // WORKERS] * WORKERS:
                self._heard.clear()
                await self._heard.wait()


async def measure(kills: int) -> list[Kill]:
    async with _broker() as (folder, broker):
        members, clients = Members(), [Client(broker, number) for number in range(subjects.PARTITIONS)]
        await NatsRpc(broker).listen(subjects.members(DOMAIN), members.hear)
        numbers = (Role(f"worker-{number}", roles(DOMAIN.value)[0].argv) for number in count())
        workers = [RoleProcess(next(numbers), folder) for _ in range(WORKERS)]
        load: list[asyncio.Task[None]] = []
        found = []
        try:
            for worker in workers:
                await worker.start()
            load += [asyncio.create_task(client.run()) for client in clients]
            for number in range(kills):
                await _unless_failed(members.balanced(), load)
                found.append(await _unless_failed(_killed(workers[0], clients), load))
                print(
                    f"kill {number + 1} of {kills}: the slowest partition after {found[-1].waits_s[0]:.2f} s",
                    flush=True,
                )
                await workers.pop(0).stop()
                workers.append(RoleProcess(next(numbers), folder))
                await workers[-1].start()
        finally:
            for task in load:
                task.cancel()
            await asyncio.gather(*load, return_exceptions=True)
            await asyncio.gather(*(worker.stop() for worker in workers))
    return found


async def _killed(worker: RoleProcess, clients: list[Client]) -> Kill:
    began = time.monotonic()
    await asyncio.sleep(CALM_S)
    calm = sum(answered >= began for client in clients for _, answered in client.answers) / CALM_S
    killed = time.monotonic()
    assert worker.pid is not None
    kill_group(worker.pid)
    waits = await asyncio.gather(*(client.wait_s(killed) for client in clients))
    return Kill(sorted(waits, reverse=True), calm)


async def _unless_failed(work: Coroutine[Any, Any, T], load: list[asyncio.Task[None]]) -> T:
    """The work's result. Raises what a client raised first."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task, *load], return_when=asyncio.FIRST_COMPLETED)
        for client in load:
            if client.done():
                client.result()
        return await task
    finally:
        task.cancel()


@asynccontextmanager
async def _broker() -> AsyncIterator[tuple[Path, Broker]]:
    """A broker in a folder of its own, where role processes find it, and a connection to it."""
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-") as name:
        folder = Path(name)
        server = Supervisor(prepared(settings_in(folder), 0), [])
        await server.start()
        try:
            nats = server.settings.nats
            broker = await connect(
                nats.url, user=nats.user, password=nats.password.reveal(), name="bench", inbox_prefix=INBOX_PREFIX
            )
            try:
                yield folder, broker
            finally:
                await broker.stop()
        finally:
            await server.stop()


def table(found: list[Kill]) -> str:
    each = subjects.PARTITIONS // WORKERS
    rows = {
        "the slowest partition of a kill": [one.waits_s[0] for one in found],
        "the slower half of the partitions: the dead worker's": [wait for one in found for wait in one.waits_s[:each]],
        "the other worker's": [wait for one in found for wait in one.waits_s[each:]],
    }
    lines = [f"| {what} | {statistics.median(waits):.2f} s | {max(waits):.2f} s |" for what, waits in rows.items()]
    return (
        f"| until a message sent after the kill was answered, {len(found)} kills | median | longest |\n|---|---|---|\n"
        + "\n".join(lines)
        + f"\n| raw limit: {LIMIT} | {Limits().member_s_max:g} s | |\n\n"
        f"A client a partition, {statistics.median(one.calm_per_s for one in found):,.0f} answers/s before the kills; "
        "no message lost, none counted twice."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=5)
    found = asyncio.run(measure(parser.parse_args().kills))
    results.write("A worker is killed", "just bench failover", table(found))
    longest = max(one.waits_s[0] for one in found)
    results.record({"failover.s": (longest, f"{LIMIT}: {Limits().member_s_max:g} s")})
    print(table(found))


if __name__ == "__main__":
    main()
