"""Incident notes: what each tells of service, severity, duration and cause, and what they add up to."""

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from actors.tables import figure, moment
from contracts.model import Evidence
from runtime.errors import OutcomeError
from runtime.text import clip, sentences

TEXTS_MAX = 500
CHARS_MAX = 2_000_000
SEED = 20_261_129
RESAMPLES = 999
RECOVERIES_MIN = 5  # for an interval
MINUTES_MAX = 100 * 525_600.0  # a century: a longer duration is a slip of the pen

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
    """How many incidents, and the minutes of those whose duration is known (of so many)."""

    name: str
    incidents: int
    minutes: float
    known: int = 0


class Recovery(Struct, frozen=True, kw_only=True):
    """Minutes to recovery of the incidents whose duration is known; `low` and `high`: 95 % of the mean, by bootstrap."""

    incidents: int
    mean: float
    median: float
    longest: float
    low: float | None
    high: float | None


class Told(Struct, frozen=True, kw_only=True):
    """What the notes add up to."""

    incidents: tuple[Incident, ...]
    by_service: tuple[Tally, ...]
    by_severity: tuple[Tally, ...]
    recovery: Recovery | None


def told(evidence: Sequence[Evidence]) -> Told:
    """Of all notes that are about an incident. Raises OutcomeError for too many."""
    if len(evidence) > TEXTS_MAX or sum(len(one.text) for one in evidence) > CHARS_MAX:
        raise OutcomeError(f"at most {TEXTS_MAX} texts with {CHARS_MAX:,} characters together are read")
    incidents = tuple(one for text in evidence if (one := incident(text)) is not None)
    by_severity = _tally(incidents, [one.severity for one in incidents])
    return Told(
        incidents=incidents,
        by_service=_tally(incidents, [one.service for one in incidents]),
        by_severity=tuple(sorted(by_severity, key=lambda tally: _LEVEL_ORDER.index(tally.name))),
        recovery=_recovery([one.minutes for one in incidents if one.minutes is not None]),
    )


def _recovery(minutes: Sequence[float]) -> Recovery | None:
    if not minutes:
        return None
    low = high = None
    if len(minutes) >= RECOVERIES_MIN:
        import numpy as np
        from scipy.stats import bootstrap

        generator = np.random.default_rng(SEED)
        found = bootstrap((minutes,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=generator)
        low, high = (float(one) for one in found.confidence_interval)
    return Recovery(
        incidents=len(minutes),
        mean=statistics.fmean(minutes),
        median=statistics.median(minutes),
        longest=max(minutes),
        low=low,
        high=high,
    )


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
    if minutes is not None and minutes > MINUTES_MAX:
        minutes = None
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
    known: Counter[str] = Counter()
    for one, name in zip(incidents, names, strict=True):
        if one.minutes is not None:
            minutes[name] += round(one.minutes)
            known[name] += 1
    return tuple(
        Tally(name, counts[name], minutes[name], known[name])
        for name in sorted(counts, key=lambda name: (-counts[name], name))
    )


def findings(found: Told, texts: int) -> list[str]:
    """In sentences; the last ones tell the worst incidents, the worst first."""
    lines = [f"{len(found.incidents):,} incidents are described in {texts:,} texts."]
    if one := found.recovery:
        interval = (
            f", 95 % interval {figure(one.low)} to {figure(one.high)} by bootstrap"
            if one.low is not None and one.high is not None
            else ""
        )
        lines.append(
            f"{figure(one.mean)} minutes is the mean time to recovery (median {figure(one.median)}, longest"
            f" {figure(one.longest)}{interval}) over {one.incidents:,} incidents with known duration."
        )
    if found.incidents:
        lines.append("By severity: " + ", ".join(f"{one.incidents} {one.name}" for one in found.by_severity) + ".")
        services = [f"{one.name} {one.incidents} ({_lasted(one)})" for one in found.by_service[:8]]
        lines.append(f"By service: {', '.join(services)}.")
    return lines + [_story(one) for one in sorted(found.incidents, key=_worst)[:6]]


def _lasted(one: Tally) -> str:
    if not one.known:
        return "duration unknown"
    return f"{one.minutes:,} minutes" + (
        f" in the {one.known:,} of known duration" if one.known < one.incidents else ""
    )


def _worst(one: Incident) -> tuple[int, float, str]:
    return _LEVEL_ORDER.index(one.severity), -(one.minutes or 0.0), one.id


def _story(one: Incident) -> str:
    lasted = f"{figure(one.minutes)} minutes" if one.minutes is not None else "unknown duration"
    cause = f"; cause: {one.cause.rstrip('.')}" if one.cause else ""
    return f"{one.title}: {one.severity}, {one.service}, {lasted}{cause}."
