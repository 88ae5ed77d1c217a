"""One trace as an operator sees it: is it whole, and where did the time go. Pure; the spans come from a SpanStore."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from msgspec import Struct

from contracts.trace import SpanRecord

LINES_MAX = 500
WIDTH_MIN = 60
DEPTH_DRAWN_MAX = 8  # deeper spans show their depth as a number
SERVICE_CHARS_MAX = 12
REASON_CHARS_MAX = 120

_EIGHTHS = " ▏▎▍▌▋▊▉"


class Shape(Struct, frozen=True, kw_only=True):
    """What a trace looks like. A whole trace has one root and no orphans.

    An orphan names a parent that is not there: it is lost, not finished yet, or belongs to the caller's own tracing.
    """

    spans: int
    services: tuple[str, ...]
    roots: tuple[SpanRecord, ...]
    orphans: tuple[SpanRecord, ...]
    failed: tuple[SpanRecord, ...]
    start_ns: int
    end_ns: int

    @property
    def is_whole(self) -> bool:
        return len(self.roots) == 1 and not self.orphans

    @property
    def duration_ms(self) -> float:
        return (self.end_ns - self.start_ns) / 1e6


class _Line(Struct, frozen=True):
    tree: str
    span: SpanRecord


def shape(spans: Sequence[SpanRecord]) -> Shape:
    """Takes one span an id, as SpanStore.trace gives them."""
    known = {span.span_id for span in spans}
    return Shape(
        spans=len(spans),
        services=tuple(sorted({span.service for span in spans})),
        roots=tuple(span for span in spans if span.parent_id is None),
        orphans=tuple(span for span in spans if span.parent_id is not None and span.parent_id not in known),
        failed=tuple(span for span in spans if span.status == "failed"),
        start_ns=min((span.start_ns for span in spans), default=0),
        end_ns=max((span.end_ns for span in spans), default=0),
    )


def waterfall(spans: Sequence[SpanRecord], *, width: int = 100) -> str:
    """The spans as an indented tree with service, milliseconds and a bar on a common time axis; lines fit `width` (≥ 60)."""
    if not spans:
        return "no spans"
    width = max(width, WIDTH_MIN)
    whole = shape(spans)
    lines = list(_tree(spans))
    service_chars = min(max(len(span.service) for span in spans), SERVICE_CHARS_MAX)
    name_chars = min(max(len(line.tree) + len(_label(line.span)) for line in lines), width // 2 - 5)
    bar_chars = width - name_chars - service_chars - len("  1234567.8 ms  ")
    text = [_headline(whole)]
    for line in lines[:LINES_MAX]:
        name = _clip(line.tree + _label(line.span), name_chars)
        service = _clip(line.span.service, service_chars)
        milliseconds = f"{(line.span.end_ns - line.span.start_ns) / 1e6:9.1f} ms"
        bar = _bar(line.span, whole, bar_chars)
        text.append(f"{name:<{name_chars}} {service:<{service_chars}} {milliseconds}  {bar}".rstrip())
    if len(lines) > LINES_MAX:
        text.append(f"… {len(lines) - LINES_MAX} more spans")
    text += [f"✗ {span.name}: {_clip(span.reason, REASON_CHARS_MAX)}" for span in whole.failed if span.reason]
    text += [f"? {span.name}: its parent {span.parent_id} is missing" for span in whole.orphans]
    return "\n".join(text)


def _headline(whole: Shape) -> str:
    parts = [f"{whole.spans} spans", f"{len(whole.services)} services", f"{whole.duration_ms:.1f} ms"]
    if len(whole.roots) > 1:
        parts.append(f"{len(whole.roots)} roots")
    if whole.failed:
        parts.append(f"{len(whole.failed)} failed")
    if whole.orphans:
        parts.append(f"{len(whole.orphans)} without their parent")
    return " · ".join(parts)


def _tree(spans: Sequence[SpanRecord]) -> Iterator[_Line]:
    """Every span once, children under parents by start time; orphans, and rings of spans, stand at the top."""
    known = {span.span_id for span in spans}
    children: dict[str | None, list[SpanRecord]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span.start_ns, -span.end_ns)):
        children[span.parent_id if span.parent_id in known else None].append(span)
    seen: set[str] = set()
    # A stack, since a conversation's trace may be deeper than Python's own.
    stack = [("", "", 0, span) for span in reversed(children[None])]
    remaining = iter(sorted(spans, key=lambda span: span.start_ns))
    while True:
        while stack:
            tree, below, depth, span = stack.pop()
            if span.span_id in seen:
                continue
            seen.add(span.span_id)
            yield _Line(tree if depth <= DEPTH_DRAWN_MAX else f"⋯{depth} ", span)
            under = children[span.span_id]
            for number, child in reversed(list(enumerate(under))):
                branch, next_below = ("└─ ", "   ") if number == len(under) - 1 else ("├─ ", "│  ")
                drawn = depth <= DEPTH_DRAWN_MAX
                stack.append((below + branch, below + next_below if drawn else below, depth + 1, child))
        left_over = next((span for span in remaining if span.span_id not in seen), None)
        if left_over is None:
            return
        stack.append(("", "", 0, left_over))


def _label(span: SpanRecord) -> str:
    return f"{'✗ ' if span.status == 'failed' else ''}{span.name}"


def _bar(span: SpanRecord, whole: Shape, chars: int) -> str:
    """Where on the axis the span lies, to an eighth of a character at its end; never shorter than that."""
    total = max(whole.end_ns - whole.start_ns, 1)
    start = min(int((span.start_ns - whole.start_ns) / total * chars), chars - 1)
    eighths = max(round((span.end_ns - whole.start_ns) / total * chars * 8) - start * 8, 1)
    full, rest = divmod(min(eighths, (chars - start) * 8), 8)
    return " " * start + "█" * full + (_EIGHTHS[rest] if rest else "")


def _clip(text: str, chars: int) -> str:
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= chars else text[: chars - 1] + "…"
