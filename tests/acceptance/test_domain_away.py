"""Artemis stopped: Sophia answers and analyses in part and says so; started again: who follows sees the whole, there once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import psutil
import pytest

from contracts.analysis import PHASES
from tests.stack import Stack, ok

ANALYSIS = {"subject": "Portal", "question": "Should we build a self-service portal for the customers we lose?"}
QUESTION = {"question": "Can we build a self-service portal for the customers we lose?", "collaborate": True}
WAIT_S = 90.0


def pid(stack: Stack, role: str) -> int:
    """Of the role's process, which the supervisor started."""
    assert stack.process is not None
    for child in psutil.Process(stack.process.pid).children(recursive=True):
        if child.cmdline()[-2:] == ["run", role]:
            return int(child.pid)
    raise AssertionError(f"no process runs {role}")


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """It does nothing: to everybody else it is gone, and the supervisor does not start it again."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def events(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Server-sent events as they come."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            yield name, msgspec.json.decode(line.removeprefix("data:"))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("sophia_dies", [False, True], ids=["she waits", "her worker dies meanwhile"])
def test_a_domain_that_is_away_is_named_and_its_part_follows(
    stack: Stack, admin: httpx.Client, *, sophia_dies: bool
) -> None:
    headers = {"Accept": "text/event-stream", "Idempotency-Key": f"away {sophia_dies}".replace(" ", "-")}
    with admin.stream("POST", "/v1/sophia/ask", json=QUESTION, headers=headers, timeout=WAIT_S) as response:
        following = events(response)
        with stopped(pid(stack, "artemis")):
            part = next(body for name, body in following if name == "partial")
            assert part["status"] == "partial"
            [missing] = part["missing"]
            assert (missing["domain"], missing["request_type"]) == ("artemis", "technical_feasibility_analysis")
            assert "Artemis has not contributed its technical feasibility analysis" in part["answer"]["content"]
            assert part["answer"]["collaborators"] == ["ceo"]
            [turn] = ok(admin.get(part["status_url"]))["turns"]
            assert (turn["status"], turn["answer"]) == ("partial", part["answer"])
            waited = ok(admin.post("/v1/sophia/ask", json=QUESTION, headers={**headers, "Accept": "*/*"}))
            assert waited == part
            if sophia_dies:
                os.kill(pid(stack, "sophia"), signal.SIGKILL)
        whole = next(body for name, body in following if name == "answer")
    assert (whole["status"], whole["missing"]) == ("answered", [])
    assert whole["answer"]["collaborators"] == ["artemis", "ceo"]
    assert "has not contributed" not in whole["answer"]["content"]
    [turn] = ok(admin.get(part["status_url"]))["turns"]
    assert (turn["status"], turn["answer"]) == ("answered", whole["answer"])
    log = ok(admin.get("/v1/events", params={"correlation": whole["correlation_id"], "kind": "conversation"}))
    types = [event["type"] for event in log["events"] if event["type"].startswith("conversation.")]
    assert types == [f"conversation.{name}.v1" for name in ("started", "asked", "answered_in_part", "answered")]


@pytest.mark.timeout(180)
def test_an_analysis_is_told_in_part_and_whole_when_the_domain_is_back(stack: Stack, admin: httpx.Client) -> None:
    headers = {"Accept": "text/event-stream"}
    with admin.stream("POST", "/v1/analyses", json=ANALYSIS, headers=headers, timeout=WAIT_S) as response:
        following = events(response)
        with stopped(pid(stack, "artemis")):
            part = next(body for name, body in following if name == "partial")
            assert part["status"] == "partial"
            [missing] = part["missing"]
            assert (missing["phase"], missing["domain"]) == ("feasibility", "artemis")
            assert [one["phase"] for one in part["phases"]] == [one for one in PHASES if one != "feasibility"]
            assert part["executive_summary"]
            shown = ok(admin.get(f"/v1/analyses/{part['id']}"))
            assert shown == part
            assert shown["waiting_for"] == "artemis"
        whole = next(body for name, body in following if name == "answer")
    assert (whole["status"], whole["missing"]) == ("completed", [])
    assert [(one["phase"], one["status"]) for one in whole["phases"]] == [(phase, "completed") for phase in PHASES]
    assert whole == ok(admin.get(f"/v1/analyses/{part['id']}"))
    log = ok(admin.get("/v1/events", params={"correlation": whole["correlation_id"], "kind": "analysis"}))
    types = [event["type"] for event in log["events"] if event["type"].startswith("analysis.")]
    done = ["analysis.phase_completed.v1"]
    part_and_whole = [*done * 2, "analysis.concluded_in_part.v1", *done * 3, "analysis.completed.v1"]
    assert types == ["analysis.started.v1", *part_and_whole]


@pytest.mark.timeout(180)
def test_what_is_asked_of_the_domain_itself_is_pending_until_it_is_back(stack: Stack, admin: httpx.Client) -> None:
    asked = {"domain": "artemis", "request_type": "code_analysis", "question": "How complex is the portal?"}
    headers = {"Idempotency-Key": "away-itself"}
    with stopped(pid(stack, "artemis")):
        later = {**headers, "Prefer": "respond-async"}
        accepted = ok(admin.post("/v1/collaborations", json=asked, headers=later), 202)
        assert ok(admin.get(accepted["status_url"]))["status"] == "pending"
    whole = ok(admin.post("/v1/collaborations", json=asked, headers=headers, timeout=WAIT_S), 201)
    assert whole == ok(admin.get(accepted["status_url"]))
    assert whole["status"] == "completed"
