"""The same again: at once from many, after the fact, or under a key that was used for something else."""

import asyncio
from typing import Any

import httpx
import msgspec

from contracts.catalogue import tag
from contracts.domains import Clearance
from contracts.envelope import Record
from contracts.kernel import Unchanged
from tests.gateway_world import SETTINGS, World, run

JSON = dict[str, Any]
ITEM: JSON = {
    "title": "Pricing",
    "content": "prices rise",
    "category": "strategic_planning",
    "confidentiality": "internal",
}
FACT: JSON = {"type": "business_insight.v1", "title": "Deal", "text": "closed", "origin": "crm"}
KEY = {"Idempotency-Key": "k"}
AT_ONCE = 5


async def at_once(*requests: Any) -> list[httpx.Response]:
    return list(await asyncio.gather(*requests))


def test_identical_changes_at_once_all_succeed() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            path = (await ann.post("/v1/knowledge", json=ITEM)).headers["Location"]
            changed = {**ITEM, "title": "Prices"}
            puts = await at_once(*(ann.put(path, json=changed) for _ in range(AT_ONCE)))
            assert [answer.status_code for answer in puts] == [200] * AT_ONCE
            assert len({answer.text for answer in puts}) == 1
            deletes = await at_once(*(ann.delete(path) for _ in range(AT_ONCE)))
            assert {answer.status_code for answer in deletes} <= {204, 404}
            assert [answer.status_code for answer in deletes].count(204) >= 1

    run(body)


def test_two_deletes_that_both_saw_the_item_both_succeed() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            path = (await ann.post("/v1/knowledge", json=ITEM)).headers["Location"]
            publish, both = world.queue.publish, asyncio.Barrier(2)

            async def together(subject: str, record: Record, **_: object) -> None:
                await both.wait()
                await publish(subject, record)

            world.queue.publish = together  # type: ignore[method-assign]
            deletes = await at_once(ann.delete(path), ann.delete(path))
            assert [answer.status_code for answer in deletes] == [204, 204]

    run(body)


def test_ends_of_a_session_at_once_all_succeed() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            path = (await ann.post("/v1/sessions", json={"domain": "sophia"})).headers["Location"]
            ends = await at_once(*(ann.delete(path) for _ in range(AT_ONCE)))
            assert [answer.status_code for answer in ends] == [204] * AT_ONCE

    run(body)


def test_identical_facts_at_once_are_one_event() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            facts = await at_once(*(ann.post("/v1/events/sophia/signal/x", json=FACT) for _ in range(AT_ONCE)))
            assert [answer.status_code for answer in facts] == [201] * AT_ONCE
            assert len({answer.text for answer in facts}) == 1
            assert facts[0].json()["type"] == "signal.recorded.v1"

    run(body)


def test_a_key_is_bound_to_its_body_even_where_nothing_is_left_to_do() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            path = (await ann.post("/v1/knowledge", json=ITEM)).headers["Location"]
            first, second = {**ITEM, "title": "one"}, {**ITEM, "title": "two"}
            assert (await ann.put(path, json=first, headers=KEY)).status_code == 200
            assert (await ann.put(path, json=second)).status_code == 200
            reused = await ann.put(path, json=second, headers=KEY)
            assert (reused.status_code, reused.json()["type"]) == (422, "urn:diarchy:problem:key-reused")
            assert (await ann.put(path, json=first, headers=KEY)).json()["knowledge"]["title"] == "one"
            unchanged = {"Idempotency-Key": "u"}
            assert (await ann.put(path, json=second, headers=unchanged)).status_code == 200
            assert (await ann.put(path, json=first, headers=unchanged)).status_code == 422

            signal = "/v1/events/sophia/signal/x"
            other = {**FACT, "title": "Other"}
            assert (await ann.post(signal, json=FACT, headers=KEY)).status_code == 201
            assert (await ann.post(signal, json=other)).status_code == 201
            assert (await ann.post(signal, json=other, headers=KEY)).status_code == 422

    run(body)


def test_an_unchanged_fact_is_answered_with_the_event_that_holds_it() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            signal = "/v1/events/sophia/signal/x"
            made = await ann.post(signal, json=FACT)
            again = await ann.post(signal, json=FACT, headers=KEY)
            assert (again.status_code, again.json()) == (201, made.json())
            assert (await ann.post(signal, json=FACT, headers=KEY)).json() == made.json()
            unchanged = (await ann.get("/v1/events", params={"type": tag(Unchanged)})).json()["events"]
            assert len(unchanged) == 1

    run(body)


def test_what_was_accepted_is_found_at_its_status_url_at_once() -> None:
    later = {"Prefer": "respond-async"}

    async def body() -> None:
        async with (
            World() as world,
            world.client("admin", clearance=Clearance.INTERNAL) as ann,
            asyncio.TaskGroup() as late,
        ):
            publish = world.queue.publish

            async def published(subject: str, record: Record, **_: object) -> None:
                await world.broker.logs[next(iter(world.broker.logs))].change(0.1)
                await publish(subject, record)

            async def delayed(subject: str, record: Record, **_: object) -> None:
                late.create_task(published(subject, record))

            world.queue.publish = delayed  # type: ignore[method-assign]
            made = (await ann.post("/v1/sessions", json={"domain": "sophia"}, headers=later)).json()
            assert (await ann.get(made["status_url"])).status_code == 200
            session = made["status_url"]
            item = (await ann.post("/v1/knowledge", json=ITEM, headers=later)).json()["status_url"]
            assert (await ann.get(item)).status_code == 200
            analysis = {"subject": "portal", "question": "rebuild?"}
            requests = [
                ("POST", "/v1/sophia/ask", {"question": "slow one"}),
                ("POST", f"{session}/messages", {"question": "slow two"}),
                ("POST", "/v1/analyses", analysis),
                ("PUT", item, {**ITEM, "title": "Prices"}),
                ("POST", "/v1/events/sophia/signal/x", FACT),
                ("DELETE", item, None),
            ]
            for method, path, sent in requests:
                answer = await ann.request(method, path, json=sent, headers=later)
                assert answer.status_code == 202, (path, answer.text)
                pending = answer.json()
                found = await ann.get(pending["status_url"])
                assert found.status_code == 200, (pending, found.text)
                if method == "DELETE":
                    assert pending["status_url"] == f"/v1/runs/{pending['correlation_id']}"
                assert answer.headers["Location"] == pending["status_url"]

    run(body)


def test_a_wait_that_ended_waits_for_the_first_record_and_the_read_models() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            asked = asyncio.create_task(
                ann.post("/v1/sophia/ask", json={"question": "slow one"}, headers={"Prefer": "wait=0"})
            )
            await _until(world, lambda: world.agents.asked)
            answer = await asked
            assert answer.status_code == 202
            assert (await ann.get(answer.json()["status_url"])).json()["turns"][0]["status"] == "pending"

    run(body)


def test_a_refusal_that_is_known_at_once_is_no_202() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            path = (await ann.post("/v1/sessions", json={"domain": "sophia"})).headers["Location"]
            await ann.delete(path)
            late = await ann.post(f"{path}/messages", json={"question": "late"}, headers={"Prefer": "respond-async"})
            assert late.status_code == 410

    run(body)


def test_nothing_recorded_in_time_is_a_202_all_the_same() -> None:
    async def body() -> None:
        settings = msgspec.structs.replace(SETTINGS, accepted_s_max=0.05)
        async with World(settings) as world, world.client("sophia_user") as ann:

            async def lost(subject: str, record: Record, **_: object) -> None:  # noqa: ARG001 - the port's
                return

            world.queue.publish = lost  # type: ignore[method-assign]
            answer = await ann.post("/v1/sophia/ask", json={"question": "q"}, headers={"Prefer": "respond-async"})
            assert answer.status_code == 202

    run(body)


async def _until(world: World, condition: Any) -> None:
    while not condition():
        await world.broker.logs[next(iter(world.broker.logs))].change(0.01)
