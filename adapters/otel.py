"""Telemetry as OpenTelemetry has it: a trace is a run, finished spans go to the span store and to a collector.

Spans are made here, because the SDK takes 40 µs for one and ours 6; the SDK sends them to a collector (OTLP). Batching is our
own, on the event loop, because storing a span is asynchronous and because an idle process must not wake up for nothing.
"""

import asyncio
import contextlib
import hashlib
import logging
import random
import re
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from uuid import UUID

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from adapters.prometheus import PrometheusMetrics
from contracts.trace import SpanRecord
from runtime.errors import InvalidError, UnavailableError
from runtime.telemetry import NO_ATTRIBUTES, SPANS_DROPPED_TOTAL, Attributes
from runtime.telemetry_ports import SpanStore

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
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("diarchy")
_random = random.Random()  # noqa: S311 - ids, not secrets
_current: ContextVar["OtelSpan | None"] = ContextVar("current span", default=None)

_logger = logging.getLogger(__name__)


def trace_id(run: str) -> str:
    """The trace id (32 hex digits) of the run with this correlation id: its digits; a digest of an id that is no UUID."""
    try:
        return UUID(run).hex
    except ValueError:
        return hashlib.sha256(run.encode()).hexdigest()[:32]


def current_ids() -> tuple[str, str] | None:
    """Trace and span id (hex) of the current span, for logs; None outside one."""
    span = _current.get()
    return (span.trace_id, span.span_id) if span is not None else None


class SpanSink:
    """Finished spans on their way to one place: a bounded queue, emptied every 250 ms while there is something in it.

    Spans beyond the queue are dropped and counted. `send` raising UnavailableError has its batch sent again later.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[Sequence[SpanRecord]], Awaitable[None]],
        dropped: Callable[[int], None],
        *,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        self._name = name
        self._send = send
        self._dropped = dropped
        self._queue_max = queue_max
        self._queue: deque[SpanRecord] = deque()
        self._filled = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._task: asyncio.Task[None] | None = None

    def offer(self, span: SpanRecord) -> None:
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
        self._service = service
        self._exporter = exporter
        self._sinks: list[SpanSink] = []
        if store is not None:
            self._sinks.append(SpanSink("the span store", store.store, self._dropping("store"), queue_max=queue_max))
        if exporter is not None:
            send = _exporting(exporter, service, self._dropping("otlp"))
            self._sinks.append(SpanSink("the collector", send, self._dropping("otlp"), queue_max=queue_max))

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
        remote = _TRACEPARENT.fullmatch(parent) if parent else None
        if remote is not None and remote[1] != _NO_TRACE and remote[2] != _NO_SPAN:
            trace, above = remote[1], remote[2]
        elif (current := _current.get()) is not None:
            trace, above = current.trace_id, current.span_id
        else:
            trace, above = trace_id(run) if run is not None else f"{_random.getrandbits(128):032x}", None
        number = (
            hashlib.sha256(seed.encode()).hexdigest()[-16:] if seed is not None else f"{_random.getrandbits(64):016x}"
        )
        return OtelSpan(self, name, (trace, number, above), attributes)

    def note(self, **attributes: str | int | float | bool) -> None:
        if (current := _current.get()) is not None:
            current.note(**attributes)

    def ended(self, span: SpanRecord) -> None:
        """Hand a finished span to whoever keeps it; from any thread."""
        for sink in self._sinks:
            sink.offer(span)

    @property
    def service(self) -> str:
        return self._service

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

    __slots__ = (
        "_attributes",
        "_name",
        "_parent",
        "_reason",
        "_start_ns",
        "_telemetry",
        "_token",
        "span_id",
        "trace_id",
    )

    def __init__(
        self, telemetry: OtelTelemetry, name: str, ids: tuple[str, str, str | None], attributes: Attributes
    ) -> None:
        self.trace_id, self.span_id, self._parent = ids
        self._telemetry = telemetry
        self._name = name
        self._attributes: dict[str, str | int | float | bool] = {}
        self._reason: str | None = None
        self._token: Token[OtelSpan | None] | None = None
        self._start_ns = time.time_ns()
        self._take(attributes)

    @property
    def traceparent(self) -> str | None:
        return f"00-{self.trace_id}-{self.span_id}-01"

    def note(self, **attributes: str | int | float | bool) -> None:
        self._take(attributes)

    def fail(self, reason: str) -> None:
        self._reason = reason[:REASON_CHARS_MAX]

    def __enter__(self) -> "OtelSpan":
        self._token = _current.set(self)
        return self

    def __exit__(self, *exc: object) -> bool | None:
        error = exc[1]
        if isinstance(error, asyncio.CancelledError):
            self.note(cancelled=True)
        elif isinstance(error, Exception):
            self.fail(f"{type(error).__name__}: {error}")
        failed = self._reason is not None
        self._telemetry.ended(
            SpanRecord(
                trace_id=self.trace_id,
                span_id=self.span_id,
                parent_id=self._parent,
                name=self._name,
                service=self._telemetry.service,
                start_ns=self._start_ns,
                end_ns=time.time_ns(),
                status="failed" if failed else "ok",
                reason=self._reason or "",
                attributes=self._attributes,
            )
        )
        if self._token is not None:
            with contextlib.suppress(ValueError):  # An asynchronous generator may be ended in another context.
                _current.reset(self._token)
        return None

    def _take(self, attributes: Mapping[str, str | int | float | bool]) -> None:
        for name, value in attributes.items():
            if len(self._attributes) >= ATTRIBUTES_MAX and name not in self._attributes:
                break
            self._attributes[name] = value[:ATTRIBUTE_CHARS_MAX] if isinstance(value, str) else value


def otlp(endpoint: str) -> SpanExporter:
    """An exporter to an OTLP/HTTP collector; `endpoint` with its path, such as `http://collector:4318/v1/traces`."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint, timeout=OTLP_S_MAX)


def _exporting(
    exporter: SpanExporter, service: str, dropped: Callable[[int], None]
) -> Callable[[Sequence[SpanRecord]], Awaitable[None]]:
    resource = Resource({"service.name": service, "service.namespace": "diarchy"})

    async def send(spans: Sequence[SpanRecord]) -> None:
        readable = [_readable(span, resource) for span in spans]
        # The exporter tries again by itself for a while; then a collector's absence must not hold anything up.
        if await asyncio.to_thread(exporter.export, readable) is not SpanExportResult.SUCCESS:
            dropped(len(spans))

    return send


def _readable(span: SpanRecord, resource: Resource) -> ReadableSpan:
    """The span as the SDK's exporters take it."""
    trace, failed = int(span.trace_id, 16), span.status == "failed"
    parent = (
        SpanContext(trace, int(span.parent_id, 16), is_remote=True, trace_flags=_SAMPLED) if span.parent_id else None
    )
    return ReadableSpan(
        name=span.name,
        context=SpanContext(trace, int(span.span_id, 16), is_remote=False, trace_flags=_SAMPLED),
        parent=parent,
        resource=resource,
        attributes=span.attributes,
        status=Status(StatusCode.ERROR, span.reason) if failed else Status(StatusCode.UNSET),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=_SCOPE,
    )
