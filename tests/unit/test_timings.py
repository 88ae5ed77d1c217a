"""Spans to operations: counts, own time, critical path; nothing of what a span tells of somebody."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from contracts.trace import SpanRecord
from runtime import timings
from runtime.timings import Timings

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
NS = round(NOON.timestamp() * 1e9)
MS = 1_000_000


def span(trace: str, number: int, of: str, start: int, end: int, parent: int | None = None, **more: str) -> SpanRecord:
    service, _, name = of.partition(" ")
    status = "failed" if more.pop("status", "") else "ok"
    return SpanRecord(
        trace_id=trace,
        span_id=f"{number:016x}",
        parent_id=None if parent is None else f"{parent:016x}",
        name=name,
        service=service,
        start_ns=NS + start * MS,
        end_ns=NS + end * MS,
        status="failed" if status == "failed" else "ok",
        attributes=dict(more),
    )


RUN = [
    span("a", 1, "gateway request", 0, 100, method="POST", route="/v1/ask", principal="zq-anna"),
    span("a", 2, "sophia react asked", 10, 90, 1, actor="sophia/conversation/zq-secret"),
    span("a", 3, "sophia effect search", 20, 50, 2),
    span("a", 4, "sophia effect chat", 40, 80, 2, status="failed"),
]


def test_operations_are_counted_and_timed_without_what_is_inside_them() -> None:
    taken = Timings(NOON, NOON + timedelta(hours=1))
    taken.take(RUN)
    taken.take([span("b", 9, "sophia effect search", 0, 7)])
    found = taken.operations()
    told = {
        f"{one.service} {one.name}": (one.count, one.failed, one.total_ms, one.self_ms, one.ms)
        for one in found.operations
    }
    assert told == {
        "gateway request POST /v1/ask": (1, 0, 100, 20, (100,)),
        "sophia react asked": (1, 0, 80, 20, (80,)),  # search and chat cover 20 to 80
        "sophia effect search": (2, 0, 37, 37, (7, 30)),
        "sophia effect chat": (1, 1, 40, 40, (40,)),
    }
    assert (found.spans, found.runs, found.complete_until) == (5, 2, NOON + timedelta(hours=1))


def test_nothing_of_who_asked_or_for_what_is_told() -> None:
    taken = Timings(NOON, NOON + timedelta(hours=1))
    taken.take(RUN)
    assert b"zq-" not in msgspec.json.encode(taken.operations())


def test_the_critical_path_is_what_was_begun_last_and_leaves_out_time_without_spans() -> None:
    taken = Timings(NOON, NOON + timedelta(hours=1))
    taken.take([*RUN, span("a", 5, "projector project", 900, 910, 2)])
    (run,) = taken.operations().slowest
    assert (run.ms, run.spans) == (110, 5)
    assert [(step.service + " " + step.name, step.ms) for step in run.path] == [
        ("gateway request POST /v1/ask", 10),
        ("sophia react asked", 10),
        ("sophia effect search", 20),
        ("sophia effect chat", 40),
        ("sophia react asked", 10),
        ("gateway request POST /v1/ask", 10),
        ("projector project", 10),
    ]


def test_of_a_repeated_span_the_last_counts_and_what_is_too_much_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timings, "SPANS_MAX", 2)
    taken = Timings(NOON, NOON + timedelta(hours=1))
    taken.take([span("a", 1, "sophia handle", 0, 10), span("a", 1, "sophia handle", 0, 30)])
    assert not taken.full
    taken.take([span("b", 2, "sophia handle", 0, 5)])
    found = taken.operations()
    assert (found.operations[0].ms, found.complete_until) == ((30, 5), NOON + timedelta(milliseconds=30))
