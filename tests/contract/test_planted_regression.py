"""One operation of six becomes slower: asked what did, Artemis names it and no other, from spans that a real broker keeps.

The question is of an hour after the moment that parts the spans, since the broker dates what it stores by its own clock.
"""

import asyncio
import math
import random
from datetime import UTC, datetime, timedelta

from actors.artemis.tools.performance_analysis import (
    PERFORMANCE_ANALYSIS,
    PerformanceAnalysisArguments,
    PerformanceAnalysisResult,
)
from actors.artemis.windows import windows
from adapters.jetstream_blobs import JetStreamBlobs
from adapters.jetstream_streams import ensure_streams
from adapters.sandbox import Sandbox
from adapters.span_store import JetStreamSpanStore
from contracts.domains import Clearance
from contracts.trace import SpanRecord
from runtime.observing import Observing, observe_spans
from tests.servers import NatsServer, connected

QUESTION = "What got slower in the last hour?"
HOUR = timedelta(hours=1)
MEDIANS_MS = {
    ("gateway", "request"): 120.0,
    ("sophia", "handle conversation.ask.v1"): 4.0,
    ("sophia", "effect search"): 30.0,
    ("artemis", "effect tool"): 900.0,
    ("embedding", "embed"): 15.0,
    ("projector", "project"): 2.0,
}
PLANTED = ("sophia", "effect search")
TIMES_SLOWER = 1.4
SPANS = 150  # of each operation in each window
SIGMA = 0.5  # of the logarithm: 95 % lie between 0.37 and 2.7 times the median


def drawn(chance: random.Random, since: datetime, until: datetime, slower: float) -> list[SpanRecord]:
    """Log-normal durations of every operation that end within the window, each in a trace of its own."""
    spans: list[SpanRecord] = []
    for operation, median in MEDIANS_MS.items():
        for _ in range(SPANS):
            times = slower if operation == PLANTED else 1.0
            ns = round(1e6 * median * times * math.exp(chance.gauss(0, SIGMA)))
            end = round(1e9 * chance.uniform(since.timestamp() + 1, until.timestamp() - 1))
            spans.append(
                SpanRecord(
                    trace_id=f"{chance.getrandbits(128):032x}",
                    span_id=f"{chance.getrandbits(64):016x}",
                    service=operation[0],
                    name=operation[1],
                    start_ns=end - ns,
                    end_ns=end,
                )
            )
    return spans


def test_what_became_slower_is_named_and_nothing_else(nats_server: NatsServer) -> None:
    async def body() -> PerformanceAnalysisResult:
        chance = random.Random(20_261_130)  # noqa: S311 - durations, no secrets
        async with connected(nats_server) as broker:
            await ensure_streams(broker)
            store, blobs, sandbox = JetStreamSpanStore(broker), JetStreamBlobs(broker), Sandbox()
            begun = datetime.now(UTC)
            await store.store(drawn(chance, begun - HOUR, begun, 1.0))
            parted = datetime.now(UTC)
            await store.store(drawn(chance, parted, parted + HOUR, TIMES_SLOWER))
            span = windows(QUESTION, parted + HOUR)
            found = [
                await observe_spans(
                    store,
                    Observing(since=since, until=until, clearance=Clearance.INTERNAL, permitted=True),
                    blobs,
                )
                for since, until in ((span.since, span.until), (span.before_since, span.before_until))
            ]
            assert [one.count for one in found] == 2 * [SPANS * len(MEDIANS_MS)]
            arguments = PerformanceAnalysisArguments(
                question=QUESTION, spans=found[0].digest, before=found[1].digest, window=span.said
            )
            try:
                result = await sandbox.run(PERFORMANCE_ANALYSIS, arguments, blobs.get, 120)
            finally:
                await sandbox.stop()
            assert isinstance(result, PerformanceAnalysisResult)
            return result

    result = asyncio.run(body())
    (slower,) = [one for one in result.changes if one.slower or one.faster or one.fails_more]
    assert (slower.service, slower.name) == PLANTED
    assert slower.slower
    difference = (TIMES_SLOWER - 1) * MEDIANS_MS[PLANTED]
    assert 0 < slower.low < difference < slower.high
    assert len(result.changes) == len(MEDIANS_MS)
    told = [line for line in result.findings if line.startswith(("Slower:", "Faster:", "Fails more"))]
    assert [line.split(",")[0] for line in told] == ["Slower: sophia effect search"]
    assert any(
        "1 of 6 compared operations became slower, 0 faster, 0 fail more often" in line for line in result.findings
    )
