"""Asking a domain over HTTP for one of its request types: typed however it ends, and shown to whom it belongs."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import httpx
import pytest

from actors import requests
from contracts.collaboration import Outcome, Requested
from contracts.domains import Domain
from contracts.request_types import REQUEST_TYPES
from runtime.effects import Effects
from tests.gateway_world import World, now, run

Handler = Callable[[Requested, Effects], Coroutine[Any, Any, Outcome]]
ASK = {"domain": "ceo", "request_type": "strategic_alignment", "question": "Does a portal fit?"}


def handled(monkeypatch: pytest.MonkeyPatch, handler: Handler) -> None:
    monkeypatch.setitem(requests.HANDLERS, (Domain.CEO, "strategic_alignment"), handler)


async def yes(_requested: Requested, _effects: Effects) -> Outcome:
    return Outcome(status="completed", sections={"alignment": "Yes."}, confidence=0.5, model="m")


async def shown(client: httpx.AsyncClient, world: World, path: str, status: str) -> dict[str, Any]:
    """The collaboration once it has the status."""
    while True:
        answer = await client.get(path)
        if answer.status_code == 200 and answer.json()["status"] == status:
            return dict(answer.json())
        await world.broker.logs[Domain.CEO].change(0.01)


def test_the_types_are_listed_with_schemas_sections_and_permissions() -> None:
    async def body() -> None:
        async with World() as world, world.client("read_only") as ann:
            types = (await ann.get("/v1/collaborations/types")).json()["types"]
        assert [(one["domain"], one["name"]) for one in types] == [(one.domain, one.name) for one in REQUEST_TYPES]
        client = next(one for one in types if one["name"] == "client_analysis")
        assert client["permission"] == "sophia:write"
        assert "segment" in client["context"]["$defs"]["ClientFocus"]["properties"]
        assert next(section["name"] for section in client["sections"]) == "summary"

    run(body)


def test_an_outcome_is_answered_and_found_again_by_whoever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    handled(monkeypatch, yes)

    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            answer = await ann.post("/v1/collaborations", json={**ASK, "priority": 5})
            told = answer.json()
            assert (answer.status_code, told["status"], told["sections"]) == (201, "completed", {"alignment": "Yes."})
            assert (told["asking"], told["by"], told["priority"]) == ("system", "ann", 5)
            path = f"/v1/collaborations/{told['id']}"
            assert (await ann.get(path)).json() == told
            for wanted, found in (("status=completed", 1), ("status=failed", 0), ("domain=sophia", 0), ("type=x", 0)):
                listed = (await ann.get(f"/v1/collaborations?{wanted}")).json()["collaborations"]
                assert len(listed) == found, wanted
            async with world.client("cross_domain_user", name="bob") as bob, world.client("admin", name="root") as root:
                assert (await bob.get(path)).status_code == 404
                assert (await bob.get("/v1/collaborations")).json()["collaborations"] == []
                assert (await root.get("/v1/collaborations")).json()["collaborations"] == [told]

    run(body)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"request_type": "divination"}, "unknown_request_type", "'divination' is not one of: strategic_alignment"),
        ({"domain": "sophia", "request_type": "security"}, "unknown_request_type", "business_impact_analysis"),
        (
            {"domain": "sophia", "request_type": "client_analysis", "context": {"component": "x"}},
            "refused",
            "the context of client_analysis is findings, segment: it has no `component`",
        ),
        (
            {"domain": "artemis", "request_type": "technical_feasibility_analysis", "context": {"wrong": "x"}},
            "refused",
            "the context of technical_feasibility_analysis is findings: it has no `wrong`",
        ),
        ({"request_type": "strategic_summary"}, "failed", "there is no strategic summary"),
    ],
)
def test_however_it_ends_the_outcome_is_typed(changes: dict[str, Any], status: str, reason: str) -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            answer = await ann.post("/v1/collaborations", json={**ASK, **changes})
            assert (answer.status_code, answer.json()["status"]) == (201, status), answer.text
            assert reason in answer.json()["reason"] or status == "failed"

    run(body)


def test_an_outcome_after_the_deadline_is_kept_as_late(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        release = asyncio.Event()

        async def slow(requested: Requested, effects: Effects) -> Outcome:
            await release.wait()
            return await yes(requested, effects)

        handled(monkeypatch, slow)
        async with World() as world, world.client("cross_domain_user") as ann:
            deadline = (now() + timedelta(seconds=0.5)).isoformat()
            pending = await ann.post(
                "/v1/collaborations", json={**ASK, "deadline": deadline}, headers={"Prefer": "respond-async"}
            )
            path = pending.json()["status_url"]
            expired = await shown(ann, world, path, "expired")
            assert (expired["late"], expired["concluded"], "has passed" in expired["reason"]) == (None, None, True)
            release.set()
            while (late := await shown(ann, world, path, "expired"))["late"] is None:
                await world.broker.logs[Domain.CEO].change(0.01)
            assert (late["late"], late["sections"]) == ("completed", {"alignment": "Yes."})
            assert late["concluded"] > late["deadline"]
            assert "s after the deadline" in late["reason"]

    run(body)


def test_asking_needs_the_permission_of_the_route_and_that_of_the_type() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            assert (await ann.post("/v1/collaborations", json=ASK)).status_code == 403
            wrong = {**ASK, "priority": 6}
            async with world.client("cross_domain_user", name="bob") as bob:
                assert (await bob.post("/v1/collaborations", json=wrong)).status_code == 422
                assert (await bob.get("/v1/collaborations/none-such")).status_code == 404

    run(body)
