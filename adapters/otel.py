"""Telemetry through the OpenTelemetry SDK: a trace is a run, finished spans go to the span store and to a collector.

The SDK makes and times the spans. Batching is our own, on the event loop, because storing a span is asynchronous here and
because an idle process must not wake up for nothing.
"""

import asyncio
import contextlib
import hashlib
import logging
import re
import secrets
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar, Token
from uuid import UUID

from opentelemetry import context as otel_context
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from adapters.prometheus import PrometheusMetrics
from contracts.trace import SpanRecord
from runtime.errors import InvalidError, UnavailableError
from runtime.ports import SpanStore
from runtime.telemetry import NO_ATTRIBUTES, SPANS_DROPPED_TOTAL, Attributes

FLUSH_S = 0.25
RETRY_S = 1.0
BATCH_MAX = 512
QUEUE_MAX = 8_192
STOP_FLUSH_S_MAX = 1.0
OTLP_S_MAX = 2.0  # its own retries included; a stopping process waits for it
REASON_CHARS_MAX = 300
ATTRIBUTE_CHARS_MAX = 1_000
ATTRIBUTES_MAX = 64

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_wanted: ContextVar[tuple[str | None, str | None]] = ContextVar("wanted ids", default=(None, None))

_logger = logging.getLogger(__name__)


def trace_id(run: str) -> str:
    """The trace id (32 hex digits) of the run with this correlation id: its digits; a digest of an id that is no UUID."""
    try:
        return UUID(run).hex
    except ValueError:
        return hashlib.sha256(run.encode()).hexdigest()[:32]


def current_ids() -> tuple[str, str] | None:
    """Trace and span id (hex) of the current span, for logs; None outside one."""
    context = otel.get_current_span().get_span_context()
    return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else None


class SpanSink:
    """Finished spans on their way to one place: a bounded queue, emptied every 250 ms while there is something in it.

    Spans beyond the queue are dropped and counted. `send` raising UnavailableError has its batch sent again later.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[Sequence[ReadableSpan]], Awaitable[None]],
        dropped: Callable[[int], None],
        *,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self._name = name
        self._send = send
        self._dropped = dropped
        self._queue_max = queue_max
        self._queue: deque[ReadableSpan] = deque()
        self._filled = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._task: asyncio.Task[None] | None = None

    def offer(self, span: ReadableSpan) -> None:
        """Queue it; from any thread."""
        if len(self._queue) >= self._queue_max:
            self._dropped(1)
            return
        self._queue.append(span)
        if self._loop is None or self._filled.is_set():
            return
        if threading.get_ident() == self._thread:
            self._filled.set()
        else:
            with contextlib.suppress(RuntimeError):  # The loop has been closed: too late for anything.
                self._loop.call_soon_threadsafe(self._filled.set)

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        if self._queue:
            self._filled.set()
        self._task = asyncio.create_task(self._run(), name=f"spans to {self._name}")

    async def stop(self) -> None:
        """Send what is left, for a second at most; the rest is dropped."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            await asyncio.wait_for(self._flush(), STOP_FLUSH_S_MAX)
        except (TimeoutError, UnavailableError) as error:
            _logger.warning("%d spans were not sent to %s: %s", len(self._queue), self._name, error or "too slow")
            self._dropped(len(self._queue))
            self._queue.clear()

    async def _run(self) -> None:
        failing = False
        while True:
            await self._filled.wait()
            await asyncio.sleep(RETRY_S if failing else FLUSH_S)
            self._filled.clear()
            try:
                await self._flush()
                failing = False
            except UnavailableError as error:
                if not failing:
                    _logger.warning("spans cannot be sent to %s, trying on: %s", self._name, error)
                failing = True
                self._filled.set()

    async def _flush(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            try:
                await self._send(batch)
            except InvalidError as error:
                self._dropped(len(batch))
                _logger.warning("%s does not take %d spans: %s", self._name, len(batch), error)
            except BaseException:  # Cancelled or unavailable: they stay first in line.
                self._queue.extendleft(reversed(batch))
                raise


class OtelTelemetry:
    """The Telemetry port for one role. Start it on the loop it serves; stop it last, so that the last spans are sent."""

    def __init__(
        self,
        service: str,
        *,
        store: SpanStore | None = None,
        exporter: SpanExporter | None = None,
        metrics: PrometheusMetrics | None = None,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self.metrics = metrics or PrometheusMetrics()
        self._exporter = exporter
        self._sinks: list[SpanSink] = []
        if store is not None:
            send = _storing(store, service)
            self._sinks.append(SpanSink("the span store", send, self._dropping("store"), queue_max=queue_max))
        if exporter is not None:
            send = _exporting(exporter, self._dropping("otlp"))
            self._sinks.append(SpanSink("the collector", send, self._dropping("otlp"), queue_max=queue_max))
        limits = SpanLimits(
            max_span_attributes=ATTRIBUTES_MAX, max_span_attribute_length=ATTRIBUTE_CHARS_MAX, max_events=0, max_links=0
        )
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource({"service.name": service, "service.namespace": "diarchy"}),
            shutdown_on_exit=False,
            id_generator=_Ids(),
            span_limits=limits,
        )
        provider.add_span_processor(_Processor(self._sinks))
        self._tracer = provider.get_tracer("diarchy")

    async def start(self) -> None:
        for sink in self._sinks:
            await sink.start()

    async def stop(self) -> None:
        for sink in self._sinks:
            await sink.stop()
        if self._exporter is not None:
            exporter, self._exporter = self._exporter, None
            await asyncio.to_thread(exporter.shutdown)

    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        run: str | None = None,
        seed: str | None = None,
        attributes: Attributes = NO_ATTRIBUTES,
    ) -> "OtelSpan":
        context = _remote(parent)
        if context is None and otel.get_current_span().get_span_context().is_valid:
            context = otel_context.get_current()
        wanted = _wanted.set((run, seed))
        try:
            span = self._tracer.start_span(name, context=context or Context(), attributes=dict(attributes))
        finally:
            _wanted.reset(wanted)
        return OtelSpan(span)

    def count(self, metric: str, amount: float = 1, **labels: str) -> None:
        self.metrics.count(metric, amount, **labels)

    def observe(self, metric: str, seconds: float, **labels: str) -> None:
        self.metrics.observe(metric, seconds, **labels)

    def gauge(self, metric: str, value: float, **labels: str) -> None:
        self.metrics.gauge(metric, value, **labels)

    def _dropping(self, sink: str) -> Callable[[int], None]:
        return lambda number: self.metrics.count(SPANS_DROPPED_TOTAL, number, sink=sink)


class OtelSpan:
    """A Span and its context manager: current between enter and exit, failed by an exception that passes through."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: otel.Span) -> None:
        self._span = span
        self._token: Token[Context] | None = None

    @property
    def traceparent(self) -> str | None:
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    def note(self, **attributes: str | int | float | bool) -> None:
        self._span.set_attributes(attributes)

    def fail(self, reason: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, reason[:REASON_CHARS_MAX]))

    def __enter__(self) -> "OtelSpan":
        self._token = otel_context.attach(otel.set_span_in_context(self._span))
        return self

    def __exit__(self, *exc: object) -> bool | None:
        error = exc[1]
        if isinstance(error, asyncio.CancelledError):
            self.note(cancelled=True)
        elif isinstance(error, Exception):
            self.fail(f"{type(error).__name__}: {error}")
        self._span.end()
        if self._token is not None:
            otel_context.detach(self._token)
        return None


class _Ids(IdGenerator):
    """Ids as `OtelTelemetry.span` wants them for the span it is making, random ones otherwise."""

    def generate_trace_id(self) -> int:
        run = _wanted.get()[0]
        return int(trace_id(run), 16) or 1 if run is not None else secrets.randbits(128) or 1

    def generate_span_id(self) -> int:
        seed = _wanted.get()[1]
        if seed is None:
            return secrets.randbits(64) or 1
        return int.from_bytes(hashlib.sha256(seed.encode()).digest()[-8:]) or 1


class _Processor(SpanProcessor):
    def __init__(self, sinks: Sequence[SpanSink]) -> None:
        self._sinks = sinks

    def on_end(self, span: ReadableSpan) -> None:
        for sink in self._sinks:
            sink.offer(span)


def otlp(endpoint: str) -> SpanExporter:
    """An exporter to an OTLP/HTTP collector; `endpoint` with its path, such as `http://collector:4318/v1/traces`."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint, timeout=OTLP_S_MAX)


def _remote(traceparent: str | None) -> Context | None:
    """The context in which the traceparent's span is the current one; None for a missing or malformed one."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if match is None:
        return None
    context = SpanContext(int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=_SAMPLED)
    return otel.set_span_in_context(NonRecordingSpan(context), Context()) if context.is_valid else None


def _storing(store: SpanStore, service: str) -> Callable[[Sequence[ReadableSpan]], Awaitable[None]]:
    async def send(spans: Sequence[ReadableSpan]) -> None:
        await store.store([_record(span, service) for span in spans])

    return send


def _exporting(
    exporter: SpanExporter, dropped: Callable[[int], None]
) -> Callable[[Sequence[ReadableSpan]], Awaitable[None]]:
    async def send(spans: Sequence[ReadableSpan]) -> None:
        # The exporter tries again by itself for a while; then a collector's absence must not hold anything up.
        if await asyncio.to_thread(exporter.export, spans) is not SpanExportResult.SUCCESS:
            dropped(len(spans))

    return send


def _record(span: ReadableSpan, service: str) -> SpanRecord:
    context = span.get_span_context()
    attributes = {
        name: value for name, value in (span.attributes or {}).items() if isinstance(value, str | int | float | bool)
    }
    failed = span.status.status_code is StatusCode.ERROR
    return SpanRecord(
        trace_id=f"{context.trace_id:032x}" if context else "",
        span_id=f"{context.span_id:016x}" if context else "",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
        name=span.name,
        service=service,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status="failed" if failed else "ok",
        reason=(span.status.description or "") if failed else "",
        attributes=attributes,
    )
