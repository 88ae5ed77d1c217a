"""When who reads a chat has the first words and the last ones, straight from the model's server and through us.

    python -m bench.chat_delay

In turns, on a whole stack with the test server as its model; see ADR 29.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import openai

from contracts.domains import Clearance
from tests.model_server import ModelServer
from tests.stack import Stack

ROUNDS = 40
MODEL = "test-model"
QUESTION = "word " * 40  # the server says it again


def timed(client: openai.OpenAI) -> tuple[float, float]:
    """Milliseconds until the first text is there, and until all of it is."""
    began = time.perf_counter()
    first = 0.0
    stream = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": QUESTION}], stream=True)
    for chunk in stream:
        if not first and chunk.choices and chunk.choices[0].delta.content:
            first = time.perf_counter() - began
    return first * 1e3, (time.perf_counter() - began) * 1e3


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ModelServer() as model:
        stack = Stack(Path(folder), DIARCHY_CHAT=json.dumps([{"name": "test", "base_url": model.url, "model": MODEL}]))
        stack.start()
        try:
            token = stack.token("root", "admin", clearance=Clearance.TOP_SECRET)
            clients = {
                "straight": openai.OpenAI(base_url=model.url, api_key="none"),
                "through us": openai.OpenAI(base_url=f"{stack.url}/v1", api_key=token),
            }
            for client in clients.values():
                timed(client)
            took: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
            for _ in range(ROUNDS):
                for name, client in clients.items():
                    took[name].append(timed(client))
        finally:
            stack.stop()
    for name, times in took.items():
        first, whole = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name}: first text {first:.1f} ms, all of it {whole:.1f} ms (p50 of {ROUNDS})")


if __name__ == "__main__":
    main()
