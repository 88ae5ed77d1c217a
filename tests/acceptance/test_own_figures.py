"""Asked how it is itself, the stack answers with its own figures: those that its spans have, and for administrators only. Asked
about a profile that was imported, with that one's."""

import asyncio
import time
from datetime import datetime, timedelta
from statistics import median_low
from typing import Any

import httpx
import msgspec
import pytest

from actors.artemis.tools.performance_analysis import PerformanceAnalysisResult
from adapters.jetstream import connect
from adapters.jetstream_log import JetStreamLog
from contracts import subjects
from contracts.domains import Domain
from contracts.kernel import EffectRecorded
from contracts.subjects import ActorRef
from contracts.users import Role
from tests.acceptance.test_clients import diarchy
from tests.acceptance.test_main_job import trace_of
from tests.stack import ROOT, Stack, ok

OPERATIONS = (("gateway", "request POST /v1/artemis/ask"), ("artemis", "react conversation.asked.v1"))
ASKED = 5
ASKED_FOR_S = 2.0  # The window is of whole seconds.
PATIENT = {"Prefer": "wait=100"}


def ask(stack: Stack, question: str, name: str = "ann", *roles: Role) -> tuple[dict[str, Any], str]:
    """The answered turn, and its run."""
    with stack.client(name, *roles) as client:
        response = client.post("/v1/artemis/ask", json={"question": question, "collaborate": False}, headers=PATIENT)
        return ok(response), response.headers["Diarchy-Correlation-Id"]


def operation(span: dict[str, Any]) -> tuple[str, str]:
    """What Artemis calls it: a request with its method and route."""
    told = span["attributes"]
    name = f"request {told['method']} {told['route']}" if span["name"] == "request" else span["name"]
    return span["service"], name


def complete(admin: httpx.Client, run: str) -> list[dict[str, Any]]:
    """The spans of a run once the operations that count here are among them."""
    while True:
        spans = trace_of(admin, run, {"gateway", "artemis"})
        if set(OPERATIONS) <= {operation(span) for span in spans}:
            return spans


def recorded(stack: Stack, session: str, cause: str, effect: str) -> EffectRecorded:
    """What the journal of a reaction holds of an effect."""

    async def read() -> EffectRecorded:
        nats = stack.settings.nats
        broker = await connect(nats.url, user=nats.user or None, password=nats.password.reveal() or None)
        try:
            subject = subjects.run(ActorRef(Domain.ARTEMIS, "conversation", session), cause)
            entries = [
                msgspec.json.decode(one.record.body, type=EffectRecorded)
                for one in await JetStreamLog(broker).read(subject)
                if one.record.envelope.type == "runtime.effect.v1"
            ]
            (found,) = [one for one in entries if one.name == effect]
            return found
        finally:
            await broker.stop()

    return asyncio.run(read())


def test_the_slowest_operations_have_the_figures_of_their_spans(stack: Stack) -> None:
    begun, runs = time.monotonic(), list[str]()
    while len(runs) < ASKED or time.monotonic() - begun < ASKED_FOR_S:
        runs.append(ask(stack, f"Which incidents were there in part {len(runs)}?")[1])
    with stack.client() as admin:
        spans = [span for run in runs for span in complete(admin, run)]
        seconds = int(time.monotonic() - begun)
        turn, run = ask(stack, f"Which operations are slowest in the last {seconds} seconds?")
        events = ok(admin.get(f"/v1/runs/{run}"))["events"]
    assert turn["answer"]["team"] == "performance_analysis"
    assert "Slowest operations by median: 1. " in turn["answer"]["content"]
    (asked,) = [event for event in events if event["type"] == "conversation.asked.v1"]
    entry = recorded(stack, asked["actor"], asked["id"], "tool performance_analysis")
    result = msgspec.json.decode(entry.result, type=PerformanceAnalysisResult)
    until = datetime.fromisoformat(asked["time"])
    first, last = ((until - timedelta(seconds=ago)).timestamp() * 1e9 for ago in (seconds, 0))
    for counted in OPERATIONS:
        ms = [
            (span["end_ns"] - span["start_ns"]) / 1e6
            for span in spans
            if operation(span) == counted and first <= span["end_ns"] < last
        ]
        (told,) = [one for one in result.operations if (one.service, one.name) == counted]
        assert told.count == len(ms) > 0  # The first may have ended in the part of a second that is left out.
        assert told.quantiles[0].ms == pytest.approx(median_low(ms), abs=0.002)


def test_what_is_unusual_is_told_to_administrators_only(stack: Stack) -> None:
    told, _ = ask(stack, "Is anything unusual?")
    assert told["answer"]["team"] == "system_monitoring"
    assert "last day" in told["answer"]["content"]
    assert "system:monitor" not in told["answer"]["content"]
    refused, _ = ask(stack, "Is anything unusual?", "eve", "artemis_user")
    assert "lacks the permission system:monitor" in refused["answer"]["content"]
    assert "last day" not in refused["answer"]["content"]


def test_an_imported_profile_is_what_a_question_about_functions_is_answered_from(stack: Stack) -> None:
    diarchy(stack, "import", str(ROOT / "tests/unit/profiles/work.speedscope.json"), "--as", "profiles")
    told, _ = ask(stack, "Which functions are hottest in the profile?")
    assert told["answer"]["team"] == "performance_analysis"
    assert "Hottest function 1: slow (work.py), 65.87 % by itself" in told["answer"]["content"]
    assert "Profile work.speedscope" in [one["title"] for one in told["answer"]["evidence"]]
