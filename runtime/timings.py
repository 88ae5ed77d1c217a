"""Spans to operations: how long each kind of work took, without whose work it was."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from msgspec import Struct

from contracts.operations import Operation, Operations, SlowRun, Step
from contracts.trace import SpanRecord
from runtime.telemetry import SPAN_REQUEST, SPAN_RPC

SPANS_MAX = 200_000  # of a window; what ended later is left out, and that is said
OPERATIONS_MAX = 300  # kinds of work; more are taken together as "other"
DURATIONS_MAX = 2_000  # of an operation, evenly chosen among all
SLOWEST_MAX = 3
PATH_MAX = 30
TOLD = {SPAN_REQUEST: ("method", "route"), SPAN_RPC: ("subject",)}
"""The attributes that belong to an operation's name; all others may tell of somebody, and are left out."""


class _Seen(Struct, gc=False):
    """What is kept of a span while a window is read."""

    span: str
    parent: str | None
    operation: tuple[str, str]
    start_ns: int
    end_ns: int
    failed: bool


class Timings:
    """Takes the pages of a window's spans, in any order, and tells its operations."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self._since, self._until = since, until
        self._traces: dict[str, dict[str, _Seen]] = {}
        self._names: dict[tuple[str, str], tuple[str, str]] = {}
        self._spans = 0
        self._last_ns = 0

    @property
    def full(self) -> bool:
        return self._spans >= SPANS_MAX

    def take(self, spans: Sequence[SpanRecord]) -> None:
        """Of a repeated span the one counts that ended last."""
        for span in spans:
            trace = self._traces.setdefault(span.trace_id, {})
            known = trace.get(span.span_id)
            if known is not None and known.end_ns > span.end_ns:
                continue
            self._spans += known is None
            self._last_ns = max(self._last_ns, span.end_ns)
            trace[span.span_id] = _Seen(
                span.span_id,
                span.parent_id,
                self._operation(span),
                span.start_ns,
                span.end_ns,
                span.status == "failed",
            )

    def _operation(self, span: SpanRecord) -> tuple[str, str]:
        told = [str(span.attributes[name]) for name in TOLD.get(span.name, ()) if name in span.attributes]
        full = span.service, " ".join([span.name, *told])[:120]
        if full not in self._names:
            self._names[full] = full if len(self._names) < OPERATIONS_MAX else (span.service, "other")
        return self._names[full]

    def operations(self) -> Operations:
        """What was taken so far; operations by their own time, the largest first."""
        own: dict[tuple[str, str], list[tuple[_Seen, float]]] = {}
        for trace in self._traces.values():
            for seen, self_ms in _self_times(trace):
                own.setdefault(seen.operation, []).append((seen, self_ms))
        found = [_summed(name, seen) for name, seen in own.items()]
        last = datetime.fromtimestamp(self._last_ns / 1e9, UTC)
        return Operations(
            since=self._since,
            until=self._until,
            complete_until=last if self.full else self._until,
            spans=self._spans,
            runs=len(self._traces),
            operations=tuple(sorted(found, key=lambda one: (-one.self_ms, one.service, one.name))),
            slowest=_slowest(self._traces),
        )


def _summed(name: tuple[str, str], seen: Sequence[tuple[_Seen, float]]) -> Operation:
    ms = [_ms(one) for one, _ in sorted(seen, key=lambda pair: pair[0].start_ns)]
    every = -(-len(ms) // DURATIONS_MAX)
    return Operation(
        service=name[0],
        name=name[1],
        count=len(seen),
        failed=sum(one.failed for one, _ in seen),
        total_ms=round(sum(ms), 3),
        self_ms=round(sum(self_ms for _, self_ms in seen), 3),
        ms=tuple(round(one, 3) for one in ms[::every]),
    )


def _ms(seen: _Seen) -> float:
    return (seen.end_ns - seen.start_ns) / 1e6


def _children(trace: Mapping[str, _Seen]) -> dict[str | None, list[_Seen]]:
    """By parent, by end; under None what is nobody's child here."""
    found: dict[str | None, list[_Seen]] = {}
    for seen in trace.values():
        found.setdefault(seen.parent if seen.parent in trace else None, []).append(seen)
    return found


def _self_times(trace: Mapping[str, _Seen]) -> list[tuple[_Seen, float]]:
    """Each span with the milliseconds of it that none of its children covers (children may overlap, and outlast it)."""
    children = _children(trace)
    found: list[tuple[_Seen, float]] = []
    for seen in trace.values():
        covered, reached = 0, seen.start_ns
        for child in sorted(children.get(seen.span, ()), key=lambda one: one.start_ns):
            start, end = max(child.start_ns, reached), min(child.end_ns, seen.end_ns)
            covered += max(end - start, 0)
            reached = max(reached, end)
        found.append((seen, (seen.end_ns - seen.start_ns - covered) / 1e6))
    return found


def _slowest(traces: Mapping[str, Mapping[str, _Seen]]) -> tuple[SlowRun, ...]:
    """The traces that worked longest, each with its critical path."""
    chosen = sorted(traces.values(), key=_worked_ns, reverse=True)[:SLOWEST_MAX]
    return tuple(SlowRun(ms=round(_worked_ns(one) / 1e6, 3), spans=len(one), path=_path(one)) for one in chosen)


def _worked_ns(trace: Mapping[str, _Seen]) -> int:
    """How long at least one of its spans was open."""
    worked = reached = 0
    for one in sorted(trace.values(), key=lambda one: one.start_ns):
        worked += max(one.end_ns - max(one.start_ns, reached), 0)
        reached = max(reached, one.end_ns)
    return worked


def _path(trace: Mapping[str, _Seen]) -> tuple[Step, ...]:
    """What the trace waited for: at each moment, of the spans that were open, the one that began last; neighbours together.

    That is what has to become faster for the run to end sooner. Of very many steps the longest are kept, in order.
    """
    edges = sorted({edge for one in trace.values() for edge in (one.start_ns, one.end_ns)})
    starting = sorted(trace.values(), key=lambda one: one.start_ns)
    steps: list[tuple[tuple[str, str], int]] = []
    open_: list[_Seen] = []
    for edge, following in pairwise(edges):
        while starting and starting[0].start_ns <= edge:
            open_.append(starting.pop(0))
        open_ = [one for one in open_ if one.end_ns > edge]
        if not open_:
            continue
        name = open_[-1].operation
        if steps and steps[-1][0] == name:
            steps[-1] = (name, steps[-1][1] + following - edge)
        else:
            steps.append((name, following - edge))
    least = sorted((ns for _, ns in steps), reverse=True)[:PATH_MAX][-1] if steps else 0
    return tuple(Step(*name, round(ns / 1e6, 3)) for name, ns in steps if ns >= least)[:PATH_MAX]
