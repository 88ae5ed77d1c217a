"""Where finished spans are kept: a stream with a subject a trace, or memory."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker
from adapters.kept_window import PAGE_BYTES_MAX, PAGE_MESSAGES_MAX, pages
from contracts import subjects
from contracts.trace import SpanRecord
from runtime.errors import InvalidError, UnavailableError

LATE_S_MAX = 10.0  # from a span's end to its being kept
TRACE_SPANS_MAX = 20_000  # a reader is shown the first so many of a trace

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_decoder = msgspec.json.Decoder(list[SpanRecord])


class _Get(Struct):
    seq: int
    next_by_subj: str
    batch: int = PAGE_MESSAGES_MAX
    max_bytes: int = PAGE_BYTES_MAX


class JetStreamSpanStore:
    """A SpanStore in the SPANS stream: one message a trace and call, a JSON array of spans."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def store(self, spans: Sequence[SpanRecord]) -> None:
        *firsts, last = _by_trace(spans).items() or [("", [])]
        for trace_id, group in firsts:
            await self._broker.publish(subjects.spans(trace_id), msgspec.json.encode(group))
        if last[1]:  # Its acknowledgement comes after the broker has taken the others, too.
            await self._broker.store(subjects.spans(last[0]), msgspec.json.encode(last[1]), {})

    async def trace(self, trace_id: str) -> list[SpanRecord]:
        subject = subjects.spans(_checked(trace_id))
        found: list[SpanRecord] = []
        first, more = 1, True
        while more and len(found) < TRACE_SPANS_MAX:
            get = msgspec.json.encode(_Get(first, subject))
            *parts, end = await self._broker.collect(f"$JS.API.DIRECT.GET.{subjects.SPANS_STREAM}", get)
            headers = end.headers or {}
            if headers.get("Status") not in ("204", "404"):
                raise UnavailableError("broker", f"reading {subject}: {headers.get('Description', 'no status')}")
            for part in parts:
                found += _decoder.decode(part.data)
                first = int((part.headers or {})["Nats-Sequence"]) + 1
            more = bool(parts) and int(headers.get("Nats-Num-Pending", 0)) > 0
        return latest(found)

    async def between(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SpanRecord]]:
        last = until + timedelta(seconds=LATE_S_MAX)
        stream, subject = subjects.SPANS_STREAM, subjects.SPANS_FILTER
        async for page in pages(self._broker, stream, subject, since=since, until=last):
            if found := _ended([span for message in page for span in _decoder.decode(message.data)], since, until):
                yield found


class MemorySpanStore:
    """A SpanStore that forgets everything with its process."""

    def __init__(self) -> None:
        self._spans: dict[str, list[SpanRecord]] = defaultdict(list)

    async def store(self, spans: Sequence[SpanRecord]) -> None:
        for span in spans:
            self._spans[span.trace_id].append(span)

    async def trace(self, trace_id: str) -> list[SpanRecord]:
        return latest(self._spans.get(_checked(trace_id), []))

    async def between(self, since: datetime, until: datetime) -> AsyncIterator[Sequence[SpanRecord]]:
        if found := _ended([span for spans in self._spans.values() for span in spans], since, until):
            yield found


def latest(spans: Iterable[SpanRecord]) -> list[SpanRecord]:
    """Of each span id the one that ended last, by start time."""
    chosen: dict[str, SpanRecord] = {}
    for span in spans:
        known = chosen.get(span.span_id)
        if known is None or known.end_ns <= span.end_ns:
            chosen[span.span_id] = span
    return sorted(chosen.values(), key=lambda span: (span.start_ns, -span.end_ns))


def _by_trace(spans: Sequence[SpanRecord]) -> dict[str, list[SpanRecord]]:
    groups: dict[str, list[SpanRecord]] = defaultdict(list)
    for span in spans:
        groups[span.trace_id].append(span)
    return groups


def _ended(spans: Iterable[SpanRecord], since: datetime, until: datetime) -> list[SpanRecord]:
    first, last = since.timestamp() * 1e9, until.timestamp() * 1e9
    return [span for span in spans if first <= span.end_ns < last]


def _checked(trace_id: str) -> str:
    if not _TRACE_ID.fullmatch(trace_id):
        raise InvalidError("a trace id is 32 hex digits", "trace_id")
    return trace_id
