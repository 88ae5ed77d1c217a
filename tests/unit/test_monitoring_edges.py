"""System monitoring on what is empty, huge, backwards or not measured: it says no more than its figures, and always answers."""

import math
import re

import numpy as np
import pytest

from actors.artemis.tools.incidents import MINUTES_MAX
from actors.artemis.tools.performance_analysis import of_profiles
from actors.artemis.tools.profiles import read_profile
from actors.artemis.tools.system_monitoring import monitor
from actors.tables import read_table
from contracts.domains import Clearance
from contracts.measurements import BROKER, HEALTH, HOST, Series
from contracts.model import Evidence
from runtime.errors import OutcomeError


def note(text: str) -> Evidence:
    return Evidence(id="1", title="incident", text=text, label=Clearance.INTERNAL, score=1.0)


def measured(source: str, **figures: tuple[float | None, ...]) -> str:
    named = {name.replace("_", " "): values for name, values in figures.items()}
    length = len(next(iter(figures.values()), (0,)))
    return monitor(
        [], None, [Series(source=source, at_ms=tuple(range(length)), figures=named)], window="last day"
    ).findings[0]


def test_a_table_with_its_newest_row_first_is_told_in_the_order_of_time() -> None:
    noise = np.random.default_rng(8).normal(0, 4, 240)
    rows = [f"2026-01-01 {at // 60:02}:{at % 60:02}:00,{100 + 50 * (at >= 120) + noise[at]:.2f}" for at in range(240)]
    onwards = monitor([], read_table("\n".join(["t,v", *rows]).encode())).findings
    backwards = monitor([], read_table("\n".join(["t,v", *rows[::-1]]).encode())).findings
    assert onwards == backwards
    assert re.match(r"At 2026-01-01 02:00:00 UTC: v went from (99|100)\.\d+ to (149|150)\.\d+ and stayed", onwards[1])


def test_nothing_is_called_usual_that_was_not_judged() -> None:
    noise = np.random.default_rng(8).normal(0, 4, 40)
    rows = [f"2026-01-01 00:{at:02}:00,{value:.2f},{value if at > 30 else ''}" for at, value in enumerate(noise)]
    told = "\n".join(monitor([], read_table("\n".join(["t,v,w", *rows]).encode())).findings)
    assert "Nothing is unusual in the 40 rows of metrics, of 1 figures; 1 more have too few points yet." in told
    told = "\n".join(monitor([], read_table("\n".join(["t,v,w", *rows[:8]]).encode())).findings)
    assert "Nothing is unusual" not in told


def test_incidents_of_unknown_duration_have_no_minutes() -> None:
    lines = monitor(
        [
            note("severity: high\nservice: billing"),
            note("severity: low\nservice: till"),
            note("service: till\nduration: 5 min\nseverity: low"),
        ]
    ).findings
    assert "By service: till 2 (5 minutes in the 1 of known duration), billing 1 (duration unknown)." in lines
    assert any("1 incidents with known duration" in line for line in lines)


def test_a_duration_longer_than_a_century_is_none() -> None:
    for written in ("9" * 390 + " days", f"{MINUTES_MAX + 1:.0f} min"):
        lines = monitor([note(f"severity: high\nservice: billing\nduration: {written}")]).findings
        assert "By service: billing 1 (duration unknown)." in lines


def test_what_was_not_measured_is_said_and_not_told_as_nothing() -> None:
    assert measured(HOST, load_per_core=(0.5,)).endswith("memory not measured; disk not measured.")
    assert measured(HOST, disk_share=(0.5,)).endswith("disk 50.0 % full.")
    assert measured(HOST, disk_share=(0.5,), disk_free_bytes=(2e9,)).endswith("disk 50.0 % full, 2.0 GB free.")
    assert measured(HEALTH, score=(None,)).endswith("score not measured, no check was measured.")
    assert measured(HEALTH, score=(0.0,), broker_well=(0.0,)).endswith("score 0 of 100, not well: broker.")
    assert (
        measured(BROKER, connections=(3.0,))
        == "JetStream at 1970-01-01 00:00:00 UTC: no stream was measured; 3 connections."
    )


def test_weights_that_add_up_to_no_number_are_refused() -> None:
    with pytest.raises(OutcomeError, match="add up to no number"):
        read_profile(b"a " + b"9" * 308 + b"\nb " + b"9" * 308 + b"\n")
    assert of_profiles([read_profile(b"a " + b"9" * 100 + b"\n")]).functions[0].own_share == 1


@pytest.mark.filterwarnings("default::RuntimeWarning")
@pytest.mark.parametrize("values", [(1e300, -1e300, 1.0), (5e-324, 1.0, 2.0, 3.0), (1e-310, 2e-310, 4e-310, 3e-310)])
def test_any_figures_end_with_an_answer(values: tuple[float, ...]) -> None:
    rows = "\n".join(f"{value!r},x" for value in values * 20)
    result = monitor([], read_table(f"v,w\n{rows}".encode()))
    assert result.figures == 1
    assert all(one.sigmas is None or not math.isnan(one.sigmas) for one in result.anomalies)
