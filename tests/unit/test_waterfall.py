"""A trace's shape and picture."""

from contracts.trace import SpanRecord
from runtime.waterfall import LINES_MAX, shape, waterfall

MS = 1_000_000


def span(
    number: int, parent: int | None, start_ms: float, end_ms: float, *, name: str = "", failed: str = ""
) -> SpanRecord:
    return SpanRecord(
        trace_id="a" * 32,
        span_id=f"{number:016x}",
        parent_id=None if parent is None else f"{parent:016x}",
        name=name or f"span {number}",
        service="sophia" if number % 2 else "artemis",
        start_ns=int(start_ms * MS),
        end_ns=int(end_ms * MS),
        status="failed" if failed else "ok",
        reason=failed,
    )


WHOLE = [
    span(1, None, 0, 100, name="request /v1/ask"),
    span(2, 1, 10, 20, name="handle ask"),
    span(3, 2, 20, 90, name="react asked"),
    span(4, 3, 30, 80, name="effect chat", failed="the model\nrefused"),
    span(5, 1, 95, 100, name="project"),
]


def test_a_whole_trace_has_one_root_and_no_orphans() -> None:
    found = shape(WHOLE)
    assert found.is_whole
    assert found.duration_ms == 100
    assert found.services == ("artemis", "sophia")
    assert [one.name for one in found.failed] == ["effect chat"]


def test_orphans_and_second_roots_are_named() -> None:
    found = shape([*WHOLE, span(6, 99, 5, 6), span(7, None, 1, 2)])
    assert not found.is_whole
    assert [one.name for one in found.orphans] == ["span 6"]
    assert [one.name for one in found.roots] == ["request /v1/ask", "span 7"]
    text = waterfall([*WHOLE, span(6, 99, 5, 6), span(7, None, 1, 2)])
    assert "2 roots · 1 failed · 1 without their parent" in text
    assert "? span 6: its parent 0000000000000063 is missing" in text


PICTURE = """\
5 spans · 2 services · 100.0 ms · 1 failed
request /v1/ask        sophia      100.0 ms  ███████████████████████████████
├─ handle ask          artemis      10.0 ms     ███▎
│  └─ react asked      sophia       70.0 ms        █████████████████████▉
│     └─ ✗ effect chat artemis      50.0 ms           ███████████████▊
└─ project             sophia        5.0 ms                               ██
✗ effect chat: the model refused"""


def test_the_picture() -> None:
    assert waterfall(WHOLE, width=76) == PICTURE


def test_lines_fit_the_width_however_deep_the_trace() -> None:
    deep = [span(number, number - 1 if number > 1 else None, number, 3000) for number in range(1, 1500)]
    text = waterfall(deep, width=80)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert f"… {1499 - LINES_MAX} more spans" in text


def test_every_span_is_shown_once_even_in_a_ring() -> None:
    text = waterfall([span(1, 2, 0, 1), span(2, 1, 0, 1), span(3, 3, 0, 1)])
    assert all(text.count(f"span {number}") == 1 for number in (1, 2, 3))


def test_nothing_and_no_time_are_no_trouble() -> None:
    assert waterfall([]) == "no spans"
    assert "0.0 ms" in waterfall([span(1, None, 5, 5)])
