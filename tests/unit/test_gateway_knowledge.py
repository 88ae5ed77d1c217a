"""The knowledge base over HTTP: imports that follow their source, versions, and who may read which."""

from typing import Any

import httpx
import pytest

from contracts.domains import Clearance, Domain
from contracts.ids import new_id
from tests.gateway_world import World, run

JSON = dict[str, Any]
SAID: JSON = {"title": "Pricing", "content": "first", "category": "strategic_planning", "confidentiality": "internal"}


async def send(client: httpx.AsyncClient, key: str = "a.md", collection: str = "handbook", **changes: object) -> JSON:
    body = {"collection": collection, "key": key, "knowledge": {**SAID, **changes}}
    answer = await client.post("/v1/knowledge/imports", json=body)
    assert answer.status_code == 201, answer.text
    found: JSON = answer.json()
    return found


async def imported(client: httpx.AsyncClient, collection: str = "handbook") -> list[JSON]:
    answer = await client.get("/v1/knowledge/imports", params={"collection": collection})
    assert answer.status_code == 200, answer.text
    found: list[JSON] = answer.json()["items"]
    return found


def test_what_stands_at_a_place_is_one_item_however_often_it_is_sent() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            first = await send(ann)
            before = await imported(ann)
            assert (await send(ann))["id"] == first["id"]
            assert await imported(ann) == before
            second = await send(ann, content="second")
            assert (second["id"], second["knowledge"]["content"]) == (first["id"], "second")
            assert (await imported(ann))[0]["digest"] != before[0]["digest"]
            others = [await send(ann, key="b.md"), await send(ann, collection="elsewhere")]
            async with world.client("cross_domain_user", name="bob") as bob:
                others.append(await send(bob))
                assert [one["id"] for one in await imported(bob)] == [others[-1]["id"]]
            assert len({first["id"], *(one["id"] for one in others)}) == 4
            assert sorted(one["key"] for one in await imported(ann)) == ["a.md", "b.md"]

    run(body)


def test_a_correction_by_hand_stays_and_what_was_deleted_comes_back_with_its_file() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            path = f"/v1/knowledge/{(await send(ann))['id']}"
            digest = (await imported(ann))[0]["digest"]
            assert (await ann.put(path, json={**SAID, "content": "by hand"})).status_code == 200
            assert (await imported(ann))[0]["digest"] == digest
            assert (await send(ann))["knowledge"]["content"] == "by hand"
            assert (await ann.delete(path)).status_code == 204
            assert await imported(ann) == []
            assert (await send(ann))["knowledge"]["content"] == "first"
            assert (await ann.get(path)).json()["knowledge"]["content"] == "first"

    run(body)


def test_which_imports_can_be_found_is_told_to_who_made_them() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann, world.client("admin", name="eve") as eve:
            body = {"collection": "c", "key": "k", "knowledge": SAID}
            made = await ann.post("/v1/knowledge/imports", json=body)
            assert made.status_code == 201, made.text
            async for batch in world.log.follow(Domain.CEO, ["run"], after=0):
                if any(b'"index"' in stored.record.body for stored in batch):
                    break
            again = await ann.post("/v1/knowledge/imports", json=body)
            asked = {
                "runs": [made.headers["Diarchy-Correlation-Id"], again.headers["Diarchy-Correlation-Id"], new_id()]
            }
            path = "/v1/knowledge/imports/searchable"
            assert (await ann.post(path, json=asked)).json()["runs"] == asked["runs"][:2]
            assert (await eve.post(path, json=asked)).json()["runs"] == []
            assert (await ann.post(path, json={"runs": []})).status_code == 422

    run(body)


def test_what_may_not_be_imported_is_refused_by_name() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann, world.client("read_only") as eve:
            body = {"collection": "c", "key": "k", "knowledge": {**SAID, "confidentiality": "top_secret"}}
            assert (await ann.post("/v1/knowledge/imports", json=body)).status_code == 403
            assert (await eve.post("/v1/knowledge/imports", json=body)).status_code == 403
            assert (await eve.get("/v1/knowledge/imports?collection=c")).status_code == 403
            body = {"collection": "c", "key": "k", "knowledge": {**SAID, "expires": "2027-01-01T00:00:00"}}
            answer = await ann.post("/v1/knowledge/imports", json=body)
            assert answer.json()["errors"][0]["field"] == "$.knowledge.expires"
            answer = await ann.post("/v1/knowledge/imports", json={**body, "key": " "})
            assert answer.json()["errors"][0]["field"] == "$.key"

    run(body)


async def told(client: httpx.AsyncClient, path: str) -> list[tuple[int, str, str]]:
    answer = await client.get(f"{path}/versions")
    if answer.status_code == 404:
        return []
    lines = answer.json()["versions"]
    for line in lines:
        one = await client.get(f"{path}/versions/{line['number']}")
        assert one.status_code == 200
        assert one.json()["knowledge"]["title"] == line["title"]
    return [(line["number"], line["title"], line["label"]) for line in lines]


def test_every_version_is_kept_and_read_by_who_is_cleared_for_it_and_for_the_item_now() -> None:
    async def body() -> None:
        everything = Clearance.TOP_SECRET
        async with World() as world, world.client("admin", name="root", clearance=everything) as root:
            made = await root.post("/v1/knowledge", json={**SAID, "title": "one"})
            path = made.headers["Location"]
            for title, level in (("two", "confidential"), ("three", "restricted")):
                changed = await root.put(path, json={**SAID, "title": title, "confidentiality": level})
                assert changed.status_code == 200
            assert await told(root, path) == [
                (3, "three", "restricted"),
                (2, "two", "restricted"),
                (1, "one", "restricted"),
            ]
            lowered = await root.post(f"{path}/declassify", json={"confidentiality": "internal", "reason": "announced"})
            assert lowered.status_code == 200, lowered.text
            expected = [
                (4, "three", "internal"),
                (3, "three", "restricted"),
                (2, "two", "confidential"),
                (1, "one", "internal"),
            ]
            for clearance in Clearance:
                async with world.client("read_only", clearance=clearance) as eve:
                    cleared = [one for one in expected if Clearance(one[2]) <= clearance]
                    assert await told(eve, path) == cleared
                    for number, _, label in expected:
                        status = (await eve.get(f"{path}/versions/{number}")).status_code
                        assert status == (200 if Clearance(label) <= clearance else 404)
            page = (await root.get(f"{path}/versions", params={"before": 3, "limit": 1})).json()
            assert ([one["number"] for one in page["versions"]], page["more"]) == ([2], True)
            for odd in ("0", "5", "x", "1e3", "-1", "9" * 400):
                assert (await root.get(f"{path}/versions/{odd}")).status_code == 404

    run(body)


@pytest.mark.parametrize("how", ["deleted", "expired"])
def test_what_has_ended_is_told_to_curators_only_under_its_last_label(how: str) -> None:
    async def body() -> None:
        everything = Clearance.TOP_SECRET
        async with World() as world, world.client("admin", name="root", clearance=everything) as root:
            path = (await root.post("/v1/knowledge", json=SAID)).headers["Location"]
            raised = {**SAID, "confidentiality": "restricted", "title": "raised"}
            if how == "expired":
                raised["expires"] = "2020-01-01T00:00:00Z"
            assert (await root.put(path, json=raised)).status_code in (200, 404)
            if how == "deleted":
                assert (await root.delete(path)).status_code == 204
            while (answer := (await root.get(f"{path}/versions")).json())["ended"] is None:
                await world.broker.logs[Domain.CEO].change(0.05)
            assert answer["ended"] == how
            assert await told(root, path) == [(2, "raised", "restricted"), (1, "Pricing", "restricted")]
            for role, clearance, sees in (
                ("cross_domain_user", Clearance.RESTRICTED, 2),
                ("cross_domain_user", Clearance.CONFIDENTIAL, 0),
                ("read_only", everything, 0),
            ):
                async with world.client(role, clearance=clearance) as reader:  # type: ignore[arg-type] # of the tuple's strings
                    assert len(await told(reader, path)) == sees

    run(body)


def test_versions_of_a_partition_that_one_may_not_read_do_not_exist() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann, world.client("sophia_user") as sue:
            item = {**SAID, "partition": "artemis_technical"}
            path = (await ann.post("/v1/knowledge", json=item)).headers["Location"]
            assert len(await told(ann, path)) == 1
            assert await told(sue, path) == []
            assert (await ann.put(path, json=SAID)).status_code == 200
            assert [number for number, _, _ in await told(sue, path)] == [2]

    run(body)


def test_a_search_holds_all_of_its_filters() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            for title, changes in (
                ("plain", {}),
                ("tagged", {"tags": ["red", "tall"]}),
                ("secret", {"tags": ["red"], "confidentiality": "confidential"}),
                ("other", {"category": "risk_management", "strategic_priority": 9}),
            ):
                made = await ann.post("/v1/knowledge", json={**SAID, "title": title, "content": "alpha", **changes})
                assert made.status_code == 201, made.text
            while len(world.words.entries) < 4:
                await world.broker.logs[Domain.CEO].change(0.05)
            between = made.json()["updated"]

            async def found(**filters: object) -> set[str]:
                answer = await ann.post("/v1/knowledge/search", json={"query": "alpha", **filters})
                assert answer.status_code == 200, answer.text
                return {hit["knowledge"]["title"] for hit in answer.json()["hits"]}

            async def listed(**filters: str | int) -> list[str]:
                answer = await ann.get("/v1/knowledge", params=filters)
                assert answer.status_code == 200, answer.text
                return [item["title"] for item in answer.json()["items"]]

            assert await listed() == ["other", "secret", "tagged", "plain"]
            assert await listed(limit=2) == ["other", "secret"]
            assert await listed(category="risk_management", partition="ceo_knowledge") == ["other"]
            assert await listed(since=between, priority_min=9) == ["other"]
            assert await listed(partition="research_data") == []
            async with world.client("artemis_user", clearance=Clearance.INTERNAL) as eve:
                seen = (await eve.get("/v1/knowledge")).json()["items"]
                assert [one["title"] for one in seen] == ["other", "tagged", "plain"]
                assert (await eve.get("/v1/knowledge?partition=sophia_business")).status_code == 403
            assert await found() == {"plain", "tagged", "secret", "other"}
            assert await found(tags=["red"]) == {"tagged", "secret"}
            assert await found(tags=["red", "tall"]) == {"tagged"}
            assert await found(confidentiality_max="internal") == {"plain", "tagged", "other"}
            assert await found(confidentiality_max="top_secret") == {"plain", "tagged", "secret", "other"}
            assert await found(category="risk_management", priority_min=9) == {"other"}
            assert await found(updated_from=between) == {"other"}
            assert "other" not in await found(updated_to="2020-01-01T00:00:00Z")

    run(body)


def test_an_item_says_what_its_partition_knows_besides_and_is_found_by_that_too() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            said = {**SAID, "content": "alpha", "partition": "sophia_business"}
            made = [
                await ann.post("/v1/knowledge", json={**said, "fields": {"client": "Acme", "region": "EU"}}),
                await ann.post("/v1/knowledge", json={**said, "fields": {"client": "Bolt", "region": "EU"}}),
                await ann.post("/v1/knowledge", json=said),
            ]
            items = [one.json()["id"] for one in made]
            while len(world.words.entries) < 3:
                await world.broker.logs[Domain.CEO].change(0.05)

            async def found(status: int = 200, **fields: object) -> set[int] | str:
                asked = {"query": "alpha", "partitions": ["sophia_business"], "fields": fields}
                answer = await ann.post("/v1/knowledge/search", json=asked)
                assert answer.status_code == status, answer.text
                if status != 200:
                    return str(answer.json()["errors"])
                return {items.index(hit["id"]) for hit in answer.json()["hits"]}

            assert await found() == {0, 1, 2}
            assert await found(region="EU") == {0, 1}
            assert await found(region="EU", client="Acme") == {0}
            assert await found(client="Nobody") == set()
            assert "sophia_business has client, region" in str(await found(422, severity="high"))
            both = {"query": "alpha", "partitions": ["ceo_knowledge", "sophia_business"], "fields": {"client": "Acme"}}
            assert len((await ann.post("/v1/knowledge/search", json=both)).json()["hits"]) == 1
            path = f"/v1/knowledge/{items[0]}"
            assert (await ann.get(path)).json()["knowledge"]["fields"] == {"client": "Acme", "region": "EU"}
            assert "fields" not in (await ann.get(f"/v1/knowledge/{items[2]}")).json()["knowledge"]
            moved = {**said, "partition": "research_data", "fields": {"client": "Acme"}}
            for method, where, wrong in (
                ("PUT", path, moved),
                ("POST", "/v1/knowledge", {**moved, "fields": {"published_year": "1999"}}),
                ("POST", "/v1/knowledge", {**moved, "fields": {"url": "x" * 301}}),
            ):
                refused = await ann.request(method, where, json=wrong)
                problem = refused.json()["errors"][0]
                assert (refused.status_code, problem["field"]) == (422, "$.fields")
                assert "research_data has url, published_year" in problem["detail"]
            body = {"collection": "c", "key": "k", "knowledge": moved}
            refused = await ann.post("/v1/knowledge/imports", json=body)
            assert refused.json()["errors"][0]["field"] == "$.knowledge.fields"
            changed = await ann.put(path, json={**said, "fields": {"client": "Acme", "region": "US"}})
            assert changed.status_code == 200
            assert await found(region="EU") == {1}

    run(body)


def test_what_matches_is_shown_before_what_is_important() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            for title, content, priority in (
                ("merger", "the merger of two harbours", 10),
                ("giraffes", "the giraffes of the zoo", 1),
                ("board", "the giraffes of the zoo and the board", 9),
            ):
                said = {**SAID, "title": title, "content": content, "strategic_priority": priority}
                made = await ann.post("/v1/knowledge", json=said)
                while ("ceo_knowledge", made.json()["id"]) not in world.words.entries:
                    await world.broker.logs[Domain.CEO].change(0.05)
            shown = {}
            for limit in (1, 10):
                answer = await ann.post("/v1/knowledge/search", json={"query": "giraffes of the zoo", "limit": limit})
                shown[limit] = [hit["knowledge"]["title"] for hit in answer.json()["hits"]]
            assert shown == {1: ["board"], 10: ["board", "giraffes", "merger"]}

    run(body)
