"""A comprehensive analysis survives kill -9 after each of its effects, and pays for each model call once."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from os import kill
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.domains import Clearance
from contracts.ids import new_id
from tests.model_server import ModelServer, Options, calls_per_key, recorded
from tests.stack import ROOT, Stack, found, ok

ANALYSIS = {
    "subject": "Portal",
    "question": "Can we build a self-service portal for the customers we lose?",
    "budget": {"tokens_max": 1_000_000, "cost_max": 100},
}
WAIT_S = 110
QUICK = {
    "DIARCHY_LIMITS_ACK_WAIT_S": "1",
    "DIARCHY_LIMITS_ASK_TAKEN_S_MAX": "60",
    "DIARCHY_LIMITS_DEATHS_MAX": "100",
    "DIARCHY_LIMITS_HEARTBEAT_S": "0.1",
    "DIARCHY_LIMITS_HELLO_S": "0.1",
    "DIARCHY_LIMITS_MEMBER_S_MAX": "0.5",
}
"""Whoever died is missed soon, so many deaths over one message are what is wanted here, and nobody who died is taken for away."""


class DyingStack(Stack):
    """A stack of `tests.faults.dying_stack`, answered by a counting model server."""

    def __init__(self, folder: Path, model: ModelServer) -> None:
        provider = {"name": "counting", "base_url": model.url, "model": "counting", "timeout_s": 60, "input_price": 2}
        provider["tools"] = bool(model.options.script)
        super().__init__(folder / "data", DIARCHY_CHAT=json.dumps([provider]), **QUICK)
        self.model = model
        self.markers = folder / "markers"
        self.markers.mkdir()

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "tests.faults.dying_stack", str(self.folder), str(self.markers)],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.role_logs()

    def stop(self) -> None:
        if self.process is not None:
            self.process.communicate(timeout=30)

    def pid(self, role: str) -> int:
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{role}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[tuple[DyingStack, httpx.Client, Path]]:
    record = folder / "calls.jsonl"
    with ModelServer(Options(record=record, **options)) as model:
        stack = DyingStack(folder, model)
        try:
            stack.start()
            with stack.client(clearance=Clearance.TOP_SECRET) as client:
                try:
                    _learn(client)
                except httpx.TransportError as error:
                    raise AssertionError(stack.role_logs()) from error
                yield stack, client, record
        finally:
            stack.stop()


def _learn(client: httpx.Client) -> None:
    for number, partition in enumerate(("ceo_knowledge", "artemis_technical", "sophia_business")):
        item = {
            "title": f"Portal note {number}",
            "content": "A self-service portal was proposed for small-business customers, who leave after billing errors.",
            "category": "strategic_planning",
            "confidentiality": "internal",
            "partition": partition,
        }
        ok(client.post("/v1/knowledge", json=item))
        search = {"query": "self-service portal", "partitions": [partition]}
        while not found(client, search):
            pass  # The request itself is the wait: the item is found once its reaction has indexed it.


def analyse(client: httpx.Client) -> dict[str, Any]:
    headers = {"Prefer": f"wait={WAIT_S}", "Idempotency-Key": new_id()}
    answer: dict[str, Any] = {}
    while not answer:  # The request itself is the wait; a repeat of it changes nothing.
        response = client.post("/v1/analyses", json=ANALYSIS, headers=headers, timeout=WAIT_S + 10)
        answer = {} if response.status_code == 202 else ok(response)
    assert answer["status"] == "completed"
    return answer


def comparable(analysis: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in analysis.items() if name not in ("id", "correlation_id", "started", "completed")
    }


@pytest.mark.timeout(300)
def test_killed_after_each_effect_the_answer_is_the_same_and_each_call_was_made_once(data_folder: Path) -> None:
    with running(data_folder) as (stack, client, record):
        undisturbed = analyse(client)
        calls = len(recorded(record))
        assert calls > 0
        (stack.markers / "armed").touch()
        disturbed = analyse(client)
        run = ok(client.get(f"/v1/runs/{disturbed['correlation_id']}"))
        effects = [event for event in run["events"] if event["effect"]]
        deaths = [marker.name for marker in stack.markers.iterdir() if marker.name != "armed"]
        assert len(deaths) == len(effects), (deaths, effects)
        assert {domain for domain in ("sophia", "artemis", "ceo") if any(d.startswith(domain) for d in deaths)} == {
            "sophia",
            "artemis",
            "ceo",
        }
        assert comparable(disturbed) == comparable(undisturbed)
        spent = [_usage(client, one["correlation_id"]) for one in (undisturbed, disturbed)]
        assert spent[0] == spent[1]
        assert spent[0]["total"]["calls"] == calls
        assert spent[0]["total"]["cost"] > 0
        assert len(recorded(record)) == 2 * calls
        assert set(calls_per_key(record).values()) == {1}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("held_after", [0, 12], ids=["before its answer", "in the middle of its answer"])
def test_killed_in_a_call_only_that_call_repeats_with_its_key(data_folder: Path, held_after: int) -> None:
    release = data_folder / "release"
    with running(data_folder, hold=2, held_after=held_after, release=release) as (stack, client, record):
        headers = {"Prefer": "respond-async", "Idempotency-Key": "one"}
        ok(client.post("/v1/analyses", json=ANALYSIS, headers=headers), 202)
        assert stack.model.hanging.wait(WAIT_S)
        kill(stack.pid("sophia"), signal.SIGKILL)
        release.touch()
        headers["Prefer"] = f"wait={WAIT_S}"
        response = client.post("/v1/analyses", json=ANALYSIS, headers=headers, timeout=WAIT_S + 10)
        assert ok(response)["status"] == "completed"
        _repeated_one(record, recorded(record)[1]["key"])


@pytest.mark.timeout(180)
def test_a_chat_killed_in_the_middle_of_its_answer_is_asked_for_again_with_its_key(data_folder: Path) -> None:
    release = data_folder / "release"
    with running(data_folder, hold=1, held_after=4, release=release) as (stack, client, record):
        chat = {
            "model": "counting",
            "messages": [{"role": "user", "content": "Say something about the portal, please."}],
        }
        headers = {"Idempotency-Key": "one"}
        with ThreadPoolExecutor(1) as asking:
            answer = asking.submit(client.post, "/v1/chat/completions", json=chat, headers=headers, timeout=WAIT_S)
            assert stack.model.hanging.wait(WAIT_S)
            kill(stack.pid("system"), signal.SIGKILL)
            release.touch()
            content = ok(answer.result())["choices"][0]["message"]["content"]
        _repeated_one(record, recorded(record)[0]["key"])
        again = ok(client.post("/v1/chat/completions", json=chat, headers=headers, timeout=WAIT_S))
        assert again["choices"][0]["message"]["content"] == content
        assert "Say something about the portal" in content
        assert len(recorded(record)) == 2
        checks = {check["name"]: check for check in ok(client.get("/health/detailed"))["checks"]}
        assert checks["model provider counting"]["detail"] == "healthy, circuit closed"
        metrics = client.get("/metrics").text
        for domain in ("system", "sophia"):
            assert f'diarchy_provider_healthy{{provider="counting",role="{domain}"}} 1.0' in metrics


def _usage(client: httpx.Client, run: str) -> dict[str, Any]:
    usage: dict[str, Any] = ok(client.get(f"/v1/runs/{run}/usage"))
    return {name: value for name, value in usage.items() if name != "correlation_id"}


def _repeated_one(record: Path, held: str) -> None:
    """Only the call that was held when its worker died was made twice, with the same idempotency key."""
    counts = calls_per_key(record)
    assert counts.pop(held) == 2
    assert set(counts.values()) <= {1}
    bodies = {call["sha256"] for call in recorded(record) if call["key"] == held}
    assert len(bodies) == 1
