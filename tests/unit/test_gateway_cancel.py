"""Cancelling a run over HTTP: whose it is, what becomes of it, and that a repeat changes nothing."""

import asyncio
from typing import Any

import httpx
import pytest

from contracts import subjects
from contracts.catalogue import tag
from contracts.domains import Clearance, Domain
from contracts.ids import new_id
from contracts.kernel import Cancel
from tests.gateway_world import World, run

LATER = {"Prefer": "respond-async"}


async def begun(client: httpx.AsyncClient, question: str = "think hard", **body: Any) -> dict[str, Any]:
    accepted = await client.post("/v1/sophia/ask", json={"question": question, **body}, headers=LATER)
    assert accepted.status_code == 202
    return dict(accepted.json())


async def turn_of(client: httpx.AsyncClient, world: World, pending: dict[str, Any]) -> dict[str, Any]:
    """The run's turn once it has ended."""
    while True:
        [turn] = (await client.get(pending["status_url"])).json()["turns"]
        if turn["status"] != "pending":
            return dict(turn)
        await world.broker.logs[Domain.SOPHIA].change(0.01)


def cancels(world: World) -> int:
    sent = [one for stream in world.broker.inboxes.values() for one in stream.messages if one.record is not None]
    return sum(one.record.envelope.type == tag(Cancel) for one in sent if one.record is not None)


def test_a_run_is_cancelled_and_its_asker_is_told() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            pending = await begun(ann)
            path = f"/v1/runs/{pending['correlation_id']}/cancel"
            answer = await ann.post(path, json={"reason": "asked the wrong question"})
            assert (answer.status_code, answer.json()) == (202, pending)
            turn = await turn_of(ann, world, pending)
            assert (turn["status"], turn["failure"]) == ("failed", "cancelled: asked the wrong question")
            again = await ann.post(path)
            assert (again.status_code, again.json()["type"]) == (409, "urn:diarchy:problem:ended")
            assert pending["status_url"] in again.json()["detail"]

    run(body)


def test_who_waits_for_the_answer_is_told_at_once() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann, world.client("admin", name="root") as root:
            waiting = asyncio.create_task(
                ann.post("/v1/sophia/ask", json={"question": "think"}, headers={"Idempotency-Key": "k"})
            )
            while not (events := (await root.get("/v1/events", params={"type": "conversation.asked.v1"})).json())[
                "events"
            ]:
                await world.broker.logs[Domain.SOPHIA].change(0.01)
            path = f"/v1/runs/{events['events'][0]['correlation']}/cancel"
            assert (await root.post(path)).status_code == 202
            told = await waiting
            assert told.status_code == 502
            assert "cancelled: by root" in told.json()["detail"]

    run(body)


def test_only_its_asker_and_administrators_may_cancel() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            pending = await begun(ann)
            path = f"/v1/runs/{pending['correlation_id']}/cancel"
            async with (
                world.client("cross_domain_user", name="bob") as bob,
                world.client("admin", name="low", clearance=Clearance.PUBLIC) as low,
                world.client("sophia_user", name="ann", clearance=Clearance.PUBLIC) as lower,
            ):
                assert (await bob.get(f"/v1/runs/{pending['correlation_id']}")).status_code == 200, "he may see it"
                for other in (bob, low, lower):
                    assert (await other.post(path)).status_code == 404
            assert (await ann.post(f"/v1/runs/{new_id()}/cancel")).status_code == 404
            assert (await ann.post("/v1/runs/none/cancel")).status_code == 404
            assert cancels(world) == 0
            assert (await ann.post(path)).status_code == 202

    run(body)


def test_what_cannot_be_cancelled_stays_as_it_is() -> None:
    async def body() -> None:
        async with World() as world, world.client("admin", name="root") as root:
            answered = await root.post("/v1/sophia/ask", json={"question": "quick"})
            assert (await root.post(f"/v1/runs/{answered.json()['id']}/cancel")).status_code == 409
            session = await root.post("/v1/sessions", json={"domain": "sophia"})
            created = session.headers["Diarchy-Correlation-Id"]
            assert (await root.post(f"/v1/runs/{created}/cancel")).status_code == 409
            fact = {"type": "business_insight.v1", "title": "t", "text": "x", "origin": "o"}
            published = await root.post("/v1/events/sophia/signal/s", json=fact)
            assert (await root.post(f"/v1/runs/{published.json()['correlation']}/cancel")).status_code == 409
            assert cancels(world) == 0

    run(body)


@pytest.mark.parametrize(
    ("content", "media", "status"),
    [
        (b"", None, 202),
        (b"{}", "application/json", 202),
        (b'{"reason":"x"}', "application/json", 202),
        (b'{"reason":""}', "application/json", 422),
        (b'{"reason":"%s"}' % (b"x" * 301), "application/json", 422),
        (b'{"why":"x"}', "application/json", 422),
        (b"reason=x", "application/x-www-form-urlencoded", 415),
        (b"x", None, 400),
    ],
)
def test_the_body_may_be_left_out_but_not_be_wrong(content: bytes, media: str | None, status: int) -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            pending = await begun(ann)
            headers = {"Content-Type": media} if media else {}
            answer = await ann.post(
                f"/v1/runs/{pending['correlation_id']}/cancel", content=content or None, headers=headers
            )
            assert answer.status_code == status, answer.text

    run(body)


def test_in_a_session_only_the_cancelled_turn_ends() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            session = (await ann.post("/v1/sessions", json={"domain": "sophia"})).json()["id"]
            messages = f"/v1/sessions/{session}/messages"
            before = await ann.post(messages, json={"question": "before"})
            pending = await ann.post(messages, json={"question": "think"}, headers=LATER)
            correlation = pending.json()["correlation_id"]
            for _ in range(2):
                assert (await ann.post(f"/v1/runs/{correlation}/cancel")).status_code in (202, 409)
            while not [turn for turn in await turns(ann, messages) if turn["status"] == "failed"]:
                await world.broker.logs[Domain.SOPHIA].change(0.01)
            assert (await ann.post(messages, json={"question": "after"})).json()["status"] == "answered"
            assert [turn["status"] for turn in await turns(ann, messages)] == ["answered", "failed", "answered"]
            assert (await ann.get(f"/v1/runs/{before.json()['id']}")).status_code == 200
            subject = subjects.log(subjects.actor_ref(Domain.SOPHIA, "conversation", session))
            failed = [one for one in await world.log.read(subject) if "failed" in one.record.envelope.type]
            assert len(failed) == 1

    run(body)


async def turns(client: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    return list((await client.get(path)).json()["turns"])
