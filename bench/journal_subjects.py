"""What a reaction pays to read its journal: one subject an actor against one a reaction (docs/adr/0001).

python -m bench.journal_subjects
"""

import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from adapters.jetstream import connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_streams import ensure_streams
from bench import results
from contracts.domains import Domain
from contracts.envelope import Envelope, Record
from contracts.ids import new_id
from contracts.subjects import ActorRef, run
from tests.servers import NatsServer

EFFECTS_A_TURN = 8
TURNS = 1_000
READS = 9
BODY = b'{"x":"' + b"y" * 400 + b'"}'


async def measure(server: NatsServer) -> dict[int, float]:
    """Effects in the subject → milliseconds to read it, the median of several."""
    broker = await connect(server.url, user=server.user, password=server.password)
    await ensure_streams(broker)
    log, actor = JetStreamLog(broker), ActorRef(Domain.SOPHIA, "conversation", "sophia-x")
    found = {}
    for effects in (EFFECTS_A_TURN, EFFECTS_A_TURN * TURNS):
        subject, last = run(actor, new_id()), 0
        for start in range(0, effects, 1_000):
            last = await log.append(subject, [_record() for _ in range(min(1_000, effects - start))], expected=last)
        times_ms = []
        for _ in range(READS):
            began = time.perf_counter()
            assert len(await log.read(subject)) == effects
            times_ms.append(1_000 * (time.perf_counter() - began))
        found[effects] = statistics.median(times_ms)
    await broker.stop()
    return found


def _record() -> Record:
    envelope = Envelope(
        id=new_id(),
        type="runtime.effect.v1",
        time=datetime.now(UTC),
        correlation=new_id(),
        principal="bench",
        source=Domain.SOPHIA,
    )
    return Record(envelope, BODY)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder))
        server.start()
        try:
            found = asyncio.run(measure(server))
        finally:
            server.stop()
    rows = "".join(f"| {effects:,} | {ms:.2f} ms |\n" for effects, ms in found.items())
    text = f"| effects in the subject | median of {READS} reads |\n|---|---|\n{rows}"
    results.write("Reading an effect journal", "python -m bench.journal_subjects", text)
    print(text)


if __name__ == "__main__":
    main()
