"""A question may name a git repository by its address: it is what the same repository is by its path."""

import asyncio
import io
import json
import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dulwich import porcelain
from dulwich.objects import Blob, Commit, ObjectID, ShaFile, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo
from msgspec import Struct
from msgspec.structs import replace

from actors.artemis.tools import TOOLS
from actors.conversation import conversation
from contracts import subjects
from contracts.conversation import Ask
from contracts.domains import Clearance, Domain
from deploy.git_hosts import AllowedHosts
from deploy.packing import Packer
from deploy.source_folders import AllowedFolders
from runtime.errors import OutcomeError
from runtime.named_repositories import NamedRepositories, Naming, PackedRepository
from runtime.ports import Tool
from runtime.tool_runner import Blob as Fetch
from runtime.tool_threads import ToolThreads
from tests.git_server import GitServer, certified, http_backend
from tests.kernel_world import World
from tests.unit.test_named_repository import SESSION, WRITE, Nothing, asked

GIT = shutil.which("git")
WHO = b"ann <ann@example.org>"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def till(tmp_path: Path) -> Repo:
    """A repository of seven commits with a branch, a tag, a link, and what is never packed."""
    folder = tmp_path / "allowed" / "till"
    folder.mkdir(parents=True)
    repository = porcelain.init(str(folder))

    def commit(message: bytes, files: dict[str, str]) -> None:
        write(folder, files)
        porcelain.add(repository, [str(folder / name) for name in files])
        porcelain.commit(repository, message=message, author=WHO, committer=WHO)

    commit(b"1", {"app/a.py": "def f(x):\n    return x\n", ".gitignore": "made/\n", "README.md": "# Till\n"})
    for n in range(1, 6):
        grown = "".join(f"    if x > {one}:\n        x -= 1\n" for one in range(n))
        commit(
            b"more",
            {f"app/busy{n}.py": f"def f(x):\n{grown}    return x\n", "app/a.py": f"def a(x):\n{grown}    return x\n"},
        )
    (folder / "app" / "link.py").symlink_to("/etc/passwd")
    commit(b"odd", {".env": "KEY=1\n", "vendor/x.py": "x = 1\n", "deep/er/b.sh": "echo\n", "data.bin": "\0"})
    porcelain.add(repository, [str(folder / "app" / "link.py")])
    porcelain.commit(repository, message=b"link", author=WHO, committer=WHO)
    return repository


@pytest.fixture
def server(till: Repo) -> Iterator[GitServer]:
    with GitServer({"/team/till.git": till}) as server:
        yield server


def hosts(server: GitServer, *names: str, **more: Any) -> AllowedHosts:
    packer = Packer(read_s_max=more.pop("read_s_max", 120.0), bytes_max=more.pop("bytes_max", 10**7))
    given = {"label": Clearance.INTERNAL, "label_max": Clearance.INTERNAL} | more
    return AllowedHosts(names or [server.place], packer, **given)


def read(allowed: NamedRepositories, place: str) -> PackedRepository:
    naming = Naming(place=place, clearance=Clearance.RESTRICTED, label=Clearance.INTERNAL)
    return asyncio.run(allowed.read(naming))


def history(content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return dict(json.loads(archive.read(".diarchy-history.json")))


def test_by_its_address_a_repository_is_what_it_is_by_its_path(server: GitServer, till: Repo) -> None:
    folders = AllowedFolders([till.path], Packer(read_s_max=120, bytes_max=10**7), label=Clearance.INTERNAL)
    by_path, by_address = read(folders, till.path), read(hosts(server), f"{server.url}/team/till.git")
    with zipfile.ZipFile(io.BytesIO(by_address.content)) as archive:
        assert "app/busy5.py" in archive.namelist()
        assert json.loads(archive.read(".diarchy-history.json"))["files"]["app/a.py"]["commits"] == 6
    assert by_address.content == by_path.content
    assert by_address.label == by_path.label == Clearance.INTERNAL
    assert by_address.text.startswith(f"Source code of till at commit {till.head().decode()[:12]}: 8 files")


@pytest.mark.skipif(GIT is None, reason="git's own server is part of the git program, which is not here")
def test_of_gits_own_server_it_is_the_same_and_no_cookie_is_kept(server: GitServer, till: Repo) -> None:
    server.answers["allowed"] = http_backend(GIT or "git", Path(till.path).parent.parent)
    by_address = read(hosts(server), f"{server.url}/allowed/till")
    assert by_address.content == read(hosts(server), f"{server.url}/team/till.git").content
    assert ("POST", "/allowed/till/git-upload-pack", "version=2") in [
        (how, path, headers.get("git_protocol")) for how, path, headers in server.asked
    ]
    assert not any("cookie" in headers for _, _, headers in server.asked)


@pytest.mark.parametrize("ref", ["#fix/one", "#v1", "#refs/heads/fix/one", "#OLD", "#LAST"])
def test_a_branch_a_tag_or_a_commit_may_be_named(server: GitServer, till: Repo, ref: str) -> None:
    older = till[till[till.head()].parents[0]].parents[0]  # type: ignore[attr-defined]  # an object of any kind
    porcelain.tag_create(till, b"v1", objectish=older, annotated=True, message=b"one", author=WHO)
    till.refs[Ref(b"refs/heads/fix/one")] = older
    named = {"#OLD": older, "#LAST": till.head()}.get(ref)
    read_at = read(hosts(server), f"{server.url}/team/till.git{'#' + named.decode() if named else ref}")
    at = till.head() if ref == "#LAST" else older
    assert f"at commit {at.decode()[:12]}" in read_at.text


@pytest.mark.parametrize("ref", ["none", "v", "0" * 39, "refs/heads/none"])
def test_what_is_no_branch_tag_or_commit_is_told(server: GitServer, ref: str) -> None:
    with pytest.raises(OutcomeError, match="it has no branch or tag") as caught:
        read(hosts(server), f"{server.url}/team/till.git#{ref}")
    assert caught.value.code == "input"


@pytest.mark.skipif(GIT is None, reason="git's own server is part of the git program, which is not here")
def test_a_commit_that_is_not_there_is_told(server: GitServer, till: Repo) -> None:
    server.answers["allowed"] = http_backend(GIT or "git", Path(till.path).parent.parent)
    with pytest.raises(OutcomeError, match="it has no such commit") as caught:
        read(hosts(server), f"{server.url}/allowed/till#{'f' * 40}")
    assert caught.value.code == "input"


def test_of_a_long_history_the_last_thousand_commits_count_as_by_its_path(tmp_path: Path) -> None:
    repository = Repo.init(str(tmp_path / "long"), mkdir=True)
    parents, objects = list[ObjectID](), list[tuple[ShaFile, None]]()
    for n in range(1_030):
        blob = Blob.from_string(b"x = %d\n" % n)
        tree = Tree()
        tree.add(b"a.py" if n % 2 else b"b.py", stat.S_IFREG | 0o644, blob.id)
        tip = Commit()
        tip.tree, tip.parents, tip.message = tree.id, parents, b"m"
        tip.author = tip.committer = WHO
        tip.author_time = tip.commit_time = 1_700_000_000 + n
        tip.author_timezone = tip.commit_timezone = 0
        parents = [tip.id]
        objects += [(blob, None), (tree, None), (tip, None)]
    repository.object_store.add_objects(objects)
    repository.refs[Ref(b"refs/heads/master")] = parents[0]
    porcelain.reset(repository, "hard")
    folders = AllowedFolders([repository.path], Packer(read_s_max=120, bytes_max=10**7), label=Clearance.INTERNAL)
    with GitServer({"/long": repository}) as server:
        content = read(hosts(server), f"{server.url}/long").content
    assert content == read(folders, repository.path).content
    assert history(content)["commits"] == 1_000


def test_over_https_a_host_is_who_its_certificate_says(
    till: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, tls = certified(tmp_path, "git.test")

    async def resolver(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    with GitServer({"/till": till}, tls=tls) as server:
        port = server.place.rpartition(":")[2]
        allowed = hosts(server, f"git.test:{port}", f"other.test:{port}", resolver=resolver)
        with pytest.raises(OutcomeError, match="CERTIFICATE_VERIFY_FAILED"):
            read(allowed, f"https://git.test:{port}/till")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert "8 files" in read(allowed, f"https://git.test:{port}/till").text
        with pytest.raises(OutcomeError, match="CERTIFICATE_VERIFY_FAILED"):
            read(allowed, f"https://other.test:{port}/till")
        assert {headers["host"] for _, _, headers in server.asked} == {f"git.test:{port}"}


def tool_result(journal: list[Any]) -> dict[str, Any]:
    effects = [json.loads(one.body) for one in journal]
    return dict(next(one["result"] for one in effects if one["name"] == "tool code_analysis"))


def test_the_answer_has_the_figures_of_the_same_repository_by_its_path(server: GitServer, till: Repo) -> None:
    folders = AllowedFolders([till.path], Packer(read_s_max=120, bytes_max=10**7), label=Clearance.INTERNAL)
    by_path, path_journal = asked(folders, till.path)
    by_address, journal = asked(hosts(server), f"{server.url}/team/till.git")
    assert by_address["type"] == by_path["type"] == "conversation.answered.v1"
    assert (by_address["team"], by_address["label"]) == ("code_analysis", "internal")
    assert [one["title"] for one in by_address["evidence"]] == [f"Repository {server.url}/team/till.git"]
    result = tool_result(journal)
    assert result == tool_result(path_journal)
    assert result["findings"][0].startswith(
        "5 files of the code need attention first, by changes × complexity over the last 8 commits"
    )
    assert "1. app/a.py: changed in 6 commits" in result["findings"][0]


class DiesInTheFirst(ToolThreads):
    """The first tool never ends; `begun` says that it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.calls = 0

    async def run(self, tool: Tool, arguments: Struct, blob: Fetch, s_max: float) -> Struct:
        self.calls += 1
        if self.calls == 1:
            self.begun.set()
            await asyncio.Event().wait()
        return await super().run(tool, arguments, blob, s_max)


def test_a_worker_that_ends_after_the_fetch_does_not_fetch_again(server: GitServer) -> None:
    async def body() -> tuple[int, int, dict[str, Any]]:
        world, runner = World(conversation, retrieval=Nothing(Clearance.PUBLIC)), DiesInTheFirst()
        world.outside = replace(world.outside, repositories=hosts(server), tools=TOOLS, tool_runner=runner)
        await world.start(Domain.ARTEMIS)
        question = Ask(
            turn="t1",
            by="ann",
            text="Which files of this repository need attention first, and why?",
            context_type="technical",
            collaborate=False,
            grants=WRITE,
            repository=f"{server.url}/team/till.git",
        )
        await world.send(question, SESSION)
        await runner.begun.wait()
        before = len(server.asked)
        await world.stop()
        await world.start(Domain.ARTEMIS)
        log = subjects.log(SESSION)
        while len(found := await world.log.read(log)) < 3:
            await world.log.wait(log, after=found[-1].sequence, timeout_s=5)
        await world.stop()
        return before, runner.calls, json.loads(found[2].record.body)

    before, calls, answered = asyncio.run(asyncio.wait_for(body(), 60))
    assert answered["type"] == "conversation.answered.v1"
    assert calls == 2
    assert len(server.asked) == before == 2  # its refs, and its pack
