"""Artemis's tools on metrics, incidents and slow code: figures that can be checked by hand, scans that name the place."""

from hypothesis import given
from hypothesis import strategies as st

from actors.artemis.tools import performance_analysis, system_monitoring
from actors.artemis.tools.source_tree import SourceFile, SourceTree
from actors.tables import read_table
from contracts.domains import Clearance
from contracts.model import Evidence
from tests.archives import tree

SLOW = """
import time, requests
async def wait(urls, db):
    time.sleep(1)
    text = ""
    seen = []
    for url in urls:
        requests.get(url)
        await db.fetch("select 1")
        text += url
        if url in seen:
            continue
        for a in url:
            for b in url:
                pass
"""


def test_slow_shapes_are_named_with_their_line() -> None:
    result = performance_analysis.scan(tree(app=SLOW))
    found = {(one.line, one.rule) for one in result.places}
    assert found == {
        (4, "blocking call in async"),
        (8, "blocking call in async"),
        (8, "request in a loop"),
        (9, "query in a loop"),
        (10, "text concatenation in a loop"),
        (11, "list search in a loop"),
        (13, "nested loops"),
        (14, "nested loops"),
    }
    assert result.findings[0].startswith("8 places that may be slow in 1 files")


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
    assert (result.mttr_minutes, result.median_minutes) == (60.0, 60.0)
    assert "60 minutes is the mean time to recovery" in result.findings[1]


def test_outliers_of_metrics() -> None:
    rows = "".join(
        f"2026-01-01T{hour:02d}:00,{100 + hour % 3},{900 if hour == 20 else 10 + hour % 2}\n" for hour in range(24)
    )
    result = system_monitoring.monitor([], read_table(f"time,cpu,latency_ms\n{rows}".encode()))
    assert (result.outliers[0].metric, result.outliers[0].at, result.outliers[0].value) == (
        "latency_ms",
        "2026-01-01T20:00",
        900,
    )
    assert result.outliers[0].test == "z-score"


@given(st.text(max_size=200))
def test_any_text_is_scanned(text: str) -> None:
    assert performance_analysis.scan(SourceTree((SourceFile("a.py", "Python", text),), 0)).files == 1
