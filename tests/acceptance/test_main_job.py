"""The main job over HTTP on the real stack: one question, both domains, the CEO's context, one run, one trace."""

from typing import Any

import httpx
import pytest

from adapters.extractive import NAME
from contracts.domains import Clearance
from runtime.text import plain
from tests.stack import Stack, found, ok

QUESTION = "Why do we lose small-business customers, and is a self-service portal feasible?"
STRATEGY = (
    "The strategy is that small-business customers stay. Our market position among small-business customers is second. "
    "Competitors offer small-business customers a self-service portal already. We should give small-business customers "
    "a self-service portal. The greatest risk of a self-service portal is that billing fails. The roadmap moves the "
    "self-service portal before the new shop. We recommend to implement the self-service portal on the billing platform. "
    "Small-business customers are lost to competitors with better support."
)
LEARNED = [
    (
        "Retention strategy",
        "ceo_knowledge",
        "Keeping small-business customers is the first priority of this year's strategy.",
    ),
    (
        "Churn review",
        "sophia_business",
        "Small-business customers leave because invoices are wrong and support is slow.",
    ),
    (
        "Portal study",
        "artemis_technical",
        "A self-service portal is feasible on the billing platform within two quarters.",
    ),
]


@pytest.fixture(scope="session")
def learned(stack: Stack) -> None:
    """Three items that the teams find."""
    with stack.client() as client:
        for title, partition, content in LEARNED:
            item = {
                "title": title,
                "content": content,
                "category": "strategic_planning",
                "confidentiality": "internal",
                "partition": partition,
            }
            learn(client, item)


def learn(client: httpx.Client, item: dict[str, Any]) -> str:
    """Add an item and return its id once it is found by search."""
    added = ok(client.post("/v1/knowledge", json=item))
    search = {"query": item["title"], "partitions": [item["partition"]], "limit": 50}
    while added["id"] not in [hit["id"] for hit in found(client, search)]:
        pass  # The request itself is the wait: the item is found once its reaction has indexed it.
    return str(added["id"])


@pytest.fixture(scope="session")
def answered(stack: Stack, learned: None) -> tuple[str, dict[str, Any]]:  # noqa: ARG001 - a fixture
    """The run's correlation id, and the answered turn."""
    with stack.client() as client:
        response = client.post("/v1/sophia/ask", json={"question": QUESTION})
        return response.headers["Diarchy-Correlation-Id"], ok(response)


@pytest.mark.usefixtures("learned")
def test_the_answer_has_evidence_and_confidence_from_all_sides(answered: tuple[str, dict[str, Any]]) -> None:
    turn = answered[1]
    assert turn["status"] == "answered"
    answer = turn["answer"]
    assert answer["team"] == "client_analysis"
    assert 0 < answer["confidence"] <= 1
    assert answer["model"] == NAME
    assert {"artemis", "ceo"} == set(answer["collaborators"])
    assert {(part["domain"], part["status"]) for part in answer["contributions"]} == {
        ("artemis", "completed"),
        ("ceo", "completed"),
    }
    assert {title for title, _, _ in LEARNED} <= {item["title"] for item in answer["evidence"]}


@pytest.mark.usefixtures("learned")
def test_every_citation_is_a_place_in_the_answer_and_in_its_evidence(answered: tuple[str, dict[str, Any]]) -> None:
    answer = answered[1]["answer"]
    assert answer["citations"]
    for one in answer["citations"]:
        sentence = answer["content"][one["sentence"]["start"] : one["sentence"]["end"]]
        evidence = answer["evidence"][one["number"] - 1]
        assert evidence["id"] == one["evidence"]
        assert plain(evidence["text"][one["quote"]["start"] : one["quote"]["end"]]) == sentence
        assert answer["content"][one["sentence"]["end"] :].removeprefix(".").startswith(f" [{one['number']}]")


def test_what_an_answer_cost_is_told(admin: httpx.Client, answered: tuple[str, dict[str, Any]]) -> None:
    usage = ok(admin.get(f"/v1/runs/{answered[0]}/usage"))
    assert set(usage["by_domain"]) == {"sophia", "artemis", "ceo"}
    assert usage["total"]["calls"] == 3
    assert usage["total"]["cost"] == 0


def test_one_correlation_id_in_every_domain_and_read_model(
    admin: httpx.Client, answered: tuple[str, dict[str, Any]]
) -> None:
    correlation, turn = answered
    events = ok(admin.get("/v1/events", params={"correlation": correlation, "limit": 200}))["events"]
    assert {"sophia", "artemis", "ceo"} <= {event["domain"] for event in events}
    types = {event["type"] for event in events}
    assert {"conversation.asked.v1", "conversation.answered.v1", "collaboration.concluded.v1"} <= types
    run = ok(admin.get(f"/v1/runs/{correlation}"))
    ids = {event["id"] for event in run["events"]}
    roots = [event["type"] for event in run["events"] if event["reaction"] is None]
    assert roots == ["conversation.started.v1", "conversation.asked.v1"]
    assert all(event["reaction"] in ids for event in run["events"] if event["reaction"])
    session = ok(admin.get(f"/v1/sessions/{turn['session']}"))
    assert session["turns"] == 1
    messages = ok(admin.get(f"/v1/sessions/{turn['session']}/messages"))["turns"]
    assert messages[0]["answer"] == turn["answer"]


def trace_of(client: httpx.Client, correlation: str, services: set[str]) -> list[dict[str, Any]]:
    """The spans once every one of these services has delivered some (they are batched) and no parent is missing."""
    while True:
        response = client.get(f"/v1/traces/{correlation}")
        spans: list[dict[str, Any]] = ok(response, 200, 404).get("spans", [])
        ids = {span["span_id"] for span in spans}
        complete = all(span["parent_id"] in ids for span in spans if span["parent_id"])
        if services <= {span["service"] for span in spans} and complete:
            return spans


def test_one_connected_trace_over_every_hop(admin: httpx.Client, answered: tuple[str, dict[str, Any]]) -> None:
    services = {"gateway", "sophia", "artemis", "ceo", "embedding", "projector"}
    spans = trace_of(admin, answered[0], services)
    ids = {span["span_id"] for span in spans}
    assert [span["service"] for span in spans if span["parent_id"] is None] == ["gateway"]
    assert not [span for span in spans if span["parent_id"] and span["parent_id"] not in ids]
    assert {"vector search", "embed"} <= {span["name"] for span in spans if span["service"] == "embedding"}


def test_a_session_goes_on_and_remembers(admin: httpx.Client, answered: tuple[str, dict[str, Any]]) -> None:
    session = answered[1]["session"]
    turn = ok(admin.post(f"/v1/sessions/{session}/messages", json={"question": "And what does the market say?"}))
    assert turn["answer"]["team"] == "market_research"
    turns = ok(admin.get(f"/v1/sessions/{session}/messages"))["turns"]
    assert [one["question"] for one in turns] == ["And what does the market say?", QUESTION]


def test_an_idempotency_key_asks_once(admin: httpx.Client, learned: None) -> None:  # noqa: ARG001 - a fixture
    headers = {"Idempotency-Key": "the-same"}
    first, second = (
        ok(admin.post("/v1/artemis/ask", json={"question": "Which incidents were there?"}, headers=headers))
        for _ in range(2)
    )
    assert first == second
    other = admin.post("/v1/artemis/ask", json={"question": "Another?"}, headers=headers)
    assert other.status_code == 422
    assert other.headers["content-type"].startswith("application/problem+json")


def test_a_comprehensive_analysis_has_five_phases(admin: httpx.Client, learned: None) -> None:  # noqa: ARG001 - a fixture
    analysis = ok(admin.post("/v1/analyses", json={"subject": "Portal", "question": QUESTION}))
    assert [phase["phase"] for phase in analysis["phases"]] == [
        "business_analysis",
        "technical_requirements",
        "feasibility",
        "strategic_synthesis",
        "recommendations",
    ]
    assert set(analysis["confidence_by_domain"]) == {"sophia", "artemis", "ceo"}
    assert ok(admin.get(f"/v1/analyses/{analysis['id']}")) == analysis


def test_progress_is_streamed_and_ends_with_the_answer(admin: httpx.Client, learned: None) -> None:  # noqa: ARG001 - a fixture
    names: list[str] = []
    accept = {"Accept": "text/event-stream"}
    with admin.stream("POST", "/v1/sophia/ask", json={"question": QUESTION}, headers=accept) as response:
        assert response.status_code == 200
        names.extend(line.removeprefix("event: ") for line in response.iter_lines() if line.startswith("event: "))
    assert names[-1] == "answer"
    assert names.count("progress") >= 2


def test_who_may_not_have_other_domains_asked_gets_his_own_domain_only(stack: Stack, learned: None) -> None:  # noqa: ARG001 - a fixture
    with stack.client("sue", "sophia_user", clearance=Clearance.INTERNAL) as client:
        answer = ok(client.post("/v1/sophia/ask", json={"question": QUESTION}))["answer"]
        assert answer["collaborators"] == []
        refused = client.post("/v1/sophia/ask", json={"question": QUESTION, "collaborate": True})
        assert refused.status_code == 403
        assert "cross_domain:collaborate" in refused.text
        wrong = client.post("/v1/sophia/ask", json={"question": QUESTION, "team": "security"})
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["field"] == "$.team"


def test_an_attachment_has_to_be_there(admin: httpx.Client) -> None:
    attachment = {"digest": "0" * 64, "media_type": "text/csv", "name": "x.csv", "size_bytes": 3}
    item = {
        "title": "t",
        "content": "c",
        "category": "customer_insights",
        "confidentiality": "public",
        "attachment": attachment,
    }
    refused = admin.post("/v1/knowledge", json=item)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "$.attachment.digest"


@pytest.mark.usefixtures("learned")
@pytest.mark.parametrize(
    ("domain", "form", "parts"),
    [
        (
            "sophia",
            "business",
            {"strategic_alignment", "market_position", "competitive_landscape", "recommendations"},
        ),
        (
            "artemis",
            "technical",
            {"strategic_alignment", "risk_assessment", "roadmap_impact", "implementation_recommendations"},
        ),
    ],
)
def test_with_the_ceos_context_an_answer_is_typed_now_and_when_it_is_read_later(
    admin: httpx.Client, domain: str, form: str, parts: set[str]
) -> None:
    item = {"title": "Strategy in full", "content": STRATEGY, "category": "strategic_planning"}
    learn(admin, {**item, "confidentiality": "internal", "partition": "ceo_knowledge", "strategic_priority": 9})
    asked = ok(admin.post(f"/v1/{domain}/ask", json={"question": QUESTION, "ceo_context": True}))
    answer = asked["answer"]
    strategic, grounds = answer["strategic"], answer["grounds"]
    assert strategic["type"] == form
    assert set(strategic) == {"type", "comparisons", "confidence"} | parts
    assert strategic["confidence"] == answer["confidence"]
    assert all(strategic[part]["text"] in answer["content"] for part in parts)
    cited = {one["evidence"] for one in answer["citations"]}
    assert {id_ for part in parts for id_ in strategic[part]["evidence"]} <= cited
    assert any(strategic[part]["evidence"] for part in parts)
    assert grounds["sources"] > 0
    assert 0 < grounds["coverage"] <= 1
    (turn,) = ok(admin.get(f"/v1/sessions/{asked['session']}/messages"))["turns"]
    assert turn["answer"] == answer
    plainly = ok(admin.post(f"/v1/{domain}/ask", json={"question": QUESTION}))["answer"]
    assert plainly["strategic"] is None
    assert plainly["grounds"] is not None
