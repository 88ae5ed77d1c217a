"""Artemis's tools on metrics, incidents and slow code: figures that can be checked by hand, scans that name the place."""

from datetime import datetime

from actors.artemis.tools import system_monitoring
from actors.tables import read_table
from contracts.domains import Clearance
from contracts.model import Evidence


def note(text: str, title: str = "Incident: x") -> Evidence:
    return Evidence(id=title, title=title, text=text, label=Clearance.INTERNAL, score=0.5)


def test_incidents_add_up() -> None:
    first = (
        "- Service: billing\n- Severity: SEV1\n- Started: 2026-01-01 10:00\n- Resolved: 2026-01-01 11:30\n- Cause: disk"
    )
    second = (
        "Alert, priority P2 on identity. It began at 2026-02-01 08:00 and ended 2026-02-01 08:30 because a key expired."
    )
    result = system_monitoring.monitor(
        [note(first, "A"), note(second, "Outage B"), note("Our strategy is growth.", "C")], None
    )
    assert [(one.service, one.severity, one.minutes) for one in result.incidents] == [
        ("billing", "critical", 90.0),
        ("unknown", "high", 30.0),
    ]
    assert result.recovery is not None
    assert (result.recovery.mean, result.recovery.median, result.recovery.low) == (60.0, 60.0, None)
    assert "60 minutes is the mean time to recovery" in result.findings[1]


def test_outliers_of_metrics() -> None:
    rows = "".join(
        f"2026-01-01T{hour:02d}:00,{100 + hour % 3},{900 if hour == 20 else 10 + hour % 3}\n" for hour in range(24)
    )
    result = system_monitoring.monitor([], read_table(f"time,cpu,latency_ms\n{rows}".encode()))
    (found,) = result.anomalies
    at_ms = 1_000 * datetime.fromisoformat("2026-01-01T20:00").timestamp()
    assert (found.name, found.at_ms, found.value, found.how) == ("latency_ms", at_ms, 900, "point")
