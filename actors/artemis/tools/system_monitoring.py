"""System monitoring: how the system is, what of its figures stands out, and what incident notes add up to.

Figures come from our own measurements, or from an uploaded table with a row a point in time. How they are judged, and how often
wrongly, says `unusual`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import msgspec
from msgspec import UNSET, Struct, UnsetType

from actors.artemis.tools import incidents, unusual
from actors.artemis.tools.incidents import Incident, Recovery, Tally
from actors.artemis.tools.measured import Health, clock, health, state, watched
from actors.artemis.tools.unusual import Anomaly, Judged, Watched
from actors.tables import Table, figure, moment, read_table
from actors.tool import Fetch, tool
from contracts.grounds import Basis
from contracts.measurements import Series
from contracts.model import Evidence
from runtime.ports import Tool, ToolLimits

ANOMALIES_MAX = 50
GROUPS_TOLD_MAX = 6
OF_GROUP_TOLD_MAX = 4
DATED_FROM_MS = 86_400_000 * 3_650  # before 1980 are rows that were counted for want of a time
TOGETHER_STEPS = 2.5  # figures that change within so many measurements of each other are told together

_series = msgspec.json.Decoder(list[Series])


class SystemMonitoringArguments(Struct, frozen=True, kw_only=True):
    """Incident notes as evidence, perhaps the digest of a stored CSV of metrics, and that of our own measurements (`Series`).

    `window` says over which time the measurements are, `notes` what could not be read.
    """

    evidence: tuple[Evidence, ...] = ()
    metrics: str | None = None
    question: str = ""
    measured: str | UnsetType = UNSET
    window: str | UnsetType = UNSET
    notes: tuple[str, ...] | UnsetType = UNSET


class SystemMonitoringResult(Struct, frozen=True, kw_only=True):
    """`figures` were looked at in `points` measurements or rows; `judged` of them moved enough to be judged."""

    findings: tuple[str, ...]
    incidents: tuple[Incident, ...]
    by_service: tuple[Tally, ...]
    by_severity: tuple[Tally, ...]
    recovery: Recovery | None
    health: Health | None
    anomalies: tuple[Anomaly, ...]
    figures: int
    judged: int
    points: int
    basis: Basis | UnsetType = UNSET


def monitor(
    evidence: Sequence[Evidence],
    metrics: Table | None = None,
    measured: Sequence[Series] | None = None,
    *,
    window: str = "",
    notes: Sequence[str] = (),
) -> SystemMonitoringResult:
    """The whole analysis of notes, an uploaded table and our own measurements, as far as they are there."""
    told = incidents.told(evidence)
    findings = list(notes)
    points = metrics.rows if metrics else 0
    series: list[Watched] = []
    if measured is not None:
        points += sum(len(one.at_ms) for one in measured)
        series += watched(measured)
        findings += state(measured) or [f"Nothing was measured in the {window}."]
    if metrics:
        series += from_table(metrics)
    found = unusual.judge(series)
    if series:
        findings += _unusual(found, series, window if measured is not None else f"{points:,} rows of metrics")
    if told.incidents or (measured is None and not metrics):
        findings += incidents.findings(told, len(evidence))
    return SystemMonitoringResult(
        findings=tuple(findings),
        incidents=told.incidents,
        by_service=told.by_service,
        by_severity=told.by_severity,
        recovery=told.recovery,
        health=health(measured) if measured else None,
        anomalies=found.anomalies[:ANOMALIES_MAX],
        figures=len(series),
        judged=len(found.judged),
        points=points,
        basis=UNSET if measured is None and not metrics else _basis(found, series),
    )


def _basis(found: Judged, series: Sequence[Watched]) -> Basis:
    """Figures with too few points to be judged are not read; a table without times says nothing of when it is of."""
    last_ms = max((at for one in series for at in one.at_ms[-1:]), default=0)
    return Basis(
        read=len(series) - len(found.short),
        given=max(1, len(series)),
        newest=datetime.fromtimestamp(last_ms / 1_000, UTC) if last_ms >= DATED_FROM_MS else UNSET,
    )


def from_table(table: Table) -> list[Watched]:
    """Every number column as a series in order of time; without a time in every row, each is a minute after the one before."""
    dates = next((column for column in table.columns if column.kind == "date"), None)
    moments = [moment(cell) for cell in dates.cells] if dates else []
    dated = bool(moments) and all(one is not None for one in moments)
    at_ms = (
        [round(one.timestamp() * 1_000) for one in moments if one is not None]
        if dated
        else [row * 60_000 for row in range(table.rows)]
    )
    gaps = sorted(later - earlier for earlier, later in pairwise(sorted(at_ms)))
    found: list[Watched] = []
    for column in table.columns:
        if column.kind == "number":
            points = [(at, value) for at, value in zip(at_ms, column.numbers, strict=True) if value is not None]
            points.sort(key=lambda point: point[0])  # An export may have its newest row first.
            found.append(
                Watched(
                    name=column.name,
                    at_ms=tuple(at for at, _ in points),
                    values=tuple(value for _, value in points),
                    step_ms=max(gaps[len(gaps) // 2], 1) if gaps else 1,
                )
            )
    return found


def _unusual(found: Judged, series: Sequence[Watched], where: str) -> list[str]:
    step_ms = max((one.step_ms for one in series), default=1)
    groups = unusual.together(found.anomalies, round(TOGETHER_STEPS * step_ms))
    groups.sort(key=lambda group: unusual.first(group[0]))
    looked_at = len(series) - len(found.short)
    of = f"of {looked_at:,} figures" + (f"; {len(found.short):,} more have too few points yet" if found.short else "")
    if groups:
        lines = [f"Unusual in the {where}: {len(found.anomalies):,} changes at {len(groups):,} times, {of}."]
    elif looked_at:
        lines = [f"Nothing is unusual in the {where}, {of}."]
    else:
        lines = [f"What is unusual in the {where} cannot be said yet: {len(series):,} figures have too few points."]
    lines += [_group(group) for group in groups[:GROUPS_TOLD_MAX]]
    if len(groups) > GROUPS_TOLD_MAX:
        lines.append(f"{len(groups) - GROUPS_TOLD_MAX:,} more times are in the tool's result.")
    lines.append(
        f"Judged: {len(found.judged):,} figures; {len(found.still):,} hardly moved and {len(found.short):,} have fewer than"
        f" {unusual.POINTS_MIN} points. Methods: {'; '.join(unusual.METHODS.values())}; with limits that let noise alone raise an"
        f" alarm in about {unusual.FALSE_ALARMS:.0%} of answers."
    )
    return lines


def _group(group: Sequence[Anomaly]) -> str:
    at = clock(min(one.at_ms for one in group))
    more = f" and {len(group) - OF_GROUP_TOLD_MAX} more" if len(group) > OF_GROUP_TOLD_MAX else ""
    told = "; ".join(_change(one) for one in group[:OF_GROUP_TOLD_MAX])
    return f"At {at}{' together' if len(group) > 1 else ''}: {told}{more}."


def _change(one: Anomaly) -> str:
    value, before = _digits(one.value), _digits(one.before)
    match one.how:
        case "point":
            return f"{one.name} was {value}, usually {before} ({one.sigmas:g} robust standard deviations, point)"
        case "level":
            return f"{one.name} went from {before} to {value} and stayed ({one.sigmas:g} robust standard deviations, level)"
        case "drift":
            return f"{one.name} drifted from {before} towards {value} (EWMA at {one.sigmas:g} sigma, drift)"
        case "departure":
            return f"{one.name} was {value} where it should be {before}"


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1 else figure(value)


def _run(arguments: SystemMonitoringArguments, blobs: Fetch) -> SystemMonitoringResult:
    measured = arguments.measured
    return monitor(
        arguments.evidence,
        read_table(blobs(arguments.metrics)) if arguments.metrics else None,
        _series.decode(blobs(measured)) if isinstance(measured, str) else None,
        window=arguments.window or "",
        notes=arguments.notes or (),
    )


SYSTEM_MONITORING: Tool = tool(
    "system_monitoring",
    _run,
    "How the system is, what of its figures is unusual (points, changes of level, drifts) and what incident notes add up to.",
    permission="artemis:read",
    limits=ToolLimits(preload=("scipy.stats", "statsmodels.tsa.seasonal", "statsmodels.stats.diagnostic")),
)
