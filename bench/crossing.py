"""Cross-domain request and reply without a model call: a reaction of one domain asks the other and waits, two worker processes.

Measured inside, by the records' own times: from the event whose reaction asks to the journaled answer.

python -m bench.crossing [--count 300]
"""

import argparse
import asyncio
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from adapters.jetstream import Broker, connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_queue import JetStreamQueue
from bench import results
from bench.counter import ASKER, AskOther
from bench.stack import roles, settings_in
from contracts import subjects
from contracts.catalogue import tag
from contracts.collaboration import Outcome
from contracts.domains import Domain
from contracts.envelope import Envelope, Record
from contracts.ids import new_id
from contracts.kernel import EffectRecorded
from contracts.subjects import ActorRef
from deploy.embedded.supervisor import Supervisor
from deploy.roles import INBOX_PREFIX
from deploy.stack import prepared

AT_ONCE = (1, 16)
WARM = 20
ANSWER_S_MAX = 30.0


async def measure(count: int) -> dict[int, list[float]]:
    """Milliseconds of each request, for one after the other and for some at once."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Supervisor(prepared(settings_in(Path(folder)), 0), roles("sophia", "artemis"))
        await stack.start()
        nats = stack.settings.nats
        broker = await connect(
            nats.url, user=nats.user, password=nats.password.reveal(), name="bench", inbox_prefix=INBOX_PREFIX
        )
        try:
            await _batch(broker, WARM, 1)
            return {at_once: await _batch(broker, count, at_once) for at_once in AT_ONCE}
        finally:
            await broker.stop()
            await stack.stop()


async def _batch(broker: Broker, count: int, at_once: int) -> list[float]:
    places = asyncio.Semaphore(at_once)

    async def one() -> float:
        async with places:
            return await _asked_ms(broker)

    return await asyncio.gather(*(one() for _ in range(count)))


async def _asked_ms(broker: Broker) -> float:
    """Have one new actor ask; how long its reaction waited."""
    log, queue = JetStreamLog(broker), JetStreamQueue(broker)
    identity = new_id()
    actor = ActorRef(Domain.SOPHIA, ASKER, identity)
    message = AskOther(question="there?")
    envelope = Envelope(
        id=identity,
        type=tag(AskOther),
        time=datetime.now(UTC),
        correlation=identity,
        principal="bench",
        source=Domain.SYSTEM,
        target=Domain.SOPHIA,
    )
    watch = await log.watch(subjects.log(actor), after=0, from_now=True)
    await queue.publish(subjects.inbox(actor), Record(envelope, msgspec.json.encode(message)))
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


def table(found: dict[int, list[float]]) -> str:
    lines = ["| requests at once | p50 | p99 | goal |", "|---|---|---|---|"]
    for at_once, times_ms in found.items():
        cuts = statistics.quantiles(times_ms, n=100)
        lines.append(f"| {at_once} | {cuts[49]:.1f} ms | {cuts[98]:.1f} ms | {'15 / 60 ms' if at_once == 1 else ''} |")
    count = len(next(iter(found.values())))
    return (
        "\n".join(lines)
        + f"\n\n{count} requests each, every one by a new actor, two worker processes; on every hop a commit with fsync."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=300)
    text = table(asyncio.run(measure(parser.parse_args().count)))
    results.write("Asking another domain", "python -m bench.crossing", text)
    print(text)


if __name__ == "__main__":
    main()
