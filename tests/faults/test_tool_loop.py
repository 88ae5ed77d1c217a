"""A model's tool loop survives kill -9 after each of its effects: each model call and each tool call is made once."""

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.domains import Clearance
from tests.faults.test_every_effect import DyingStack, running
from tests.model_server import calls_per_key, recorded
from tests.stack import found, ok

WAIT_S = 110
QUESTION = "Which customers leave us, and what would keep them?"
TABLE = b"customer,contract,charge,churn\n" + b"".join(
    f"c{number},{'monthly' if number % 2 else 'yearly'},{number},{'yes' if number % 4 == 1 else 'no'}\n".encode()
    for number in range(80)
)
SCRIPT: list[tuple[str, dict[str, object]]] = [
    ("search_knowledge", {"query": "customer table", "media_type": "text/csv"}),
    ("client_analysis", {"table": "$FILE", "question": ""}),
    ("market_research", {"question": "Who competes?"}),
    ("search_knowledge", {"query": "self-service portal", "media_type": ""}),
    ("business_insight", {"question": "What do we earn?"}),
    ("business_insight", {"question": "What is the margin?"}),
    ("market_research", {"question": "Which rivals grow?"}),
    ("market_research", {"question": "How does the market grow?"}),
    ("search_knowledge", {"query": "billing errors", "media_type": ""}),
    ("business_insight", {"question": "What did billing errors cost?"}),
]


def learn(client: httpx.Client) -> None:
    """A table that the model's search finds."""
    digest = ok(client.post("/v1/files", content=TABLE, headers={"Content-Type": "text/csv"}), 201)["digest"]
    item = {
        "title": "Customer table",
        "content": "All customers with their contract, their charge, and whether they left.",
        "category": "strategic_planning",
        "confidentiality": "internal",
        "partition": "sophia_business",
        "attachment": {"digest": digest, "media_type": "text/csv", "name": "customers.csv", "size_bytes": len(TABLE)},
    }
    ok(client.post("/v1/knowledge", json=item), 201)
    while not found(client, {"query": "customer table", "partitions": ["sophia_business"]}):
        pass  # The request itself is the wait: the item is found once its reaction has indexed it.


def asked(stack: DyingStack, username: str) -> tuple[dict[str, Any], list[str]]:
    """The answer, and the effects of its run; each asker has memories of his own."""
    question = {"question": QUESTION, "team": "client_analysis", "collaborate": False, "confidentiality": "public"}
    headers = {"Prefer": f"wait={WAIT_S}", "Idempotency-Key": username}
    with stack.client(username, clearance=Clearance.TOP_SECRET) as client:
        while (response := _ask(client, question, headers)).status_code == 202:
            pass  # Each request waits; on a busy machine so many deaths take longer than one may.
        turn = ok(response)
        assert turn["status"] == "answered"
        run = ok(client.get(f"/v1/runs/{turn['correlation_id']}"))
    return turn["answer"], [event["effect"] for event in run["events"] if event["effect"]]


def _ask(client: httpx.Client, question: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
    return client.post("/v1/sophia/ask", json=question, headers=headers, timeout=WAIT_S + 10)


@pytest.mark.timeout(440)
def test_killed_after_each_step_of_a_tool_loop_each_call_was_made_once(data_folder: Path) -> None:
    with running(data_folder, script=SCRIPT) as (stack, client, record):
        learn(client)
        before = len(recorded(record))
        undisturbed, effects = asked(stack, "ann")
        calls = len(recorded(record)) - before
        tools = (data_folder / "tools").read_text().splitlines()
        assert calls == len(SCRIPT) + 2  # the loop, its end, and the answer
        assert len(tools) == sum(effect.startswith("tool ") for effect in effects) >= 6
        assert undisturbed["label"] == "internal"
        (stack.markers / "armed").touch()
        disturbed, again = asked(stack, "bob")
        deaths = [marker for marker in stack.markers.iterdir() if marker.name.startswith("sophia-")]
        assert len(deaths) >= len(again) >= 2 * len(SCRIPT)
        assert disturbed == undisturbed
        assert len(recorded(record)) - before == 2 * calls
        assert set(calls_per_key(record).values()) == {1}
        begun = (data_folder / "tools").read_text().splitlines()
        assert Counter(begun) == Counter(2 * tools)
