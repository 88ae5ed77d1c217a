"""Importing: what files become, that a repeat is the same request, and that one bad item stops nothing."""

import asyncio
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from contracts.http import Problem
from deploy.client import Gateway, GatewayError
from deploy.folder_import import Defaults, Item
from deploy.importing import Imported, post_items, read_path, read_source, until_searchable
from runtime.errors import InvalidError

Handle = Callable[[httpx.Request], httpx.Response]


def posted(handle: Handle, wanted: list[Item]) -> Imported:
    async def scenario() -> Imported:
        async with Gateway("http://gateway", lambda: "", transport=httpx.MockTransport(handle)) as gateway:
            return await post_items(gateway, wanted, concurrency=3)

    return asyncio.run(scenario())


@pytest.fixture
def three(tmp_path: Path) -> list[Item]:
    file = tmp_path / "three.jsonl"
    file.write_text("\n".join(f'{{"title": "T{number}", "text": "text {number}"}}' for number in range(3)))
    return list(read_path(file, Defaults()).items)


def problem(status: int, **headers: str) -> httpx.Response:
    body = msgspec.json.encode(Problem(type="urn:x", title="T", status=status, detail=f"problem {status}"))
    return httpx.Response(status, content=body, headers=headers)


def test_the_same_content_is_the_same_request(three: list[Item]) -> None:
    keys: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        return httpx.Response(201, json={}, headers={"Diarchy-Correlation-Id": request.headers["Idempotency-Key"]})

    first = posted(handle, three)
    second = posted(handle, three)
    assert sorted(first.runs) == sorted(second.runs)
    assert len(set(keys)) == 3


def test_one_bad_item_is_reported_and_the_others_go_through(three: list[Item]) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return problem(422) if b"T1" in request.content else httpx.Response(201, json={})

    result = posted(handle, three)
    assert len(result.runs) == 2
    assert [(failure.path, failure.reason) for failure in result.failures] == [("three.jsonl#2", "problem 422 [422]")]


def test_a_full_gateway_is_waited_for(three: list[Item]) -> None:
    refused: set[str] = set()

    def handle(request: httpx.Request) -> httpx.Response:
        key = request.headers["Idempotency-Key"]
        if key not in refused:
            refused.add(key)
            return problem(429, **{"Retry-After": "0"})
        return httpx.Response(201, json={})

    assert len(posted(handle, three).runs) == 3


def test_who_may_not_import_is_told_once(three: list[Item]) -> None:
    with pytest.raises(GatewayError, match="problem 403"):
        posted(lambda _: problem(403), three)


def test_files_go_before_the_item_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("name,churned\na,1\nb,0\n")
    paths: list[tuple[str, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        paths.append((request.url.path, request.headers["Content-Type"]))
        return httpx.Response(201, json={})

    posted(handle, list(read_path(tmp_path / "table.csv", Defaults()).items))
    assert paths == [("/v1/files", "text/csv"), ("/v1/knowledge", "application/json")]


def test_searchable_is_what_the_journal_says() -> None:
    looks: dict[str, int] = {}

    def handle(request: httpx.Request) -> httpx.Response:
        run = request.url.path.rpartition("/")[2]
        looks[run] = looks.get(run, 0) + 1
        if looks[run] == 1:
            return problem(404)
        event = {
            **dict.fromkeys(("kind", "actor", "id", "type", "correlation", "principal"), "x"),
            **{"domain": "ceo", "sequence": 1, "time": "2026-01-31T00:00:00Z", "label": "internal", "effect": "index"},
        }
        return httpx.Response(200, json={"correlation_id": run, "events": [event]})

    async def scenario() -> tuple[int, list[int]]:
        counts: list[int] = []
        async with Gateway("http://gateway", lambda: "", transport=httpx.MockTransport(handle)) as gateway:
            return await until_searchable(gateway, [f"r{number}" for number in range(10)], counts.append), counts

    missing, counts = asyncio.run(scenario())
    assert (missing, counts[-1]) == (0, 10)
    assert set(looks.values()) == {2}


def test_a_bad_line_is_named_and_other_kinds_are_refused(tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"title": "a", "text": "a"}\n{nonsense\n\n{"title": "b"}\n')
    found = read_path(lines, Defaults())
    assert [item.key for item in found.items] == ["lines.jsonl#1"]
    assert [failure.line for failure in found.failures] == [2, 4]
    picture = tmp_path / "a.png"
    picture.write_bytes(b"\x89PNG")
    with pytest.raises(InvalidError, match=r"files of kind \.png are not read"):
        read_path(picture, Defaults())
    latin = tmp_path / "a.txt"
    latin.write_bytes("größe".encode("latin-1"))
    with pytest.raises(InvalidError, match="is not UTF-8 text"):
        read_path(latin, Defaults())


def test_a_source_tree_is_a_folder_or_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "tool"
    folder.mkdir()
    (folder / "main.py").write_text("print('hello')\n")
    item = read_source(folder, Defaults())
    assert item.content == read_source(folder, Defaults()).content
    assert item.knowledge.partition == "code_knowledge"
    packed = tmp_path / "tool.tar"
    with tarfile.open(packed, "w") as archive:
        archive.addfile(tarfile.TarInfo("main.py"), io.BytesIO())
    held = read_source(packed, Defaults()).knowledge.attachment
    assert held is not None
    assert held.media_type == "application/gzip"
    with pytest.raises(InvalidError, match="neither a folder nor a zip"):
        read_source(folder / "main.py", Defaults())
