"""System monitoring: what incident notes and alerts add up to, and which points of a metrics table stand out.

Outliers: the modified z-score on median and MAD (Iglewicz and Hoaglin, 1993; limit 3.5), and drifts by the EWMA control chart
(Roberts, 1959; weight 0.2, limits at 3 sigma of the chart), both with robust estimates so that an outlier cannot hide itself.
"""

import math
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from actors.tables import Column, Table, figure, moment, read_table
from actors.tool import Fetch, tool
from contracts.model import Evidence
from runtime.errors import OutcomeError
from runtime.ports import Tool
from runtime.text import clip, sentences

TEXTS_MAX = 500
CHARS_MAX = 2_000_000
OUTLIERS_MAX = 50
Z_LIMIT = 3.5
EWMA_WEIGHT = 0.2
EWMA_SIGMAS = 3.0
POINTS_MIN = 12

_FIELD = re.compile(
    r"^[ \t>*-]{0,20}(service|component|system|severity|priority|level|started|start|detected|begin|ended|end|resolved|recovered"
    r"|cause|root cause|duration)\*{0,2}[ \t]{0,5}[:=]\*{0,2}[ \t]{0,20}(\S.{0,400})",
    re.IGNORECASE | re.MULTILINE,
)
_SEVERITY = re.compile(
    r"\b(?:(sev|p|severity)[\s:-]?([0-5])\b|(critical|major|minor|high|medium|low|warning|info)\b)", re.IGNORECASE
)
_LEVELS = {
    "0": "critical",
    "1": "critical",
    "2": "high",
    "3": "medium",
    "4": "low",
    "5": "low",
    "major": "high",
    "minor": "low",
    "warning": "medium",
    "info": "low",
}
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(minutes?|mins?|min|hours?|hrs?|h|days?)\b", re.IGNORECASE)
_INCIDENT = re.compile(r"\b(?:incident|outage|alert|downtime|degrad\w+|post-?mortem|unavailable)\b", re.IGNORECASE)
_LEVEL_ORDER = ("critical", "high", "medium", "low", "unknown")


class SystemMonitoringArguments(Struct, frozen=True, kw_only=True):
    """Incident notes and alerts as evidence, and perhaps the digest of a stored CSV of metrics (a row a point in time)."""

    evidence: tuple[Evidence, ...] = ()
    metrics: str | None = None
    question: str = ""


class Incident(Struct, frozen=True, kw_only=True):
    """One incident as a note tells it; what it does not tell is "unknown" or None. Duration in minutes."""

    id: str
    title: str
    service: str
    severity: str
    started: datetime | None
    ended: datetime | None
    minutes: float | None
    cause: str


class Tally(Struct, frozen=True):
    """How many incidents, and their minutes where known."""

    name: str
    incidents: int
    minutes: float


class Outlier(Struct, frozen=True, kw_only=True):
    """A point of a metric that stands out: where (the row's time or number), its value, the median, and by which test."""

    metric: str
    at: str
    value: float
    median: float
    score: float
    test: str


class SystemMonitoringResult(Struct, frozen=True, kw_only=True):
    """MTTR (mean time to recovery) in minutes over the incidents whose duration is known; None when none is."""

    findings: tuple[str, ...]
    incidents: tuple[Incident, ...]
    by_service: tuple[Tally, ...]
    by_severity: tuple[Tally, ...]
    mttr_minutes: float | None
    median_minutes: float | None
    outliers: tuple[Outlier, ...]
    points: int


def monitor(evidence: Sequence[Evidence], metrics: Table | None) -> SystemMonitoringResult:
    """The whole analysis of notes and metrics."""
    if len(evidence) > TEXTS_MAX or sum(len(one.text) for one in evidence) > CHARS_MAX:
        raise OutcomeError(f"at most {TEXTS_MAX} texts with {CHARS_MAX:,} characters together are read")
    incidents = tuple(one for text in evidence if (one := incident(text)) is not None)
    known = [one.minutes for one in incidents if one.minutes is not None]
    found = outliers(metrics) if metrics else []
    result = SystemMonitoringResult(
        findings=(),
        incidents=incidents,
        by_service=_tally(incidents, [one.service for one in incidents]),
        by_severity=tuple(
            sorted(
                _tally(incidents, [one.severity for one in incidents]),
                key=lambda tally: _LEVEL_ORDER.index(tally.name),
            )
        ),
        mttr_minutes=statistics.fmean(known) if known else None,
        median_minutes=statistics.median(known) if known else None,
        outliers=tuple(found[:OUTLIERS_MAX]),
        points=metrics.rows if metrics else 0,
    )
    return _with_findings(result, len(evidence), known)


def incident(evidence: Evidence) -> Incident | None:
    """The incident a note is about, or None when it is about none (no field of one, no word for one)."""
    fields = {name.lower(): value.strip() for name, value in _FIELD.findall(evidence.text)}
    timed = any(name in fields for name in ("started", "start", "detected", "severity", "resolved", "ended", "end"))
    if not timed and not _INCIDENT.search(f"{evidence.title} {evidence.text[:400]}"):
        return None
    if not fields and not _TIME.search(evidence.text) and not _SEVERITY.search(evidence.text):
        return None
    started, ended = _span(fields, evidence.text)
    written = _DURATION.search(fields.get("duration", ""))
    minutes = (ended - started) / timedelta(minutes=1) if started and ended and ended >= started else None
    if minutes is None and written:
        minutes = float(written.group(1)) * {"m": 1, "h": 60, "d": 1440}[written.group(2)[0].lower()]
    return Incident(
        id=evidence.id,
        title=evidence.title,
        service=_first(fields, "service", "component", "system") or "unknown",
        severity=severity(_first(fields, "severity", "priority", "level") or evidence.title + " " + evidence.text),
        started=started,
        ended=ended,
        minutes=minutes,
        cause=clip(_first(fields, "root cause", "cause") or _cause(evidence.text), 300),
    )


def severity(text: str) -> str:
    """critical, high, medium or low by the first word or number for it (`SEV1`, `P2`, `major`), else unknown."""
    match = _SEVERITY.search(text)
    if not match:
        return "unknown"
    word = (match.group(2) or match.group(3)).lower()
    return _LEVELS.get(word, word)


def _first(fields: dict[str, str], *names: str) -> str:
    return next((fields[name].strip("*` ") for name in names if name in fields), "")


def _span(fields: dict[str, str], text: str) -> tuple[datetime | None, datetime | None]:
    starts = [fields[name] for name in ("started", "start", "begin", "detected") if name in fields]
    ends = [fields[name] for name in ("resolved", "recovered", "ended", "end") if name in fields]
    if starts or ends:
        return _time(starts), _time(ends)
    times = sorted(value for found in _TIME.findall(text) if (value := moment(found)) is not None)
    return (times[0], times[-1]) if len(times) >= 2 else (times[0] if times else None, None)


def _time(texts: Sequence[str]) -> datetime | None:
    match = _TIME.search(texts[0]) if texts else None
    return moment(match.group()) if match else None


def _cause(text: str) -> str:
    found = (
        one for one in sentences(text) if re.search(r"\b(?:caused by|because|root cause|due to)\b", one, re.IGNORECASE)
    )
    return next(found, "")


def _tally(incidents: Sequence[Incident], names: Sequence[str]) -> tuple[Tally, ...]:
    counts = Counter(names)
    minutes: Counter[str] = Counter()
    for one, name in zip(incidents, names, strict=True):
        minutes[name] += round(one.minutes or 0)
    return tuple(
        Tally(name, counts[name], minutes[name]) for name in sorted(counts, key=lambda name: (-counts[name], name))
    )


def outliers(table: Table) -> list[Outlier]:
    """Points of every number column that stand out by either test, largest score first."""
    times = next((column for column in table.columns if column.kind == "date"), None)
    found: list[Outlier] = []
    for column in table.columns:
        if column.kind == "number" and len([value for value in column.numbers if value is not None]) >= POINTS_MIN:
            found.extend(_column_outliers(column, times))
    return sorted(found, key=lambda one: (-one.score, one.metric, one.at))


def _column_outliers(column: Column, times: Column | None) -> list[Outlier]:
    rows = [(row, value) for row, value in enumerate(column.numbers) if value is not None]
    values = [value for _, value in rows]
    median, sigma = statistics.median(values), robust_sigma(values)
    if sigma == 0:
        return []
    chart = ewma(values, median)
    found: list[Outlier] = []
    drifting = False
    for at, (row, value) in enumerate(rows):
        z = abs(value - median) / sigma
        spread = sigma * math.sqrt(EWMA_WEIGHT / (2 - EWMA_WEIGHT) * (1 - (1 - EWMA_WEIGHT) ** (2 * (at + 1))))
        drift = abs(chart[at] - median) / spread
        place = times.cells[row] if times else f"row {row + 2}"
        if z > Z_LIMIT:
            test, score = "z-score", z
        elif drift > EWMA_SIGMAS and not drifting:
            test, score = "EWMA", drift
        else:
            test, score = "", 0.0
        drifting = drift > EWMA_SIGMAS
        if test:
            found.append(
                Outlier(metric=column.name, at=place, value=value, median=median, score=round(score, 2), test=test)
            )
    return found


def robust_sigma(values: Sequence[float]) -> float:
    """The standard deviation as the median absolute deviation estimates it (× 1.4826); 0 when half the values are equal."""
    median = statistics.median(values)
    return 1.4826 * statistics.median(abs(value - median) for value in values)


def ewma(values: Sequence[float], start: float) -> list[float]:
    """The exponentially weighted moving average after each value."""
    averages: list[float] = []
    current = start
    for value in values:
        current = EWMA_WEIGHT * value + (1 - EWMA_WEIGHT) * current
        averages.append(current)
    return averages


def _with_findings(result: SystemMonitoringResult, texts: int, known: Sequence[float]) -> SystemMonitoringResult:
    findings = [f"{len(result.incidents):,} incidents are described in {texts:,} texts."]
    if result.mttr_minutes is not None and result.median_minutes is not None:
        findings.append(
            f"{figure(result.mttr_minutes)} minutes is the mean time to recovery (median {figure(result.median_minutes)},"
            f" longest {figure(max(known))}) over {len(known):,} incidents with known duration."
        )
    if result.incidents:
        findings.append("By severity: " + ", ".join(f"{one.incidents} {one.name}" for one in result.by_severity) + ".")
        findings.append(
            "By service: "
            + ", ".join(f"{one.name} {one.incidents} ({one.minutes:,} minutes)" for one in result.by_service[:8])
            + "."
        )
    findings += [_story(one) for one in sorted(result.incidents, key=_worst)[:6]]
    if result.points:
        findings.append(f"{len(result.outliers):,} points of {result.points:,} rows of metrics stand out.")
    findings += [
        f"{figure(one.value)} for {one.metric} at {one.at} stands out from a median of {figure(one.median)}"
        f" ({one.test} {one.score})."
        for one in result.outliers[:6]
    ]
    return replace(result, findings=tuple(findings))


def _worst(one: Incident) -> tuple[int, float, str]:
    return _LEVEL_ORDER.index(one.severity), -(one.minutes or 0.0), one.id


def _story(one: Incident) -> str:
    lasted = f"{figure(one.minutes)} minutes" if one.minutes is not None else "unknown duration"
    cause = f"; cause: {one.cause.rstrip('.')}" if one.cause else ""
    return f"{one.title}: {one.severity}, {one.service}, {lasted}{cause}."


def _run(arguments: SystemMonitoringArguments, blobs: Fetch) -> SystemMonitoringResult:
    return monitor(arguments.evidence, read_table(blobs(arguments.metrics)) if arguments.metrics else None)


SYSTEM_MONITORING: Tool = tool(
    "system_monitoring",
    _run,
    "Adds up incidents from notes (services, severity, duration, causes) and finds points of a metrics CSV that stand out.",
    permission="artemis:read",
)
