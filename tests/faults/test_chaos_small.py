"""A small, fixed part of `just chaos` and `just overload`: the harness works, and so does what it checks."""

import asyncio
from pathlib import Path

from chaos import overload
from chaos.report import summary
from chaos.run import Chaos, run
from chaos.strikes import plan
from tests.stack import MODELS


def test_a_schedule_follows_from_its_seed() -> None:
    parts = ["nats", "sophia", "gateway"]
    first = plan(7, parts, kills=9, pauses=3, gap_s_max=2)
    assert first == plan(7, parts, kills=9, pauses=3, gap_s_max=2)
    assert first != plan(8, parts, kills=9, pauses=3, gap_s_max=2)
    kills = [strike.victim for strike in first if strike.kind == "kill"]
    assert sorted(kills) == sorted(parts * 3)


def test_six_kills_and_two_pauses_lose_and_double_nothing(data_folder: Path) -> None:
    chaos = Chaos(
        data=data_folder / "data",
        models=MODELS,
        seed=1,
        kills=6,
        pauses=2,
        gap_s_max=1.2,
        askers=3,
        curators=2,
        warm_s=1,
    )
    outcome = asyncio.run(run(chaos))
    assert (outcome.kills, outcome.pauses) == (6, 2)
    assert not outcome.findings, summary(outcome)
    assert set(outcome.accepted) >= {"add", "ask", "published"}
    assert sum(outcome.rows.values()) > 50


def test_a_short_overload_is_refused_in_time_and_what_was_accepted_is_finished(data_folder: Path) -> None:
    per_minute = ("requests_per_minute_max", "cross_requests_per_minute_max", "import_requests_per_minute_max")
    limits = {"requests_in_flight_max": 8, **dict.fromkeys(per_minute, 10)}
    plan = overload.Overload(
        data=data_folder / "data",
        models=MODELS,
        seconds=3,
        connections=16,
        limits=limits,
        refused_min=101,
        accepted_min=21,
        statuses=frozenset({202, 429, 503}),
    )
    outcome = asyncio.run(overload.overload(plan))
    assert outcome.refused == outcome.retry_after > 100
    assert outcome.accepted > 20
    assert {202, 429, 503} <= set(outcome.statuses) <= {201, 202, 429, 503}, outcome.statuses
    # Three seconds are too short to tell a process that warms up from one that grows: that takes `just overload`.
    wrong = [finding for finding in outcome.findings if finding.check != "memory stays flat"]
    assert not wrong, overload.summary(outcome)
