"""Importing: what files become, that a repeat is the same request, and that one bad item stops nothing."""

import asyncio
import io
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import pytest

from actors.artemis.tools.analysers.advisories import OSV
from contracts.curating import ImportedItem, ImportedItems, ImportItem
from contracts.http import Problem
from contracts.knowledge import digest
from deploy.client import Gateway, GatewayError
from deploy.commands.knowledge_import import Done, tell_failures
from deploy.commands.options import FailedError
from deploy.folder_import import read_path, read_source
from deploy.importing import (
    Imported,
    delete_items,
    imported_before,
    planned,
    post_items,
    until_searchable,
    without_those_of,
)
from deploy.items import Defaults, Failure, Item
from deploy.progress import Steps
from runtime.errors import InvalidError

Handle = Callable[[httpx.Request], httpx.Response]


def posted(handle: Handle, wanted: list[Item]) -> Imported:
    async def scenario() -> Imported:
        async with Gateway("http://gateway", lambda: "", transport=httpx.MockTransport(handle)) as gateway:
            return await post_items(gateway, wanted, collection="here", concurrency=3)

    return asyncio.run(scenario())


@pytest.fixture
def three(tmp_path: Path) -> list[Item]:
    file = tmp_path / "three.jsonl"
    file.write_text("\n".join(f'{{"title": "T{number}", "text": "text {number}"}}' for number in range(3)))
    return list(read_path(file, Defaults()).items)


def problem(status: int, permission: str = "", **headers: str) -> httpx.Response:
    said = Problem(type="urn:x", title="T", status=status, detail=f"problem {status}", permission=permission)
    body = msgspec.json.encode(said)
    return httpx.Response(status, content=body, headers=headers)


def test_each_place_is_sent_once_and_a_later_import_is_another_request(three: list[Item]) -> None:
    keys: list[str] = []
    places: list[tuple[str, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        sent = msgspec.json.decode(request.content, type=ImportItem)
        places.append((sent.collection, sent.key))
        return httpx.Response(201, json={}, headers={"Diarchy-Correlation-Id": keys[-1]})

    first, second = posted(handle, three), posted(handle, three)
    assert sorted(places) == sorted(2 * [("here", f"three.jsonl#{number}") for number in (1, 2, 3)])
    assert len({*first.runs, *second.runs}) == len(set(keys)) == 6


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (problem(422), "problem 422 [422]"),
        (problem(403), "problem 403 [403]"),  # its level
        (problem(403, "sophia:read"), "problem 403 (needs sophia:read) [403]"),  # its partition
    ],
)
def test_one_bad_item_is_reported_and_the_others_go_through(
    three: list[Item], answer: httpx.Response, reason: str
) -> None:
    result = posted(lambda request: answer if b"T1" in request.content else httpx.Response(201, json={}), three)
    assert len(result.runs) == 2
    assert [(failure.path, failure.reason) for failure in result.failures] == [("three.jsonl#2", reason)]


def test_a_full_gateway_is_asked_again_for_the_same(three: list[Item]) -> None:
    refused: list[str] = []
    taken: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        key = request.headers["Idempotency-Key"]
        if key not in refused:
            refused.append(key)
            return problem(429, **{"Retry-After": "0"})
        taken.append(key)
        return httpx.Response(201, json={})

    assert len(posted(handle, three).runs) == 3
    assert sorted(taken) == sorted(refused)


def test_who_may_not_import_is_told_once(three: list[Item]) -> None:
    for answer in (problem(403, "cross_domain:collaborate"), problem(401)):
        with pytest.raises(GatewayError, match=f"problem {answer.status_code}"):
            posted(lambda _, answer=answer: answer, three)  # type: ignore[misc]


def test_files_go_before_the_item_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("name,churned\na,1\nb,0\n")
    paths: list[tuple[str, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        paths.append((request.url.path, request.headers["Content-Type"]))
        return httpx.Response(201, json={})

    posted(handle, list(read_path(tmp_path / "table.csv", Defaults()).items))
    assert paths == [("/v1/files", "text/csv"), ("/v1/knowledge/imports", "application/json")]


def test_searchable_is_what_the_journals_say() -> None:
    looks: list[list[str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        runs = msgspec.json.decode(request.content)["runs"]
        looks.append(runs)
        return httpx.Response(200, json={"runs": runs[: 1 + len(runs) // 2]})

    async def scenario() -> tuple[int, list[int]]:
        counts: list[int] = []
        async with Gateway("http://gateway", lambda: "", transport=httpx.MockTransport(handle)) as gateway:
            return await until_searchable(gateway, [f"r{number}" for number in range(10)], counts.append), counts

    missing, counts = asyncio.run(scenario())
    assert (missing, counts[-1]) == (0, 10)
    assert list(map(len, looks)) == [10, 4, 1]


def test_a_bad_line_is_named_and_other_kinds_are_refused(tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"title": "a", "text": "a"}\n{nonsense\n\n{"title": "b"}\n')
    found = read_path(lines, Defaults())
    assert [item.key for item in found.items] == ["lines.jsonl#1"]
    assert [failure.line for failure in found.failures] == [2, 4]
    for name, content, reason in (
        ("a.png", b"\x89PNG", "files of kind .png are not read"),
        ("a.txt", "größe".encode("latin-1"), "is not UTF-8 text"),
        ("b.txt", b"a\0b", "not text but binary"),
    ):
        (tmp_path / name).write_bytes(content)
        one = read_path(tmp_path / name, Defaults())
        assert not one.items
        assert reason in one.failures[0].reason


NOW = datetime(2026, 11, 21, tzinfo=UTC)


def there(item: Item, **changes: str) -> ImportedItem:
    known = ImportedItem(id=f"id of {item.key}", key=item.key, digest=digest(item.knowledge), updated=NOW)
    return msgspec.structs.replace(known, **changes)


def test_what_is_new_changed_unchanged_expired_stale_and_gone(three: list[Item]) -> None:
    first, second, third = three
    past = msgspec.structs.replace(third, knowledge=msgspec.structs.replace(third.knowledge, expires=NOW))
    plan = planned([first, second, past], [there(first), there(second, digest="other")], NOW)
    known = msgspec.structs.replace(second, id=f"id of {second.key}")
    assert (plan.new, plan.changed, plan.unchanged) == ((), (known,), 1)
    assert [failure.path for failure in plan.expired] == [third.key]
    assert planned(three, [], NOW).new == tuple(three)
    before = [
        there(first, key=key)
        for key in ("long.md#part-2", "gone.md", "bad.jsonl#1", "bad/a.md", "bad.html", "badly.md")
    ]
    long = msgspec.structs.replace(first, key="long.md")
    plan = planned([long], before, NOW, unread=["bad.jsonl", "bad", "bad.html"])
    assert [one.key for one in plan.stale] == ["long.md#part-2"]
    assert [one.key for one in plan.gone] == ["gone.md", "badly.md"]


def test_parts_of_a_document_that_was_refused_stay(three: list[Item]) -> None:
    stale = [there(three[0], key=key) for key in ("a.md#part-3", "b.md#part-2", "c.jsonl#1#part-2", "d.md#part-2")]
    failed = [Failure(path=key, reason="429") for key in ("a.md#part-2", "b.md", "c.jsonl#1", "e.md")]
    assert [one.key for one in without_those_of(failed, stale)] == ["d.md#part-2"]


def test_what_was_imported_before_is_asked_for_in_pages_and_what_is_deleted_may_be_gone(three: list[Item]) -> None:
    deleted: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            deleted.append(request.url.path.rpartition("/")[2])
            return problem(404 if len(deleted) == 1 else 409) if len(deleted) < 3 else httpx.Response(204)
        after = int(request.url.params.get("after", 0))
        page = ImportedItems(items=(there(three[after]),), next=str(after + 1) if after < 2 else None)
        return httpx.Response(200, content=msgspec.json.encode(page))

    async def scenario() -> None:
        async with Gateway("http://gateway", lambda: "", transport=httpx.MockTransport(handle)) as gateway:
            before = await imported_before(gateway, "here")
            assert [one.key for one in before] == [item.key for item in three]
            failures = await delete_items(gateway, before, concurrency=1)
            assert [failure.path for failure in failures] == [three[1].key]
            assert len(deleted) == 3

    asyncio.run(scenario())


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


def test_a_table_and_a_profile_are_handed_over_as_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("customer,churn\na,yes\n")
    (tmp_path / "slow.folded").write_text("main;work 100\n")
    held = [read_source(tmp_path / name, Defaults()).knowledge.attachment for name in ("customers.csv", "slow.folded")]
    assert [one.media_type for one in held if one] == ["text/csv", "text/x-collapsed-stacks"]


def test_a_database_of_advisories_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "PyPI.osv.json").write_text("[]")
    item = read_source(tmp_path / "PyPI.osv.json", Defaults())
    assert item.knowledge.title == "Advisory database PyPI"
    assert item.knowledge.attachment is not None
    assert item.knowledge.attachment.media_type == OSV


def test_no_name_of_a_file_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    failures = [Failure(path="\x1b[2Jred\nname.md", reason="\x1b[31mbad")]
    with pytest.raises(FailedError):
        tell_failures(Done(failures=failures))
    with Steps() as steps:
        steps.say("front matter left out: \x1b[31m")
    assert capsys.readouterr().err == "[2Jred name.md: [31mbad\nfront matter left out: [31m\n"


def test_that_a_step_waits_is_noted_until_it_goes_on() -> None:
    with Steps() as steps:
        step = steps.begin("Importing", 3)

        def noted() -> str:
            return str(steps._progress.tasks[step].fields["note"])

        steps.waits(step, 3_600, "429")
        steps.advance(step, 1)  # Another one's turn came, while most wait.
        assert noted() == "429; again in 3600 s"
        steps.waits(step, 0, "429")
        steps.advance(step, 2)
        assert noted() == ""
        steps.advance(step, 2, note="begun")
        steps.advance(step, 3)
        assert noted() == "begun"  # Only what was said of waiting is taken back.
