"""A question that hangs in the model is cancelled in a running stack, also where another domain works on it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.model_server import ModelServer, Options, recorded
from tests.stack import ROOT, Stack, ok

TOLD_S_MAX = 10  # of the 60 that the model may take


def test_a_hanging_question_is_cancelled_and_its_asker_told(data_folder: Path) -> None:
    with ModelServer(Options(record=data_folder / "calls", hold=1)) as model:
        provider = f'[{{"name": "held", "base_url": "{model.url}", "model": "held", "timeout_s": 60}}]'
        stack = Stack(data_folder / "data", DIARCHY_CHAT=provider)
        stack.start()
        try:
            with stack.client() as client, ThreadPoolExecutor() as pool:
                question = {"question": "Can we build a customer portal?", "collaborate": True}
                headers = {"Idempotency-Key": "hangs", "Prefer": "wait=60"}
                waiting = pool.submit(client.post, "/v1/sophia/ask", json=question, headers=headers)
                while not recorded(data_folder / "calls"):
                    ok(client.get("/health"))
                asked = _events(client, type="conversation.asked.v1")[0]
                run = asked["correlation"]
                assert [one["domain"] for one in _events(client, type="collaboration.requested.v1")] == ["artemis"]
                command = [sys.executable, "-m", "deploy", "cancel", run, "--reason", "never mind"]
                done = subprocess.run(  # noqa: S603 - our own program
                    [*command, "--data", str(stack.folder)], capture_output=True, text=True, check=True, cwd=ROOT
                )
                assert run in done.stdout
                told = waiting.result(timeout=TOLD_S_MAX)
                assert told.status_code == 502
                assert "cancelled: never mind" in told.json()["detail"]
                while not (concluded := _events(client, type="collaboration.concluded.v1")):
                    pass
                assert concluded[0]["body"]["outcome"]["reason"] == "cancelled: never mind"
                again = client.post(f"/v1/runs/{run}/cancel")
                assert again.status_code == 409
                after = ok(client.post("/v1/sophia/ask", json={"question": "And now?", "collaborate": False}))
                assert after["status"] == "answered"
        finally:
            stack.stop()


def _events(client: httpx.Client, **wanted: Any) -> list[dict[str, Any]]:
    return list(ok(client.get("/v1/events", params=wanted))["events"])
