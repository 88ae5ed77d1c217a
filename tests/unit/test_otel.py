"""Telemetry through OpenTelemetry: ids that follow from runs and seeds, parents across tasks, spans that reach their places."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event, Thread
from uuid import UUID

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from adapters.otel import OtelTelemetry, current_ids, otlp, trace_id
from adapters.span_store import MemorySpanStore
from contracts.ids import new_id
from contracts.trace import SpanRecord
from runtime.errors import UnavailableError
from runtime.telemetry import Telemetry
from runtime.waterfall import shape

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"


def traced(scenario: Callable[[Telemetry], Awaitable[None]]) -> list[SpanRecord]:
    """The spans of run RUN after the scenario."""
    store = MemorySpanStore()

    async def run() -> list[SpanRecord]:
        telemetry = OtelTelemetry("sophia", store=store)
        await telemetry.start()
        await scenario(telemetry)
        await telemetry.stop()
        await telemetry.stop()
        return await store.trace(trace_id(RUN))

    return asyncio.run(run())


def test_a_runs_root_has_its_trace_id_and_a_seed_fixes_the_span_id() -> None:
    async def scenario(telemetry: Telemetry) -> None:
        with telemetry.span("react", run=RUN, seed="event-1", attributes={"kind": "conversation"}) as span:
            span.note(attempt=1)
            telemetry.note(batch=2)
            expected = hashlib.sha256(b"event-1").digest()[-8:].hex()
            assert span.traceparent == f"00-{UUID(RUN).hex}-{expected}-01"
            assert current_ids() == (UUID(RUN).hex, expected)
        assert current_ids() is None
        telemetry.note(batch=3)  # nothing

    (span,) = traced(scenario)
    assert span.attributes == {"kind": "conversation", "attempt": 1, "batch": 2}
    assert span.parent_id is None
    assert (span.name, span.service, span.status) == ("react", "sophia", "ok")
    assert span.end_ns >= span.start_ns > 0


def test_parents_hold_across_tasks_and_processes() -> None:
    async def scenario(telemetry: Telemetry) -> None:
        async def child(name: str) -> None:
            with telemetry.span(name):
                await asyncio.sleep(0)
                with telemetry.span(f"{name} inner"):
                    await asyncio.sleep(0)

        with telemetry.span("request", run=RUN) as root:
            await asyncio.gather(child("a"), child("b"))
            carried = root.traceparent
        with telemetry.span("elsewhere", parent=carried, run=new_id()):
            pass

    spans = {span.name: span for span in traced(scenario)}
    root = spans["request"].span_id
    assert {spans[name].parent_id for name in ("a", "b", "elsewhere")} == {root}
    assert spans["a inner"].parent_id == spans["a"].span_id
    assert spans["b inner"].parent_id == spans["b"].span_id
    assert shape(list(spans.values())).is_whole


def test_an_explicit_parent_beats_the_current_span() -> None:
    async def scenario(telemetry: Telemetry) -> None:
        with telemetry.span("first", run=RUN) as first:
            pass
        with telemetry.span("other trace", run=new_id()), telemetry.span("second", parent=first.traceparent):
            pass

    spans = {span.name: span for span in traced(scenario)}
    assert spans["second"].parent_id == spans["first"].span_id


def test_a_repeat_continues_the_span_of_the_first_attempt() -> None:
    async def scenario(telemetry: Telemetry) -> None:
        with pytest.raises(ZeroDivisionError), telemetry.span("react", run=RUN, seed="e"):
            _ = 1 / 0
        with telemetry.span("react", run=RUN, seed="e"):
            pass

    (span,) = traced(scenario)
    assert span.status == "ok"


def test_failures_are_told_and_cancellation_is_none() -> None:
    async def scenario(telemetry: Telemetry) -> None:
        with pytest.raises(KeyError), telemetry.span("raised", run=RUN):
            raise KeyError("x")
        with telemetry.span("told", run=RUN) as span:
            span.fail("r" * 1000)
        with pytest.raises(asyncio.CancelledError), telemetry.span("cancelled", run=RUN):
            raise asyncio.CancelledError

    spans = {span.name: span for span in traced(scenario)}
    assert (spans["raised"].status, spans["raised"].reason) == ("failed", "KeyError: 'x'")
    assert spans["told"].reason == "r" * 300
    assert (spans["cancelled"].status, spans["cancelled"].attributes) == ("ok", {"cancelled": True})


@pytest.mark.parametrize(
    "parent",
    ["", "nonsense", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01", f"ff-{'1' * 32}-{'1' * 16}-01"],
)
def test_a_malformed_parent_is_as_good_as_none(parent: str) -> None:
    async def scenario(telemetry: Telemetry) -> None:
        with telemetry.span("request", parent=parent, run=RUN):
            pass

    (span,) = traced(scenario)
    assert span.parent_id is None


class FailingStore(MemorySpanStore):
    """Unavailable at first."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0
        self.stored = asyncio.Event()

    async def store(self, spans: Sequence[SpanRecord]) -> None:
        self.tries += 1
        if self.tries == 1:
            raise UnavailableError("broker", "away")
        await super().store(spans)
        self.stored.set()


def test_spans_wait_for_a_store_that_is_away_and_are_sent_without_a_stop() -> None:
    async def run() -> None:
        store = FailingStore()
        telemetry = OtelTelemetry("sophia", store=store)
        await telemetry.start()
        with telemetry.span("request", run=RUN):
            pass
        async with asyncio.timeout(10):
            await store.stored.wait()
        assert store.tries == 2
        assert len(await store.trace(trace_id(RUN))) == 1
        await telemetry.stop()

    asyncio.run(run())


def test_a_full_queue_drops_and_counts() -> None:
    async def run() -> None:
        store = MemorySpanStore()
        telemetry = OtelTelemetry("sophia", store=store, queue_max=3)
        await telemetry.start()
        for _ in range(5):
            with telemetry.span("request", run=RUN):
                pass
        await telemetry.stop()
        assert len(await store.trace(trace_id(RUN))) == 3
        assert b'diarchy_spans_dropped_total{sink="store"} 2.0' in telemetry.metrics.text()

    asyncio.run(run())


def test_spans_ended_in_a_thread_arrive_too() -> None:
    async def scenario(telemetry: Telemetry) -> None:
        def work() -> None:
            with telemetry.span("in a thread"):
                pass

        with telemetry.span("request", run=RUN):
            await asyncio.to_thread(work)

    assert shape(traced(scenario)).is_whole


class Collector(BaseHTTPRequestHandler):
    """An OTLP/HTTP collector."""

    requests: list[ExportTraceServiceRequest]
    got: Event

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(request)
        self.send_response(200)
        self.end_headers()
        self.got.set()

    def log_message(self, *_: object) -> None: ...


def test_a_collector_gets_the_same_spans() -> None:
    Collector.requests, Collector.got = [], Event()
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()

        async def run() -> None:
            telemetry = OtelTelemetry("artemis", exporter=otlp(f"http://127.0.0.1:{server.server_port}/v1/traces"))
            await telemetry.start()
            with telemetry.span("request", run=RUN, attributes={"route": "/v1/ask"}):
                pass
            assert await asyncio.to_thread(Collector.got.wait, 10)
            await telemetry.stop()

        asyncio.run(run())
        server.shutdown()
    (resource,) = Collector.requests[0].resource_spans
    assert {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"] == "artemis"
    (span,) = resource.scope_spans[0].spans
    assert span.trace_id.hex() == UUID(RUN).hex
    assert span.attributes[0].value.string_value == "/v1/ask"
