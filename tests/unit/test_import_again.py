"""Importing again, against a gateway in memory: nothing is doubled, and nothing that cannot be replaced is deleted."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from contracts.curating import ImportedItems
from contracts.domains import Clearance
from contracts.http import Problem
from contracts.users import Role
from deploy.client import Gateway, GatewayError
from deploy.commands.knowledge_import import Done, Options, follow, tell_failures
from deploy.commands.options import FailedError
from deploy.folder_import import read_path
from deploy.importing import OUT_OF_REACH, post_items
from deploy.items import Defaults
from deploy.progress import Steps
from gateway.identity import Principal
from tests.gateway_world import TOKENS, World, now, run

ANN: Sequence[Role] = ("admin",)


@asynccontextmanager
async def gateway_of(
    world: World, transport: httpx.AsyncBaseTransport | None = None, roles: Sequence[Role] = ANN
) -> AsyncIterator[Gateway]:
    app: Any = world.gateway.app  # Falcon says dict where httpx says MutableMapping.
    principal = Principal(username="ann", roles=tuple(roles), clearance=Clearance.CONFIDENTIAL)
    token = TOKENS.issue(principal, now())
    async with Gateway(
        "http://gateway", lambda: token, transport=transport or httpx.ASGITransport(app=app, raise_app_exceptions=True)
    ) as gateway:
        yield gateway


async def imported(gateway: Gateway, path: Path) -> tuple[int, int, int, int]:
    """How many were new, changed, unchanged and gone."""
    done = Done()
    with Steps() as steps:
        await follow(gateway, path, steps, Options(), done, source=False)
    assert done.failures == []
    return done.new, done.changed, done.unchanged, len(done.gone)


async def listed(gateway: Gateway, path: Path) -> dict[str, str]:
    page = await gateway.get("/v1/knowledge/imports", ImportedItems, {"collection": str(path), "limit": 200})
    return {one.key: one.id for one in page.items}


def test_what_was_added_without_its_source_is_the_item_that_is_imported(tmp_path: Path) -> None:
    """As imports were until items had a source: posted, with an idempotency key of what they said."""
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text(f"# {name}\n\nThe tide of {name}.")

    async def body() -> None:
        async with World() as world, gateway_of(world) as gateway, world.client("admin", name="bob") as bob:
            before: list[str] = []
            for item in read_path(tmp_path, Defaults()).items:
                said = msgspec.to_builtins(item.knowledge)
                answer = await bob.post("/v1/knowledge", json=said)  # Another one's is not taken.
                assert answer.status_code == 201
                headers = {"Content-Type": "application/json", "Idempotency-Key": f"import-{item.key}"}
                sent = await gateway.send("POST", "/v1/knowledge", content=msgspec.json.encode(said), headers=headers)
                before.append(msgspec.json.decode(sent.body)["id"])
            (tmp_path / "c.md").write_text("# c\n\nNew.")
            assert await imported(gateway, tmp_path) == (1, 2, 0, 0)
            known = await listed(gateway, tmp_path)
            assert [known["a.md"], known["b.md"]] == before
            assert await imported(gateway, tmp_path) == (0, 0, 3, 0)
            (tmp_path / "a.md").write_text("# a.md\n\nAnother tide.")
            assert await imported(gateway, tmp_path) == (0, 1, 2, 0)
            assert await listed(gateway, tmp_path) == known
            body = {"collection": "c", "key": "k", "knowledge": said, "item": before[0]}
            assert (await bob.post("/v1/knowledge/imports", json=body)).status_code == 404

    run(body)


def test_part_of_an_imported_folder_is_imported_as_part_of_it(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for name in ("x.md", "y.md", "inner/x.md", "inner/y.md"):
        (tmp_path / name).write_text(f"# {name}\n\nThe tide of {name}.")

    async def body() -> None:
        async with World() as world, gateway_of(world) as gateway:
            assert await imported(gateway, tmp_path) == (4, 0, 0, 0)
            known = await listed(gateway, tmp_path)
            assert await imported(gateway, inner / "x.md") == (0, 0, 1, 0)
            (inner / "x.md").write_text("# x\n\nAnother tide.")
            (inner / "y.md").unlink()
            (inner / "z.md").write_text("# z\n\nNew.")
            assert await imported(gateway, inner / "x.md") == (0, 1, 0, 0)
            assert await imported(gateway, inner) == (1, 0, 1, 1)  # What lies outside of it is not gone.
            assert await listed(gateway, inner) == {}
            assert (await listed(gateway, tmp_path)).keys() == {*known, "inner/z.md"}

    run(body)


def test_a_throttled_import_says_so_waits_and_counts_each_document_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.md", "b.md", "c.md", "d.md"):
        (tmp_path / name).write_text(f"The tide of {name}.")

    class Throttling(httpx.AsyncBaseTransport):
        """The gateway, but the first time each item comes too soon, and one is sent away for an hour."""

        def __init__(self, app: Any) -> None:
            self._gateway = httpx.ASGITransport(app=app)
            self._seen: set[str] = set()

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            key = request.headers.get("Idempotency-Key", "")
            late = b'"d.md"' in request.content
            if not key.startswith("import-") or (key in self._seen and not late):
                return await self._gateway.handle_async_request(request)
            self._seen.add(key)
            problem = Problem(type="urn:x", title="T", status=429, detail="3,000 requests a minute are allowed here")
            headers = {"Retry-After": "3600" if late else "0"}
            return httpx.Response(429, content=msgspec.json.encode(problem), headers=headers, request=request)

    async def body() -> None:
        async with World() as world, gateway_of(world, Throttling(world.gateway.app)) as gateway:
            done = Done()
            with Steps() as steps:
                await follow(gateway, tmp_path, steps, Options(), done, source=False)
            assert (done.new, done.changed, done.unchanged, len(done.runs)) == (3, 0, 0, 3)
            reason = "3,000 requests a minute are allowed here [429]"
            assert [(one.path, one.reason) for one in done.failures] == [("d.md", reason)]
            told = [line for line in capsys.readouterr().err.splitlines() if "429" in line]
            assert told == [f"  0 of 4: {reason}; again in 0 s"]  # Once, not for each.

    run(body)


def test_nothing_of_a_document_is_deleted_whose_new_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "long.md"

    class Refusing(httpx.AsyncBaseTransport):
        """The gateway, but without room for imports."""

        def __init__(self, app: Any) -> None:
            self._gateway = httpx.ASGITransport(app=app)

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if (request.method, request.url.path) != ("POST", "/v1/knowledge/imports"):
                return await self._gateway.handle_async_request(request)
            problem = Problem(type="urn:x", title="T", status=422, detail="no")
            return httpx.Response(422, content=msgspec.json.encode(problem), request=request)

    async def body() -> None:
        async with World() as world, gateway_of(world) as gateway:
            file.write_text("# Handbook\n\n" + "A sentence of it. " * 12_000)
            assert await imported(gateway, tmp_path) == (3, 0, 0, 0)
            known = await listed(gateway, tmp_path)
            file.write_text("# Handbook\n\nAll of it, shorter now.")
            async with gateway_of(world, Refusing(world.gateway.app)) as refusing:
                done = Done()
                with Steps() as steps:
                    await follow(refusing, tmp_path, steps, Options(), done, source=False)
            assert ([failure.path for failure in done.failures], done.deleted) == (["long.md"], 0)
            assert await listed(gateway, tmp_path) == known
            assert await imported(gateway, tmp_path) == (0, 1, 0, 0)
            assert (await listed(gateway, tmp_path)).keys() == {"long.md"}

    run(body)


def test_what_stays_more_confidential_than_its_file_says_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\nconfidentiality: confidential\n---\nThe tide.")
    (tmp_path / "b.md").write_text("The ebb.")

    async def body() -> None:
        async with World() as world, gateway_of(world) as gateway:
            for text, kept in (("The tide.", 1), ("---\nconfidentiality: confidential\n---\nThe tide.", 0)):
                done = Done()
                with Steps() as steps:
                    await follow(gateway, tmp_path, steps, Options(), done, source=False)
                assert done.kept == 0
                (tmp_path / "a.md").write_text(text)
                done = Done()
                with Steps() as steps:
                    await follow(gateway, tmp_path, steps, Options(), done, source=False)
                assert (done.changed, done.kept) == (1, kept)

    run(body)


def test_whose_item_was_raised_above_him_is_told_so_and_what_to_do(tmp_path: Path) -> None:
    """Whether the file changed or not; and no more than that it is out of reach."""
    (tmp_path / "one.md").write_text("The tide.")
    (tmp_path / "two.md").write_text("The ebb.")

    async def body() -> None:
        everything = Clearance.TOP_SECRET
        async with World() as world, gateway_of(world) as gateway:
            assert await imported(gateway, tmp_path) == (2, 0, 0, 0)
            item = (await listed(gateway, tmp_path))["one.md"]
            async with world.client("admin", name="root", clearance=everything) as root:
                said = (await root.get(f"/v1/knowledge/{item}")).json()["knowledge"]
                raised = await root.put(f"/v1/knowledge/{item}", json={**said, "confidentiality": "restricted"})
                assert raised.status_code == 200, raised.text
            for text in ("The tide.", "Another tide."):
                (tmp_path / "one.md").write_text(text)
                done = Done()
                with Steps() as steps:
                    await follow(gateway, tmp_path, steps, Options(), done, source=False)
                assert (done.new, done.changed, done.unchanged) == (0, 0, 1)
                ((place, reason),) = [(one.path, one.reason) for one in done.failures]
                assert place == "one.md"
                assert reason == f"{OUT_OF_REACH} [404]"
                assert "administrator" in reason
                assert "restricted" not in reason
                with pytest.raises(FailedError, match="1 of 2 documents were not imported"):
                    tell_failures(done)

    run(body)


def test_what_is_above_who_imports_is_named_and_the_rest_is_imported(tmp_path: Path) -> None:
    levels = ("internal", "restricted", "public")
    lines = (f'{{"title": "{level}", "text": "The tide.", "confidentiality": "{level}"}}' for level in levels)
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "b.md").write_text("---\nconfidentiality: top_secret\n---\nThe ebb.")
    (tmp_path / "c.md").write_text("The moon.")

    async def body() -> None:
        async with World() as world, gateway_of(world, roles=("cross_domain_user",)) as gateway:
            for new, unchanged in ((3, 0), (0, 3)):
                done = Done()
                with Steps() as steps:
                    await follow(gateway, tmp_path, steps, Options(concurrency=1), done, source=False)
                assert (done.new, done.unchanged) == (new, unchanged)
                assert sorted((one.path, one.reason) for one in done.failures) == [
                    ("a.jsonl#2", "you are cleared for confidential, not for restricted [403]"),
                    ("b.md", "you are cleared for confidential, not for top_secret [403]"),
                ]
                with pytest.raises(FailedError, match="2 of 5 documents were not imported"):
                    tell_failures(done)

    run(body)


def test_who_may_not_import_is_told_so_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The tide.")
    items = read_path(tmp_path, Defaults()).items

    async def body() -> None:
        async with World() as world, gateway_of(world, roles=("sophia_user",)) as gateway:
            with pytest.raises(GatewayError, match="this needs the permission cross_domain:collaborate"):
                await post_items(gateway, items, collection="here", concurrency=2)

    run(body)


def test_an_empty_folder_deletes_nothing_without_being_asked_for(tmp_path: Path) -> None:
    """It may be one that is not mounted."""
    (tmp_path / "a.md").write_text("The tide.")

    async def body() -> None:
        async with World() as world, gateway_of(world) as gateway:
            assert await imported(gateway, tmp_path) == (1, 0, 0, 0)
            (tmp_path / "a.md").unlink()
            with (
                Steps() as steps,
                pytest.raises(FailedError, match="nothing that is imported, so 1 item would go"),
            ):
                await follow(gateway, tmp_path, steps, Options(prune=True, yes=True), Done(), source=False)
            assert await imported(gateway, tmp_path) == (0, 0, 0, 1)

    run(body)
