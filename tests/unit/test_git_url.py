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

from contracts.domains import Clearance
from deploy.git_hosts import AllowedHosts
from deploy.packing import Packer
from deploy.source_folders import AllowedFolders
from runtime.errors import OutcomeError
from runtime.named_repositories import NamedRepositories, Naming, PackedRepository
from tests.git_server import GitServer, http_backend

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
            {f"app/busy{n}.py": f"def f(x):\n{grown}    return x\n", "app/a.py": f"def f(x):\n{grown}    return x\n"},
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


def hosts(server: GitServer, **more: Any) -> AllowedHosts:
    packer = Packer(read_s_max=more.pop("read_s_max", 120.0), bytes_max=more.pop("bytes_max", 10**7))
    given = {"label": Clearance.INTERNAL, "label_max": Clearance.INTERNAL} | more
    return AllowedHosts([server.place], packer, **given)


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
def test_of_gits_own_server_it_is_the_same(server: GitServer, till: Repo) -> None:
    server.answers["allowed"] = http_backend(GIT or "git", Path(till.path).parent.parent)
    by_address = read(hosts(server), f"{server.url}/allowed/till")
    assert by_address.content == read(hosts(server), f"{server.url}/team/till.git").content
    assert ("POST", "/allowed/till/git-upload-pack", "version=2") in [
        (how, path, headers.get("git_protocol")) for how, path, headers in server.asked
    ]


@pytest.mark.parametrize("ref", ["#fix/one", "#v1", "#refs/heads/fix/one", "#OLD", "#LAST"])
def test_a_branch_a_tag_or_a_commit_may_be_named(server: GitServer, till: Repo, ref: str) -> None:
    older = till[till[till.head()].parents[0]].parents[0]  # type: ignore[attr-defined]
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
