"""A comprehensive analysis against the strategy, over HTTP on the real stack: with and without a conflict."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.acceptance.test_main_job import learn
from tests.stack import found, ok

REQUIREMENT = "Build a self-service portal where wholesale customers order leased lines, and launch it in March 2027."
FREEZE = "No new customer-facing portals for wholesale customers are built before 2028."
AGREES = "Wholesale customers get a self-service portal for orders in 2027."


@contextmanager
def strategy(client: httpx.Client, text: str) -> Iterator[str]:
    """An item of the CEO's knowledge while this lasts; its id."""
    item = {
        "title": "Wholesale portal decision",
        "content": f"The wholesale business was reviewed in autumn. {text}",
        "category": "strategic_planning",
        "confidentiality": "internal",
        "strategic_priority": 9,
        "partition": "ceo_knowledge",
    }
    id_ = learn(client, item)
    yield id_
    assert client.delete(f"/v1/knowledge/{id_}").is_success
    while id_ in [hit["id"] for hit in found(client, {"query": text, "limit": 50})]:
        pass  # The request itself is the wait.


def analysed(client: httpx.Client) -> dict[str, Any]:
    """The synthesis of an analysis of the requirement, as a later reader is told it."""
    made = ok(client.post("/v1/analyses", json={"subject": "Wholesale portal", "question": REQUIREMENT}))
    read = ok(client.get(f"/v1/analyses/{made['id']}"))
    assert read == made
    assert made["status"] == "completed"
    phases = {phase["phase"]: phase for phase in read["phases"]}
    assert phases["feasibility"]["feasibility"]["verdict"] in ("feasible", "conditional", "infeasible", "unknown")
    known = {one["id"] for phase in read["phases"] for one in phase["evidence"]}
    assert {id_ for one in phases["technical_requirements"]["requirements"] for id_ in one["evidence"]} <= known
    assert all(one["phases"] for one in phases["recommendations"]["unified"] if one["evidence"])
    assert (read["confidence"] <= 0.05) == (not known)  # docs/using.md: 0.05 is nothing found
    (synthesis,) = [phase for phase in read["phases"] if phase["phase"] == "strategic_synthesis"]
    result: dict[str, Any] = synthesis
    return result


def conflicts(synthesis: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in synthesis["comparisons"] if one["relation"] == "conflicting"]


def test_a_requirement_that_conflicts_with_the_strategy_is_told_so_with_both_statements(admin: httpx.Client) -> None:
    with strategy(admin, FREEZE) as item:
        synthesis = analysed(admin)
        named = [one for one in conflicts(synthesis) if one["requirement"]["source"] == "question"]
        assert [(one["requirement"]["text"], one["strategy"]["text"], one["rule"]) for one in named] == [
            (REQUIREMENT, FREEZE, "date")
        ]
        (conflict,) = named
        assert conflict["strategy"]["source"] == item
        assert item in [one["id"] for one in synthesis["evidence"]]
        (evidence,) = [one for one in synthesis["evidence"] if one["id"] == item]
        place = conflict["strategy"]["place"]
        assert evidence["text"][place["start"] : place["end"]] == FREEZE
        assert f"“{REQUIREMENT}” conflicts with “{FREEZE}”" in synthesis["sections"]["conflicts"]
    with strategy(admin, AGREES):
        agreed = analysed(admin)
        assert conflicts(agreed) == []
        assert (REQUIREMENT, AGREES) in [
            (one["requirement"]["text"], one["strategy"]["text"])
            for one in agreed["comparisons"]
            if one["relation"] == "related"
        ]
        assert f"“{REQUIREMENT}” is about the same as “{AGREES}”" in agreed["sections"]["alignment"]
    assert conflicts(analysed(admin)) == []
