"""Nobody ever sees what he is not cleared for, whichever way he looks: a property over all levels and all ways."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.domains import Clearance
from tests.acceptance.test_main_job import learn
from tests.stack import Stack, ok

PARTITIONS = ("ceo_knowledge", "shared_knowledge", "sophia_business", "artemis_technical")
TOPIC = "acquisition of the harbour cranes"
STREAM_READS_MAX = 400


class Secrets:
    """What was written at each level: a word that occurs nowhere else, the items' ids, and a run with its session."""

    def __init__(self) -> None:
        self.words = {level: f"zx{secrets.token_hex(6)}" for level in Clearance}
        self.items: dict[Clearance, list[str]] = {level: [] for level in Clearance}
        self.runs: dict[Clearance, str] = {}
        self.sessions: dict[Clearance, str] = {}

    def above(self, clearance: Clearance) -> list[str]:
        return [word for level, word in self.words.items() if level > clearance]


@pytest.fixture(scope="module")
def known(stack: Stack) -> Secrets:
    """Items at every level in every partition that teams search, and a run at every level that rests on them."""
    known = Secrets()
    for level in Clearance:
        with stack.client("writer", clearance=level) as client:
            for partition in PARTITIONS:
                item = {
                    "title": f"The {TOPIC}",
                    "content": f"The {TOPIC} is called {known.words[level]} and is settled.",
                    "category": "strategic_planning",
                    "confidentiality": level.value,
                    "partition": partition,
                }
                known.items[level].append(learn(client, item))
            question = {"question": f"Is the {TOPIC} feasible, and what is it called?"}
            turn = ok(client.post("/v1/sophia/ask", json=question))
            assert known.words[level] in json.dumps(turn), "the question finds what its asker is cleared for"
            known.runs[level], known.sessions[level] = turn["correlation_id"], turn["session"]
    return known


def _search(client: httpx.Client, _: Secrets) -> str:
    return client.post("/v1/knowledge/search", json={"query": TOPIC, "limit": 50, "partitions": PARTITIONS}).text


def _items(client: httpx.Client, known: Secrets) -> str:
    return "".join(client.get(f"/v1/knowledge/{item}").text for items in known.items.values() for item in items)


def _changes(client: httpx.Client, known: Secrets) -> str:
    change = {"title": "x", "content": "y", "category": "risk_management", "confidentiality": "public"}
    hidden = [
        item
        for level, items in known.items.items()
        if known.words[level] in known.above(_level(client))
        for item in items
    ]
    responses = [client.put(f"/v1/knowledge/{item}", json=change) for item in hidden]
    responses += [client.delete(f"/v1/knowledge/{item}") for item in hidden]
    assert {response.status_code for response in responses} <= {404}
    return "".join(response.text for response in responses)


def _answers(client: httpx.Client, _: Secrets) -> str:
    question = {"question": f"Is the {TOPIC} feasible, and what is it called?"}
    return client.post("/v1/sophia/ask", json=question).text + client.post("/v1/artemis/ask", json=question).text


def _analysis(client: httpx.Client, _: Secrets) -> str:
    return client.post("/v1/analyses", json={"subject": TOPIC, "question": f"What is the {TOPIC} called?"}).text


def _progress(client: httpx.Client, _: Secrets) -> str:
    accept = {"Accept": "text/event-stream"}
    with client.stream(
        "POST", "/v1/sophia/ask", json={"question": f"What is the {TOPIC} called?"}, headers=accept
    ) as stream:
        return "".join(stream.iter_text())


def _events(client: httpx.Client, _: Secrets) -> str:
    text, after = "", None
    while True:
        page = client.get("/v1/events", params={"limit": 200, **({"after": after} if after else {})})
        text += page.text
        after = ok(page).get("next")
        if not after:
            return text


def _live_events(client: httpx.Client, _: Secrets) -> str:
    """The stream from the beginning, read until it has shown what a page would."""
    seen: list[str] = []
    first = ok(client.get("/v1/events", params={"limit": 1}))
    params = {"after": first["next"]} if first["next"] else {}
    expected = len(ok(client.get("/v1/events", params={**params, "limit": 100}))["events"])
    with client.stream("GET", "/v1/events", params=params, headers={"Accept": "text/event-stream"}) as stream:
        for line in stream.iter_lines():
            seen.append(line)
            if sum(line.startswith("data:") for line in seen) >= min(expected, STREAM_READS_MAX):
                break
    return "\n".join(seen)


def _runs(client: httpx.Client, known: Secrets) -> str:
    return "".join(client.get(f"/v1/runs/{run}").text for run in known.runs.values())


def _traces(client: httpx.Client, known: Secrets) -> str:
    return "".join(client.get(f"/v1/traces/{run}").text for run in known.runs.values())


def _sessions(client: httpx.Client, known: Secrets) -> str:
    text = client.get("/v1/sessions", params={"limit": 200}).text
    for session in known.sessions.values():
        text += client.get(f"/v1/sessions/{session}").text + client.get(f"/v1/sessions/{session}/messages").text
    return text


def _analyses(client: httpx.Client, _: Secrets) -> str:
    return client.get("/v1/analyses", params={"limit": 200}).text


WAYS: dict[str, Callable[[httpx.Client, Secrets], str]] = {
    way.__name__.strip("_"): way
    for way in (
        _search,
        _items,
        _changes,
        _answers,
        _analysis,
        _progress,
        _events,
        _live_events,
        _runs,
        _traces,
        _sessions,
        _analyses,
    )
}


def _level(client: httpx.Client) -> Clearance:
    return Clearance(ok(client.get("/v1/me"))["clearance"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(clearance=st.sampled_from(Clearance), way=st.sampled_from(sorted(WAYS)), admin=st.booleans())
def test_no_way_shows_what_is_above_the_clearance(
    stack: Stack, known: Secrets, clearance: Clearance, way: str, admin: bool
) -> None:
    role: Any = "admin" if admin else "cross_domain_user"
    with stack.client("reader", role, clearance=clearance) as client:
        text = WAYS[way](client, known)
    assert [word for word in known.above(clearance) if word in text] == []


@pytest.mark.parametrize("clearance", Clearance)
def test_what_he_is_cleared_for_is_found(stack: Stack, known: Secrets, clearance: Clearance) -> None:
    """Else the property above would hold for a system that shows nothing."""
    with stack.client("writer", clearance=clearance) as client:
        for way in ("search", "items", "events", "sessions"):
            assert known.words[clearance] in WAYS[way](client, known), way
        run = ok(client.get(f"/v1/runs/{known.runs[clearance]}"))
        assert "conversation.answered.v1" in [event["type"] for event in run["events"]]


def test_an_item_that_was_raised_is_gone_from_its_earlier_events_too(stack: Stack) -> None:
    word = f"zx{secrets.token_hex(6)}"
    item = {"title": "Lifted", "content": word, "category": "risk_management", "confidentiality": "internal"}
    with stack.client("writer", clearance=Clearance.CONFIDENTIAL) as writer:
        added = ok(writer.post("/v1/knowledge", json=item))
        events = {"kind": "knowledge_item", "id": added["id"]}
        with stack.client("reader", clearance=Clearance.INTERNAL) as reader:
            assert word in reader.get("/v1/events", params=events).text
            ok(writer.put(f"/v1/knowledge/{added['id']}", json={**item, "confidentiality": "confidential"}))
            assert word in writer.get("/v1/events", params=events).text
            assert word not in reader.get("/v1/events", params=events).text
            ok(writer.delete(f"/v1/knowledge/{added['id']}"), 204)
            assert word not in reader.get("/v1/events", params=events).text
