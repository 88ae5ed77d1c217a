"""The counting model server as a process: calls are recorded before they are answered, and a held one waits."""

import json
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

from tests.model_answers import vector_of
from tests.model_server import calls_per_key, recorded

ROOT = Path(__file__).parents[2]


def post(url: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - our own server
        answer: dict[str, Any] = json.load(reply)
    return answer


def test_a_held_call_is_recorded_and_answered_after_release(tmp_path: Path) -> None:
    record, release = tmp_path / "calls", tmp_path / "go"
    options = ["--record", str(record), "--hold", "2", "--release", str(release)]
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "tests.model_server", *options], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
        first = post(f"{url}/chat/completions", body, "a")
        answers: list[dict[str, Any]] = []
        waiting = threading.Thread(target=lambda: answers.append(post(f"{url}/chat/completions", body, "b")))
        waiting.start()
        while len(recorded(record)) < 2:
            assert process.poll() is None
        third = post(f"{url}/embeddings", {"input": ["two words", "two words"]}, "c")
        assert answers == []
        release.touch()
        waiting.join(30)
        assert answers == [first], "the same request gets the same answer"
        assert third["data"][0]["embedding"] == third["data"][1]["embedding"] == vector_of("two words")
        assert calls_per_key(record) == {"a": 1, "b": 1, "c": 1}
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout:
            process.stdout.close()
