"""Input that is well formed and yet means nothing: blank texts, names that are paths, moments that are bare numbers."""

from typing import Any

import pytest

from tests.gateway_world import World, run

JSON = dict[str, Any]
ITEM: JSON = {"title": "t", "content": "c", "category": "strategic_planning", "confidentiality": "internal"}
FACT: JSON = {"type": "business_insight.v1", "title": "Deal", "text": "closed", "origin": "crm"}
FILE: JSON = {"digest": "0" * 64, "media_type": "text/csv", "size_bytes": 1}
BLANK = " \t\n\u00a0"
MEANINGLESS: list[tuple[str, JSON, str]] = [
    ("/v1/sophia/ask", {"question": BLANK}, "$.question"),
    ("/v1/analyses", {"subject": BLANK, "question": "why?"}, "$.subject"),
    ("/v1/analyses", {"subject": "portal", "question": BLANK}, "$.question"),
    ("/v1/knowledge/search", {"query": BLANK}, "$.query"),
    ("/v1/knowledge", {**ITEM, "title": BLANK}, "$.title"),
    ("/v1/knowledge", {**ITEM, "content": BLANK}, "$.content"),
    ("/v1/knowledge", {**ITEM, "tags": [BLANK]}, "$.tags[0]"),
    ("/v1/events/sophia/signal/x", {**FACT, "title": BLANK}, "$.title"),
    ("/v1/events/sophia/signal/x", {**FACT, "text": BLANK}, "$.text"),
    ("/v1/events/sophia/signal/x", {**FACT, "origin": BLANK}, "$.origin"),
    *(
        ("/v1/knowledge", {**ITEM, "attachment": {**FILE, "name": name}}, "$.attachment.name")
        for name in ("../a", "a\\b", "a\rb", "a\n", "\x7f", "\x85", BLANK)
    ),
]


def test_blank_texts_and_names_that_are_paths_are_refused() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            for path, sent, field in MEANINGLESS:
                answer = await ann.post(path, json=sent)
                assert answer.status_code == 422, (path, sent, answer.text)
                [error] = answer.json()["errors"]
                assert error["field"] == field, (path, sent)
                assert "name" in field or error["detail"] == "must not be blank", (path, sent, error)
            assert world.recorded() == 0

    run(body)


def test_what_is_no_place_of_a_repository_is_refused_in_words_and_not_repeated() -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            for place in (
                "ssh://git@host/a",
                "file:///a",
                "https://ann:hunter2@host/a.git",
                "code",
                "https://host/a?token=x",
            ):
                answer = await ann.post("/v1/artemis/ask", json={"question": "What of this?", "repository": place})
                assert answer.status_code == 422, place
                [error] = answer.json()["errors"]
                assert error["field"] == "$.repository"
                assert error["detail"].startswith("must be an absolute path, or the https address of a git repository")
                assert "hunter2" not in answer.text
            assert world.recorded() == 0

    run(body)


@pytest.mark.parametrize("name", ["since", "until"])
def test_a_moment_is_a_date_and_time_never_a_number(name: str) -> None:
    async def body() -> None:
        async with World() as world, world.client("cross_domain_user") as ann:
            for number in ("2020", "1700000000", "1.5e9", "-1", " 2020"):
                answer = await ann.get("/v1/events", params={name: number})
                assert answer.status_code == 422, number
                assert answer.json()["errors"][0]["field"] == name
            assert (await ann.get("/v1/events", params={name: "2020-01-01T00:00:00Z"})).status_code == 200

    run(body)


def test_a_refused_method_names_those_that_are_allowed() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            refused = await ann.patch("/v1/sessions", json={})
            assert refused.status_code == 405
            for method in ("GET", "HEAD", "POST"):
                assert method in refused.json()["detail"]

    run(body)


def test_head_is_get_without_the_body() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            for path in ("/v1/me", "/health", "/v1/sessions", "/openapi.json"):
                got, head = await ann.get(path), await ann.head(path)
                assert (head.status_code, head.content) == (200, b""), path
                assert head.headers["content-length"] == str(len(got.content)), path
            assert (await ann.head("/v1/sessions/sophia-1")).status_code == 404
            assert (await ann.head("/v1/events", headers={"Accept": "text/event-stream"})).status_code == 406
            assert world.gateway.streams.open == 0

    run(body)
