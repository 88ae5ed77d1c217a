"""How labels are raised and lowered through the API, and what a lower reader can make out of it: nothing."""

from typing import Any

import httpx

from contracts.domains import Clearance
from tests.gateway_world import World, run

ITEM = {"title": "Merger", "content": "zebra", "category": "risk_management"}
FACT = {"type": "business_insight.v1", "title": "Deal", "text": "Northwind renewed.", "origin": "crm"}
REASON = {"confidentiality": "internal", "reason": "announced on 1 March"}


async def _added(client: httpx.AsyncClient, confidentiality: str) -> str:
    response = await client.post("/v1/knowledge", json={**ITEM, "confidentiality": confidentiality})
    assert response.status_code == 201, response.text
    return str(response.headers["Location"])


async def _events(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    return list((await client.get("/v1/events", params={"limit": 200, "kind": "knowledge_item"})).json()["events"])


def test_lowering_is_an_act_of_its_own_and_says_who_why_and_from_where() -> None:
    async def body() -> None:
        async with (
            World() as world,
            world.client("admin", name="root", clearance=Clearance.TOP_SECRET) as root,
            world.client("cross_domain_user", name="ann", clearance=Clearance.CONFIDENTIAL) as ann,
            world.client("read_only", name="ben", clearance=Clearance.INTERNAL) as ben,
        ):
            path = await _added(ann, "confidential")
            lower = await ann.put(path, json={**ITEM, "confidentiality": "internal"})
            assert (lower.status_code, "declassify" in lower.json()["detail"]) == (409, True)
            denied = await ann.post(f"{path}/declassify", json=REASON)
            assert (denied.status_code, denied.json()["permission"]) == (403, "knowledge:declassify")
            assert (await root.post(f"{path}/declassify", json={"confidentiality": "internal"})).status_code == 422
            assert (
                await root.post(f"{path}/declassify", json={**REASON, "confidentiality": "restricted"})
            ).status_code == 409
            assert (await ben.get(path)).status_code == 404
            assert await _events(ben) == []
            done = await root.post(f"{path}/declassify", json=REASON)
            assert done.json()["knowledge"]["confidentiality"] == "internal"
            again = await root.post(f"{path}/declassify", json=REASON)
            assert again.json() == done.json()
            assert (await ben.get(path)).json()["knowledge"]["content"] == "zebra"
            seen = await _events(ben)
            assert [event["type"] for event in seen if "body" in event and event["label"] == "internal"][:2] == [
                "runtime.refused.v1",
                "knowledge.declassified.v1",
            ]
            act = next(event for event in seen if event["type"] == "knowledge.declassified.v1")
            assert (act["principal"], act["body"]["previous"], act["body"]["reason"]) == (
                "root",
                "confidential",
                "announced on 1 March",
            )
            assert "knowledge.added.v1" not in {event["type"] for event in seen}, "what was said before stays as it was"

    run(body)


def test_an_item_that_is_raised_takes_its_events_and_its_trace_along_and_keeps_them_when_deleted() -> None:
    async def body() -> None:
        async with (
            World() as world,
            world.client("cross_domain_user", name="ann", clearance=Clearance.TOP_SECRET) as ann,
            world.client("read_only", name="ben", clearance=Clearance.INTERNAL) as ben,
        ):
            path = await _added(ann, "internal")
            first = (await _events(ben))[0]["correlation"]
            assert (await ben.get(f"/v1/traces/{first}")).status_code == 200
            raised = await ann.put(path, json={**ITEM, "confidentiality": "restricted"})
            assert raised.status_code == 200, raised.text
            assert {event["label"] for event in await _events(ann)} == {"restricted"}
            for _ in range(2):
                assert await _events(ben) == []
                assert (await ben.get(f"/v1/runs/{first}")).status_code == 404
                assert (await ben.get(f"/v1/traces/{first}")).status_code == 404
                await ann.delete(path)

    run(body)


def test_whoever_repeats_a_fact_that_is_above_him_is_not_told_whose_it_was() -> None:
    async def body() -> None:
        async with (
            World() as world,
            world.client("sophia_user", name="ann", clearance=Clearance.RESTRICTED) as ann,
            world.client("sophia_user", name="ben", clearance=Clearance.INTERNAL) as ben,
        ):
            path = "/v1/events/sophia/signal/northwind"
            first = (await ann.post(path, json=FACT)).json()
            assert first["label"] == "restricted"
            told = await ben.post(path, json=FACT)
            assert (told.status_code, told.json()["principal"]) == (201, "ben")
            assert first["id"] not in told.text
            assert first["correlation"] not in told.text

    run(body)
