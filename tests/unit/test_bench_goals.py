"""The goals' table: what is measured, what is missing, what stays when only some is measured again."""

from pathlib import Path

import pytest

from bench import goals, results
from bench.__main__ import BENCHMARKS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(results, "FIGURES", tmp_path / "figures.json")
    return tmp_path


def _row(key: str) -> list[str]:
    what = goals.GOALS[key].what
    lines = [line for line in results.RESULTS.read_text().splitlines() if line.startswith(f"| {what} |")]
    assert len(lines) == 1, lines
    return [cell.strip() for cell in lines[0].strip("|").split("|")]


def test_each_goal_has_a_benchmark_that_is_run() -> None:
    assert {goal.benchmark for goal in goals.GOALS.values()} <= set(BENCHMARKS)


def test_a_figure_stands_beside_its_goal_and_its_limit() -> None:
    results.record({"job.rate": (2_500.0, "Restate: 500/s"), "job.p50_ms": (4.04, "Restate: 7.0 ms")})
    assert _row("job.rate")[1:5] == ["≥ 2,500/s", "2,500/s", "Restate: 500/s", "yes"]
    assert _row("job.p50_ms")[4] == "**no**"
    assert _row("failover.s")[2:5] == ["not measured", "", "no"]
    assert goals.met(results.figures(), frozenset({"http"})) == (1, 3)


def test_what_is_measured_again_replaces_only_itself() -> None:
    results.record({"job.rate": (1.0, "a"), "failover.s": (2.0, "b")})
    results.forget("failover")
    results.record({"job.rate": (3_000.0, "c")})
    assert _row("job.rate")[2:5] == ["3,000/s", "c", "yes"]
    assert _row("failover.s")[2] == "not measured"


def test_the_goals_are_the_first_section_and_the_others_stay() -> None:
    for text in ("one", "two"):
        results.write("Other", "a command", text)
        results.record({"failover.s": (2.0, "b")})
    written = results.RESULTS.read_text()
    assert [line for line in written.splitlines() if line.startswith("## ")] == ["## Goals", "## Other"]
    assert "two" in written
    assert "one\n" not in written
    assert "\n\n\n" not in written
