"""Cross-domain request and reply without a model call: a reaction of one domain asks the other and waits, two worker processes.

Measured inside, by the records' own times: from the event whose reaction asks to the journaled answer.

python -m bench.crossing [--count 300]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_queue import JetStreamQueue
from bench import results
from bench.counter import ASKER, AskOther, OtherAsked
from bench.envelopes import envelope
from bench.stack import roles, settings_in
from contracts import subjects
from contracts.collaboration import Outcome
from contracts.domains import Domain
from contracts.envelope import Record
from contracts.ids import new_id
from contracts.kernel import EffectRecorded
from contracts.subjects import ActorRef
from deploy.embedded.supervisor import Supervisor
from deploy.roles import INBOX_PREFIX
from deploy.stack import prepared

AT_ONCE = (1, 16)
WARM = 20
ANSWER_S_MAX = 30.0


class Measured(Struct, frozen=True):
    """Milliseconds of each request by how many there were at once; the bare commits that one comes to, and what those take."""

    times_ms: dict[int, list[float]]
    commits: int
    bare_ms: float


class _State(Struct):
    last_seq: int


class _Stream(Struct):
    config: dict[str, Any]
    state: _State


class _Streams(Struct):
    streams: list[_Stream]


async def measure(count: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        stack = Supervisor(prepared(settings_in(Path(folder)), 0), roles("sophia", "artemis"))
        await stack.start()
        nats = stack.settings.nats
        broker = await connect(
            nats.url, user=nats.user, password=nats.password.reveal(), name="bench", inbox_prefix=INBOX_PREFIX
        )
        try:
            await _batch(broker, WARM, 1)
            before = await _stored(broker)
            alone = await _batch(broker, count, AT_ONCE[0])
            commits = round((await _stored(broker) - before) / count) - 1  # The message to the asker is before it asks.
            bare_ms = await _bare_ms(broker, commits, count)
            others = {at_once: await _batch(broker, count, at_once) for at_once in AT_ONCE[1:]}
            return Measured({AT_ONCE[0]: alone} | others, commits, bare_ms)
        finally:
            await broker.stop()
            await stack.stop()


async def _stored(broker: Broker) -> int:
    """What the inboxes and logs of all domains were ever given."""
    found = await broker.api("STREAM.LIST", {"offset": 0}, _Streams)
    return sum(one.state.last_seq for one in found.streams if one.config["name"].endswith(("_IN", "_LOG")))


async def _bare_ms(broker: Broker, commits: int, count: int) -> float:
    """The median of so many appends of a small record one after the other, nothing else."""
    log, times_ms = JetStreamLog(broker), []
    body = msgspec.json.encode(OtherAsked(question="there?"))
    for _ in range(count):
        subject, last = subjects.log(ActorRef(Domain.SYSTEM, ASKER, new_id())), 0
        began = time.perf_counter()
        for _ in range(commits):
            last = await log.append(subject, [Record(envelope(OtherAsked, Domain.SOPHIA), body)], expected=last)
        times_ms.append(1_000 * (time.perf_counter() - began))
    return statistics.median(times_ms)


async def _batch(broker: Broker, count: int, at_once: int) -> list[float]:
    places = asyncio.Semaphore(at_once)

    async def one() -> float:
        async with places:
            return await _asked_ms(broker)

    return await asyncio.gather(*(one() for _ in range(count)))


async def _asked_ms(broker: Broker) -> float:
    """Have one new actor ask; how long its reaction waited."""
    log, queue = JetStreamLog(broker), JetStreamQueue(broker)
    message, sent = AskOther(question="there?"), envelope(AskOther, Domain.SOPHIA)
    actor = ActorRef(Domain.SOPHIA, ASKER, sent.id)
    watch = await log.watch(subjects.log(actor), after=0, from_now=True)
    await queue.publish(subjects.inbox(actor), Record(sent, msgspec.json.encode(message)))
    asked = (await watch.take(ANSWER_S_MAX))[0].record.envelope
    await watch.close()
    journal = await log.watch(subjects.run(actor, asked.id), after=0)
    answer = (await journal.take(ANSWER_S_MAX))[0].record
    await journal.close()
    entry = msgspec.json.decode(answer.body, type=EffectRecorded)
    outcome = msgspec.json.decode(entry.result, type=Outcome)
    if (entry.name, outcome.status) != ("ask", "completed"):
        raise RuntimeError(f"not answered: {entry.name} {outcome}")
    return (answer.envelope.time - asked.time).total_seconds() * 1_000


def table(found: Measured) -> str:
    lines = ["| requests at once | p50 | p99 | goal |", "|---|---|---|---|"]
    for at_once, times_ms in found.times_ms.items():
        cuts = statistics.quantiles(times_ms, n=100)
        lines.append(f"| {at_once} | {cuts[49]:.1f} ms | {cuts[98]:.1f} ms | {'15 / 60 ms' if at_once == 1 else ''} |")
    lines.append(f"| raw limit: {found.commits} bare commits, one after the other | {found.bare_ms:.1f} ms | | |")
    count = len(found.times_ms[AT_ONCE[0]])
    return (
        "\n".join(lines)
        + f"\n\n{count} requests each, every one by a new actor, two worker processes; on every hop a commit with fsync."
    )


def reached(found: Measured) -> dict[str, tuple[float, str]]:
    cuts = statistics.quantiles(found.times_ms[AT_ONCE[0]], n=100)
    beside = f"its {found.commits} commits bare, one after the other: {found.bare_ms:.1f} ms (p50)"
    return {"ask.p50_ms": (cuts[49], beside), "ask.p99_ms": (cuts[98], beside)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=300)
    found = asyncio.run(measure(parser.parse_args().count))
    text = table(found)
    results.write("Asking another domain", "just bench crossing", text)
    results.record(reached(found))
    print(text)


if __name__ == "__main__":
    main()
