"""Approvals over HTTP: asked for with the question, seen by who may decide, granted by digest; the events say who did."""

from typing import Any

import httpx
import pytest

from contracts.domains import Clearance, Domain
from tests.gateway_world import World, run

ASKED = {"question": "measure this", "approval": {"quorum": 2}}
ACCEPT = {"Prefer": "wait=0"}


async def ask(ann: httpx.AsyncClient, **changes: Any) -> str:
    """The id of the run that waits."""
    response = await ann.post("/v1/sophia/ask", json={**ASKED, **changes}, headers=ACCEPT)
    assert response.status_code == 202, response.text
    return str(response.json()["correlation_id"])


async def waiting(world: World, client: httpx.AsyncClient, which: str = "decide") -> list[dict[str, Any]]:
    """What waits, once something does."""
    while not (found := (await client.get(f"/v1/approvals?which={which}")).json()["approvals"]):
        await world.broker.logs[Domain.SYSTEM].change(0.01)
    return list(found)


async def answer(world: World, ann: httpx.AsyncClient, run_id: str) -> str:
    """What the run answered, once it did."""
    while True:
        for session in (await ann.get("/v1/sessions")).json()["sessions"]:
            for turn in (await ann.get(f"/v1/sessions/{session['id']}/messages")).json()["turns"]:
                if turn["correlation_id"] == run_id and turn["status"] == "answered":
                    return str(turn["answer"]["content"])
        await world.broker.logs[Domain.SOPHIA].change(0.01)


def test_two_people_agree_to_what_they_saw_one_through_a_delegate_and_the_events_prove_it() -> None:
    async def body() -> None:
        async with (
            World() as world,
            world.client("sophia_user") as ann,
            world.client("approver", name="bob") as bob,
            world.client("approver", name="cleo") as cleo,
            world.client("read_only", name="eve") as eve,
            world.client("admin", name="root", clearance=Clearance.TOP_SECRET) as root,
        ):
            run_id = await ask(ann)
            [line] = await waiting(world, bob)
            path, digest = f"/v1/approvals/{line['id']}", line["digest"]
            view = (await bob.get(path)).json()
            assert view["action"]["arguments"] == {"text": "measure this"}
            assert (view["action"]["name"], view["action"]["principal"]) == ("tool measure", "ann")
            events = (await ann.get(f"/v1/runs/{run_id}")).json()["events"]
            assert "approval.requested.v1" in {event["type"] for event in events}
            assert (await waiting(world, ann, "asked"))[0]["id"] == line["id"]

            own = await ann.post(f"{path}/grant", json={"digest": digest})
            assert (own.status_code, own.json()["type"]) == (403, "urn:diarchy:problem:refused")
            wrong = await bob.post(f"{path}/grant", json={"digest": "0" * 64})
            assert (wrong.status_code, wrong.json()["type"]) == (409, "urn:diarchy:problem:digest-mismatch")
            assert (await bob.post(f"{path}/grant", json={"digest": digest})).json()["by"] == ["bob"]
            assert (await bob.post(f"{path}/grant", json={"digest": digest})).json()["by"] == ["bob"]
            assert (await eve.get(path)).status_code == 404
            assert (await cleo.post(f"{path}/delegate", json={"to": "eve"})).status_code == 200
            assert (await eve.post(f"{path}/grant", json={"digest": digest})).status_code == 200
            assert await answer(world, ann, run_id) == "echo: 12 characters"

            late = await cleo.post(f"{path}/deny", json={"reason": "too late"})
            assert (late.status_code, late.json()["type"]) == (409, "urn:diarchy:problem:used")
            proof = (await root.get(f"/v1/events?kind=approval&id={line['id']}")).json()["events"]
            granted = [event for event in proof if event["type"] == "approval.granted.v1"]
            assert [(event["principal"], event["body"]["by"], event["body"]["digest"]) for event in granted] == [
                ("bob", "bob", digest),
                ("eve", "eve", digest),
            ]
            assert granted[1]["body"]["authority"]["delegated_by"] == "cleo"
            [used] = [event["body"] for event in proof if event["type"] == "approval.used.v1"]
            assert (used["digest"], used["causation"]) == (digest, view["action"]["causation"])

    run(body)


def test_who_looks_at_his_question_sees_for_whose_approval_it_waits_and_no_longer_once_it_is_decided() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann, world.client("approver", name="bob") as bob:
            keyed = {**ACCEPT, "Idempotency-Key": "k1"}
            body = {**ASKED, "approval": {}}
            accepted = (await ann.post("/v1/sophia/ask", json=body, headers=keyed)).json()
            [line] = await waiting(world, bob)
            repeated = await ann.post("/v1/sophia/ask", json=body, headers=keyed)
            assert (repeated.status_code, repeated.json()["approvals"]) == (202, [line["id"]])
            [turn] = (await ann.get(accepted["status_url"])).json()["turns"]
            assert (turn["status"], turn["approvals"]) == ("pending", [line["id"]])
            await bob.post(f"/v1/approvals/{line['id']}/deny", json={"reason": "no"})
            await answer(world, ann, accepted["correlation_id"])
            [turn] = (await ann.get(accepted["status_url"])).json()["turns"]
            assert (turn["status"], turn["approvals"]) == ("answered", [])

    run(body)


def test_a_denial_leaves_an_answer_that_says_so_and_so_does_a_withdrawal() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann, world.client("approver", name="bob") as bob:
            run_id = await ask(ann)
            [line] = await waiting(world, bob)
            denied = await bob.post(f"/v1/approvals/{line['id']}/deny", json={"reason": "not this table"})
            assert denied.json()["status"] == "denied"
            assert "is denied (bob: not this table)" in await answer(world, ann, run_id)
            again = await ask(ann)
            [line] = [one for one in await waiting(world, bob) if one["correlation_id"] == again]
            path = f"/v1/approvals/{line['id']}"
            assert (await bob.post(f"{path}/withdraw")).status_code == 403
            assert (await ann.post(f"{path}/withdraw", json={"reason": "never mind"})).json()["status"] == "withdrawn"
            assert "is withdrawn (never mind)" in await answer(world, ann, again)
            granted = await bob.post(f"{path}/grant", json={"digest": line["digest"]})
            assert (granted.status_code, granted.json()["type"]) == (409, "urn:diarchy:problem:withdrawn")

    run(body)


def test_what_is_above_ones_clearance_is_not_there() -> None:
    async def body() -> None:
        async with (
            World() as world,
            world.client("sophia_user", clearance=Clearance.RESTRICTED) as ann,
            world.client("approver", name="bob", clearance=Clearance.RESTRICTED) as bob,
            world.client("approver", name="low", clearance=Clearance.INTERNAL) as low,
        ):
            await ask(ann, confidentiality="restricted")
            [line] = await waiting(world, bob)
            assert (await low.get("/v1/approvals?which=all")).json()["approvals"] == []
            path = f"/v1/approvals/{line['id']}"
            assert (await low.get(path)).status_code == 404
            for act, sent in (("grant", {"digest": line["digest"]}), ("deny", {"reason": "x"}), ("revoke", None)):
                assert (await low.post(f"{path}/{act}", json=sent)).status_code == 404

    run(body)


@pytest.mark.parametrize(
    ("approval", "field"),
    [
        ({"quorum": 2, "approvers": ["bob"]}, "$.approval.quorum"),
        ({"quorum": 1, "approvers": ["ann"]}, "$.approval.quorum"),
        ({"quorum": 6}, "$.approval.quorum"),
        ({"expires_s": 0}, "$.approval.expires_s"),
        ({"tools": []}, "$.approval.tools"),
        ({"tools": ["business_insight", "busines_insight"]}, "$.approval.tools"),
        ({"who": ["bob"]}, "$.approval.who"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_at_once(approval: dict[str, Any], field: str) -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            response = await ann.post("/v1/sophia/ask", json={**ASKED, "approval": approval})
            assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)

    run(body)


def test_what_the_body_of_an_analysis_demands_is_recorded_with_it() -> None:
    async def body() -> None:
        async with (
            World() as world,
            world.client("cross_domain_user") as ann,
            world.client("admin", name="root", clearance=Clearance.TOP_SECRET) as root,
        ):
            rule = {"tools": ["client_analysis"], "quorum": 2}
            asked = {"subject": "Portal", "question": "Shall we?", "approval": rule}
            made = await ann.post("/v1/analyses", json=asked)
            assert made.status_code == 201, made.text
            events = (await root.get(f"/v1/events?kind=analysis&id={made.json()['id']}")).json()["events"]
            [started] = [event for event in events if event["type"] == "analysis.started.v1"]
            assert started["body"]["approval"] == rule

    run(body)


@pytest.mark.parametrize("path", ["/v1/sophia/ask", "/v1/analyses"])
def test_an_approver_who_could_not_see_it_is_refused_and_one_who_is_no_user_is_told_of(path: str) -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            await world.add_user("bob", "a password", "approver", clearance=Clearance.INTERNAL)
            await world.add_user("cleo", "a password", "approver", clearance=Clearance.CONFIDENTIAL)

            async def asked(*names: str, **more: Any) -> httpx.Response:
                rule = {"tools": ["client_analysis"], "approvers": names}
                sent = {"question": "Who leaves?", "approval": rule, **more}
                if path == "/v1/analyses":
                    sent["subject"] = "Leaving"
                return await ann.post(path, json=sent, headers=ACCEPT)

            refused = await asked("cleo", "bob")
            [error] = refused.json()["errors"]
            assert (refused.status_code, error["field"]) == (422, "$.approval.approvers")
            assert error["detail"].startswith("bob is not cleared for what is confidential")
            lower = await asked("cleo", "bob", confidentiality="internal")
            assert (lower.status_code, lower.json()["notes"]) == (202, [])
            accepted = await asked("cleo", "ghost")
            told = "approver ghost is no user here: only a token in that name can grant"
            assert (accepted.status_code, accepted.json()["notes"]) == (202, [told])

    run(body)


def test_a_stream_begins_with_what_is_to_be_known_of_the_approvers() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            rule = {"tools": ["client_analysis"], "approvers": ["ghost"]}
            sent = {"question": "Who leaves?", "approval": rule}
            answer = await ann.post("/v1/sophia/ask", json=sent, headers={"Accept": "text/event-stream"})
            events = answer.text.split("\n\n")
            [note] = [event for event in events if event.startswith("event: note")]
            assert note == 'event: note\ndata: "approver ghost is no user here: only a token in that name can grant"'

    run(body)
