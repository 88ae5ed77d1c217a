"""The gateway, request by request, over the kernel in memory."""

import asyncio
from typing import Any

import pytest

from contracts.domains import Clearance
from contracts.users import Role
from tests.gateway_world import World, run, sse

JSON = dict[str, Any]
KNOWLEDGE: JSON = {
    "title": "Pricing",
    "content": "prices rise in march",
    "category": "strategic_planning",
    "confidentiality": "internal",
}
FACT: JSON = {"type": "business_insight.v1", "title": "Deal", "text": "closed", "origin": "crm"}


def test_a_question_is_answered_and_can_be_read_back() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            answer = await ann.post("/v1/sophia/ask", json={"question": "who is at risk?"})
            assert answer.status_code == 200, answer.text
            turn = answer.json()
            assert turn["answer"]["content"] == "echo: who is at risk?"
            assert answer.headers["Diarchy-Correlation-Id"] == turn["correlation_id"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            session = (await ann.get(f"/v1/sessions/{turn['session']}")).json()
            assert (session["owner"], session["label"], session["turns"]) == ("ann", "confidential", 1)
            turns = (await ann.get(f"/v1/sessions/{turn['session']}/messages")).json()["turns"]
            assert [one["answer"]["content"] for one in turns] == ["echo: who is at risk?"]
            found = (await ann.get(f"/v1/runs/{turn['correlation_id']}")).json()
            types = [event["type"] for event in found["events"] if event["lane"] == "log"]
            assert types == ["conversation.started.v1", "conversation.asked.v1", "conversation.answered.v1"]

    run(body)


def test_a_session_begins_is_used_and_ends() -> None:
    async def body() -> None:
        async with World() as world, world.client("artemis_user") as ann:
            made = await ann.post("/v1/sessions", json={"domain": "artemis", "title": "Build"})
            assert made.status_code == 201, made.text
            session = made.json()
            assert session["context_type"] == "technical"
            assert made.headers["Location"] == f"/v1/sessions/{session['id']}"
            path = f"/v1/sessions/{session['id']}"
            for question in ("one", "two"):
                asked = await ann.post(f"{path}/messages", json={"question": question, "confidentiality": "public"})
                assert asked.status_code == 200, asked.text
            assert len((await ann.get(f"{path}/messages?limit=1")).json()["turns"]) == 1
            assert [one["id"] for one in (await ann.get("/v1/sessions")).json()["sessions"]] == [session["id"]]
            assert (await ann.delete(path)).status_code == 204
            assert (await ann.delete(path)).status_code == 204
            gone = await ann.post(f"{path}/messages", json={"question": "three"})
            assert (gone.status_code, gone.json()["detail"]) == (410, "the session has ended")

    run(body)


def test_what_is_somebody_elses_does_not_exist() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            session = (await ann.post("/v1/sophia/ask", json={"question": "mine"})).json()["session"]
            before = world.recorded()
            async with world.client("sophia_user", name="bob", clearance=Clearance.TOP_SECRET) as bob:
                for path in (f"/v1/sessions/{session}", f"/v1/sessions/{session}/messages"):
                    assert (await bob.get(path)).status_code == 404
                assert (await bob.post(f"/v1/sessions/{session}/messages", json={"question": "?"})).status_code == 404
                assert (await bob.delete(f"/v1/sessions/{session}")).status_code == 404
                assert (await bob.get("/v1/sessions")).json()["sessions"] == []
            async with world.client("sophia_user", name="ann", clearance=Clearance.INTERNAL) as less:
                assert (await less.get(f"/v1/sessions/{session}")).status_code == 404
                assert (await less.post(f"/v1/sessions/{session}/messages", json={"question": "?"})).status_code == 404
            async with world.client("admin", name="root", clearance=Clearance.TOP_SECRET) as root:
                assert (await root.get(f"/v1/sessions/{session}")).status_code == 200
            assert world.recorded() == before

    run(body)


def test_waiting_ends_with_202_and_the_result_comes_later() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            for prefer, applied in (
                ("respond-async", "respond-async"),
                ("wait=0", "wait=0"),
                ("a=b, wait=0", "wait=0"),
            ):
                pending = await ann.post("/v1/sophia/ask", json={"question": "slow one"}, headers={"Prefer": prefer})
                assert pending.status_code == 202, pending.text
                assert pending.headers["Preference-Applied"] == applied
                assert pending.headers["Location"] == pending.json()["status_url"]
            world.agents.release.set()
            path = pending.json()["status_url"]
            for _ in range(200):
                found = await ann.get(path)
                if found.status_code == 200 and found.json()["turns"][0]["status"] == "answered":
                    return
                await world.broker.logs[next(iter(world.broker.logs))].change(0.02)
            raise AssertionError(found.text)

    run(body)


def test_a_repeat_with_its_key_changes_nothing() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            key = {"Idempotency-Key": "k1"}
            first = await ann.post("/v1/sophia/ask", json={"question": "once"}, headers=key)
            before = world.recorded()
            again = await ann.post("/v1/sophia/ask", json={"question": "once"}, headers=key)
            assert (again.status_code, again.json()) == (200, first.json())
            assert (world.recorded(), world.agents.asked) == (before, 1)
            other = await ann.post("/v1/sophia/ask", json={"question": "twice"}, headers=key)
            assert (other.status_code, other.json()["type"]) == (422, "urn:diarchy:problem:key-reused")
            async with world.client("cross_domain_user", name="bob") as bob:
                his = await bob.post("/v1/sophia/ask", json={"question": "his"}, headers=key)
            assert his.json()["session"] != first.json()["session"]
            made = await ann.post("/v1/sessions", json={"domain": "sophia"}, headers=key)
            assert made.status_code == 201
            clash = await ann.post("/v1/sessions", json={"domain": "artemis"}, headers=key)
            assert clash.status_code == 422
            assert (await ann.post("/v1/sessions", json={"domain": "sophia"}, headers=key)).json() == made.json()

    run(body)


def test_a_repeat_while_the_first_still_runs_waits_for_the_same_answer() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            ask: dict[str, Any] = {"json": {"question": "slow one"}, "headers": {"Idempotency-Key": "k"}}
            first = asyncio.create_task(ann.post("/v1/sophia/ask", **ask))
            second = asyncio.create_task(ann.post("/v1/sophia/ask", **ask))
            await _until(world, lambda: world.agents.asked)
            world.agents.release.set()
            assert (await first).json() == (await second).json()
            assert world.agents.asked == 1

    run(body)


def test_a_run_that_fails_and_an_answer_above_the_clearance_are_problems() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            failed = await ann.post("/v1/sophia/ask", json={"question": "fail now"})
            assert failed.status_code == 502
            assert "the model refused" in failed.json()["detail"]
            leaked = await ann.post("/v1/sophia/ask", json={"question": "leak now"})
            assert leaked.status_code == 403
            assert "leak" not in leaked.text

    run(body)


def test_an_answer_streams_with_its_progress() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            stream = {"Accept": "text/event-stream", "Idempotency-Key": "s"}
            answer = await ann.post("/v1/sophia/ask", json={"question": "live"}, headers=stream)
            assert answer.headers["content-type"].startswith("text/event-stream")
            events = sse(answer.text)
            assert [name for name, _ in events if name != "progress"] == ["answer"]
            progress = [data["type"] for name, data in events if name == "progress" and data["lane"] == "log"]
            assert progress == ["conversation.started.v1", "conversation.asked.v1", "conversation.answered.v1"]
            assert events[-1][1]["answer"]["content"] == "echo: live"
            rest = await ann.post(
                "/v1/sophia/ask", json={"question": "live"}, headers={**stream, "Last-Event-ID": "99"}
            )
            assert "conversation.asked.v1" not in rest.text
            failed = await ann.post(
                "/v1/sophia/ask", json={"question": "fail"}, headers={"Accept": "text/event-stream"}
            )
            assert sse(failed.text)[-1][0] == "problem"

    run(body)


def test_an_analysis_runs_its_five_phases() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            made = await ann.post("/v1/analyses", json={"subject": "portal", "question": "rebuild?"})
            assert made.status_code == 201, made.text
            analysis = made.json()
            assert (len(analysis["phases"]), analysis["status"]) == (5, "completed")
            assert (await ann.get(made.headers["Location"])).json() == analysis
            assert len((await ann.get("/v1/analyses")).json()["analyses"]) == 1
            async with world.client("read_only", name="bob", clearance=Clearance.TOP_SECRET) as bob:
                assert (await bob.get(made.headers["Location"])).status_code == 404
                refused = await bob.post("/v1/analyses", json={"subject": "portal", "question": "rebuild?"})
                assert (refused.status_code, refused.json()["permission"]) == (403, "cross_domain:collaborate")

    run(body)


def test_knowledge_is_added_changed_found_and_deleted() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            made = await ann.post("/v1/knowledge", json=KNOWLEDGE)
            assert made.status_code == 201, made.text
            path = made.headers["Location"]
            assert (await ann.get(path)).json() == made.json()
            changed = await ann.put(path, json={**KNOWLEDGE, "title": "Prices"})
            assert (changed.status_code, changed.json()["knowledge"]["title"]) == (200, "Prices")
            assert changed.json()["created"] == made.json()["created"]
            same = await ann.put(path, json={**KNOWLEDGE, "title": "Prices"})
            assert same.json() == changed.json()
            await _until(world, lambda: bool(world.words.entries))
            hits = (await ann.post("/v1/knowledge/search", json={"query": "prices"})).json()["hits"]
            assert [hit["id"] for hit in hits] == [made.json()["id"]]
            key = {"Idempotency-Key": "d"}
            assert (await ann.delete(path, headers=key)).status_code == 204
            assert (await ann.delete(path, headers=key)).status_code == 204
            for gone in (await ann.get(path), await ann.delete(path), await ann.put(path, json=KNOWLEDGE)):
                assert gone.status_code == 404

    run(body)


def test_search_takes_twenty_candidates_and_the_best_by_priority_then_score() -> None:
    """The last one matches half as well as the others: its priority does not count against them."""

    async def body() -> None:
        async with World() as world, world.client("admin") as ann:
            for number, priority in enumerate((1, 9, 5, 9)):
                content = "alpha " * (number + 1) + ("beta" if number in (0, 1, 2) else "")
                item = {**KNOWLEDGE, "title": str(number), "content": content, "strategic_priority": priority}
                assert (await ann.post("/v1/knowledge", json=item)).status_code == 201
            await _until(world, lambda: sum(place == "ceo_knowledge" for place, _ in world.words.entries) == 4)
            found = await ann.post("/v1/knowledge/search", json={"query": "alpha beta", "limit": 3})
            assert [hit["knowledge"]["title"] for hit in found.json()["hits"]] == ["1", "2", "0"]
            best = await ann.post("/v1/knowledge/search", json={"query": "alpha beta", "priority_min": 6})
            assert [hit["knowledge"]["title"] for hit in best.json()["hits"]] == ["1", "3"]

    run(body)


@pytest.mark.parametrize("level", list(Clearance))
def test_nobody_sees_knowledge_above_his_clearance(level: Clearance) -> None:
    async def body() -> None:
        async with World() as world:
            paths = {}
            async with world.client("admin", name="root", clearance=Clearance.TOP_SECRET) as root:
                for label in Clearance:
                    item = {**KNOWLEDGE, "title": f"word-{label.value}", "confidentiality": label.value}
                    paths[label] = (await root.post("/v1/knowledge", json=item)).headers["Location"]
            await _until(world, lambda: len(world.words.entries) == len(Clearance))
            async with world.client("cross_domain_user", clearance=level) as ann:
                search = await ann.post("/v1/knowledge/search", json={"query": "prices"})
                events = await ann.get("/v1/events?limit=200")
                assert len(search.json()["hits"]) == level.rank + 1
                for label, path in paths.items():
                    readable = label <= level
                    assert (await ann.get(path)).status_code == (200 if readable else 404)
                    assert (f"word-{label.value}" in search.text) is readable
                    assert (f"word-{label.value}" in events.text) is readable
                    if not readable:
                        before = world.recorded()
                        assert (await ann.put(path, json={**KNOWLEDGE, "confidentiality": "public"})).status_code == 404
                        assert (await ann.delete(path)).status_code == 404
                        above = await ann.post("/v1/knowledge", json={**KNOWLEDGE, "confidentiality": label.value})
                        assert above.status_code == 403
                        assert world.recorded() == before

    run(body)


def test_facts_are_published_once_each_where_they_belong() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            path = "/v1/events/sophia/signal/northwind"
            made = await ann.post(path, json=FACT)
            assert made.status_code == 201, made.text
            assert made.json()["body"]["fact"]["title"] == "Deal"
            assert (await ann.post(path, json=FACT)).json() == made.json()
            before = world.recorded()
            wrong = await ann.post("/v1/events/sophia/signal/x", json={**FACT, "type": "code_analysis.v1"})
            assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "$.type")
            assert (await ann.post("/v1/events/sophia/conversation/x", json=FACT)).status_code == 404
            assert (await ann.post("/v1/events/nowhere/signal/x", json=FACT)).status_code == 404
            denied = await ann.post("/v1/events/artemis/signal/x", json={**FACT, "type": "code_analysis.v1"})
            assert (denied.status_code, denied.json()["permission"]) == (403, "artemis:write")
            assert world.recorded() == before
            found = await ann.get("/v1/events?type=signal.recorded.v1")
            assert [event["id"] for event in found.json()["events"]] == [made.json()["id"]]

    run(body)


def test_business_facts_are_published_to_what_they_are_about() -> None:
    fact = {"type": "client.signed.v1", "client": "Ada & Co", "at": "2026-03-01T00:00:00Z", "origin": "crm"}

    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            made = await ann.post("/v1/events/sophia/client/ada", json={**fact, "monthly_value": 29.85})
            assert made.status_code == 201, made.text
            assert made.json()["body"]["fact"]["monthly_value"] == 29.85
            again = await ann.post("/v1/events/sophia/client/ada", json={**fact, "monthly_value": 29.85})
            assert again.json() == made.json()
            before = world.recorded()
            for kind in ("deal", "signal"):
                wrong = await ann.post(f"/v1/events/sophia/{kind}/ada", json=fact)
                assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "$.type")
            text = await ann.post("/v1/events/sophia/client/x", json=FACT)
            assert (text.status_code, text.json()["errors"][0]["field"]) == (422, "$.type")
            assert world.recorded() == before

    run(body)


def test_events_and_runs_of_others_need_a_permission() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            turn = (await ann.post("/v1/sophia/ask", json={"question": "mine"})).json()
            path = f"/v1/runs/{turn['correlation_id']}"
            cases: list[tuple[Role, Clearance, int]] = [
                ("sophia_user", Clearance.TOP_SECRET, 404),
                ("read_only", Clearance.TOP_SECRET, 200),
                ("read_only", Clearance.INTERNAL, 404),
            ]
            for role, clearance, status in cases:
                async with world.client(role, name="bob", clearance=clearance) as bob:
                    assert (await bob.get(path)).status_code == status
                    assert (await bob.get(path.replace("runs", "traces"))).status_code == status
                    shown = (await bob.get("/v1/events")).json()["events"]
                    assert bool(shown) is (status == 200)

    run(body)


def test_a_users_record_is_for_administrators_and_never_shows_the_hash() -> None:
    async def body() -> None:
        async with World() as world:
            await world.add_user("zoe", "a long password", "sophia_user", clearance=Clearance.INTERNAL)
            async with world.client("read_only", clearance=Clearance.TOP_SECRET) as ann:
                assert (await ann.get("/v1/events")).json()["events"] == []
            async with world.client("admin", clearance=Clearance.TOP_SECRET) as root:
                text = (await root.get("/v1/events")).text
                assert "zoe" in text
                assert "argon2" not in text

    run(body)


def test_files_are_stored_by_their_digest() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            made = await ann.post("/v1/files", content=b"a,b\n1,2\n", headers={"Content-Type": "text/csv"})
            assert made.status_code == 201, made.text
            assert made.json()["size_bytes"] == 8
            assert await world.services.blobs.get(made.json()["digest"]) == b"a,b\n1,2\n"
            assert (await ann.post("/v1/files", content=b"")).status_code == 400

    run(body)


async def _until(world: World, condition: Any) -> None:
    while not condition():
        await world.broker.logs[next(iter(world.broker.logs))].change(0.01)
