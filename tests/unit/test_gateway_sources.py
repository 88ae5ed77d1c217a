"""Questions over HTTP that hand files over: what reaches the agents, and what is refused."""

from typing import Any

import httpx
import msgspec

from contracts import subjects
from contracts.conversation import Asked
from contracts.domains import Clearance
from gateway.conversing import session_ref
from tests.gateway_world import World, run

JSON = dict[str, Any]


async def stored(
    client: httpx.AsyncClient, title: str, *, media_type: str | None = "application/zip", **more: str
) -> str:
    """A new item, with a file unless there is no `media_type`; its id."""
    item: JSON = {"title": title, "content": f"About {title}.", "category": "operational_metrics", **more}
    if media_type:
        put = await client.post("/v1/files", content=title.encode(), headers={"Content-Type": media_type})
        assert put.status_code in (200, 201), put.text
        item["attachment"] = {
            "digest": put.json()["digest"],
            "media_type": media_type,
            "name": title,
            "size_bytes": len(title),
        }
    answer = await client.post("/v1/knowledge", json={"confidentiality": "internal", **item})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def ask(client: httpx.AsyncClient, sources: list[str], domain: str = "artemis", **more: str) -> httpx.Response:
    body = {"question": "What is wrong with it?", "collaborate": False, "sources": sources, **more}
    return await client.post(f"/v1/{domain}/ask", json=body)


def test_the_question_has_its_files_as_they_are_and_is_as_confidential() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user", clearance=Clearance.RESTRICTED) as ann:
            tree = await stored(ann, "tree", confidentiality="confidential")
            answer = await ask(ann, [tree, tree], confidentiality="internal")
            assert answer.status_code == 200, answer.text
            session = answer.json()["session"]
            records = await world.log.read(subjects.log(session_ref(session)))
            asked = [one for one in records if one.record.envelope.type == "conversation.asked.v1"]
            event = msgspec.json.decode(asked[0].record.body, type=Asked)
            assert [(one.item, one.title, one.media_type) for one in event.sources] == [
                (tree, "tree", "application/zip")
            ]
            assert asked[0].record.envelope.label is Clearance.CONFIDENTIAL
            assert (await ask(ann, [], confidentiality="internal")).status_code == 200

    run(body)


def test_an_item_that_is_not_there_or_is_above_the_asker_is_refused_alike() -> None:
    async def body() -> None:
        async with (
            World() as world,
            world.client("cross_domain_user", name="eve", clearance=Clearance.RESTRICTED) as eve,
            world.client("cross_domain_user", name="ann", clearance=Clearance.INTERNAL) as ann,
        ):
            secret = await stored(eve, "plans", confidentiality="restricted")
            gone = await stored(ann, "gone")
            assert (await ann.delete(f"/v1/knowledge/{gone}")).status_code == 204
            for item in (secret, gone, "0199aaaa-0000-7000-8000-000000000000"):
                answer = await ask(ann, [item])
                assert answer.status_code == 422, answer.text
                assert answer.json()["errors"] == [
                    {"field": "$.sources[0]", "detail": f"there is no knowledge item {item}"}
                ]
            for malformed in (["no such\nid"], [gone] * 4):
                assert (await ask(ann, malformed)).status_code == 422

    run(body)


def test_what_nobody_would_analyse_is_refused_with_what_would_be() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            text = await stored(ann, "note", media_type=None)
            image = await stored(ann, "photo", media_type="image/png")
            tree = await stored(ann, "tree")
            table = await stored(ann, "table", media_type="text/csv")
            refused = [
                (await ask(ann, [text]), "$.sources[0]", "has no file"),
                (await ask(ann, [tree, image]), "$.sources[1]", "is a image/png"),
                (await ask(ann, [tree], "sophia"), "$.sources", "the teams of sophia analyse text/csv"),
                (await ask(ann, [table], team="security"), "$.sources", "the team security analyses application/zip"),
            ]
            for answer, field, told in refused:
                assert answer.status_code == 422, answer.text
                assert answer.json()["errors"][0]["field"] == field
                assert told in answer.json()["errors"][0]["detail"]
            assert (await ask(ann, [table, tree], "sophia")).status_code == 200, "what Sophia does not read others do"

    run(body)
