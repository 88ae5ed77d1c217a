"""A question may name a repository on the worker's machine, below what the operator allows and nowhere else."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from dulwich import porcelain
from msgspec.structs import replace

from actors.answering import code_team
from actors.artemis.teams import ARTEMIS_TEAMS
from actors.artemis.tools import TOOLS
from actors.conversation import conversation
from contracts import subjects
from contracts.conversation import Ask
from contracts.domains import Clearance, Domain
from contracts.model import FLOW
from contracts.subjects import ActorRef
from contracts.users import Permission
from deploy.packing import Packer
from deploy.source_folders import AllowedFolders
from runtime.errors import OutcomeError
from runtime.named_repositories import NamedRepositories, Naming, NoRepositories
from tests.kernel_world import OneHit, World

SESSION = ActorRef(Domain.ARTEMIS, "conversation", "s1")
WRITE: tuple[Permission, ...] = ("artemis:read", "artemis:write")
WHO = b"ann <ann@example.org>"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An allowed folder with a git repository of two commits in it, beside one that is not allowed."""
    till = tmp_path / "allowed" / "till"
    till.mkdir(parents=True)
    repository = porcelain.init(str(till))
    for text in ("def f(x):\n    return x\n", "def f(x):\n    if x:\n        return 1\n    return 2\n"):
        (till / "app.py").write_text(text)
        porcelain.add(repository, [str(till / "app.py")])
        porcelain.commit(repository, message=b"change", author=WHO, committer=WHO)
    repository.close()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "keys.py").write_text("x = 1\n")
    return tmp_path / "allowed"


def folders(root: Path, label: Clearance = Clearance.CONFIDENTIAL, **limits: Any) -> AllowedFolders:
    packer = Packer(read_s_max=limits.get("read_s_max", 120.0), bytes_max=limits.get("bytes_max", 10**7))
    return AllowedFolders([str(root)], packer, label=label)


def read(allowed: NamedRepositories, path: str, clearance: Clearance = Clearance.RESTRICTED) -> str:
    return asyncio.run(allowed.read(Naming(place=path, clearance=clearance, label=clearance))).text


def test_a_folder_below_a_root_is_read(root: Path) -> None:
    assert read(folders(root), str(root / "till")) == "Source code of till: 1 files (1 Python).\napp.py"


def test_nothing_else_is_read_and_all_is_refused_alike(root: Path) -> None:
    (root / "way out").symlink_to(root.parent / "secret")
    outside = [
        root.parent / "secret",
        root / ".." / "secret",
        root / "way out",
        root / "none",
        root / "till" / "app.py",
    ]
    refused = []
    for path in [
        *map(str, outside),
        "till",
        "/",
        "~",
        f"{root}\0/till",
        f"file://{root}/till",
        "ssh://x/y",
        "https://x/y",
    ]:
        with pytest.raises(OutcomeError) as caught:
            read(folders(root), path)
        refused.append(str(caught.value).removeprefix(path))
    with pytest.raises(OutcomeError) as caught:
        read(folders(root), str(root / "till"), Clearance.INTERNAL)
    refused.append(str(caught.value).removeprefix(str(root / "till")))
    assert len(set(refused)) == 1
    for none in (AllowedFolders([], Packer(read_s_max=9, bytes_max=9), label=Clearance.PUBLIC), NoRepositories()):
        with pytest.raises(OutcomeError, match="is not read"):
            read(none, str(root / "till"))


def test_links_inside_are_not_followed_and_too_much_is_refused(root: Path) -> None:
    (root / "till" / "keys.py").symlink_to(root.parent / "secret" / "keys.py")
    (root / "till" / "more").symlink_to(root.parent / "secret")
    assert "keys.py" not in read(folders(root), str(root / "till"))
    with pytest.raises(OutcomeError, match="packed it has more than 9 bytes"):
        read(folders(root, bytes_max=9), str(root / "till"))
    with pytest.raises(OutcomeError, match=r"longer than 0.001 s"):
        read(folders(root, read_s_max=0.001), str(root / "till"))
    (root / "empty").mkdir()
    with pytest.raises(OutcomeError, match="no source files"):
        read(folders(root), str(root / "empty"))


class Nothing(OneHit):
    """Retrieval that finds nothing."""

    async def search(self, _query: object) -> list[Any]:
        return []


def asked(
    allowed: NamedRepositories, path: str, grants: tuple[Permission, ...] = WRITE
) -> tuple[dict[str, Any], list[Any]]:
    """The session's last event, and its journal."""

    async def body() -> tuple[dict[str, Any], list[Any]]:
        world = World(conversation, retrieval=Nothing(Clearance.PUBLIC))
        world.outside = replace(world.outside, repositories=allowed, tools=TOOLS)
        await world.start(Domain.ARTEMIS)
        ask = Ask(
            turn="t1",
            by="ann",
            text="Which files of this repository need attention first, and why?",
            context_type="technical",
            collaborate=False,
            grants=grants,
            repository=path,
        )
        await world.send(ask, SESSION)
        while (
            len(found := await world.log.read(subjects.log(SESSION))) < 3
        ):  # a real tool may take longer than `events` waits
            await world.log.wait(subjects.log(SESSION), after=found[-1].sequence if found else 0, timeout_s=5)
        journal = await world.log.read(subjects.run(SESSION, found[1].record.envelope.id))
        await world.stop()
        return json.loads(found[2].record.body), [one.record for one in journal]

    return asyncio.run(asyncio.wait_for(body(), 60))


def test_the_repository_is_kept_before_the_tool_runs_on_it_and_its_label_counts(root: Path) -> None:
    answered, journal = asked(folders(root), str(root / "till"))
    assert answered["type"] == "conversation.answered.v1"
    assert answered["team"] == "code_analysis"
    assert answered["label"] == "confidential"
    assert [one["title"] for one in answered["evidence"]] == [f"Repository {root / 'till'}"]
    effects = [json.loads(one.body) for one in journal]
    names = [one["name"] for one in effects]
    assert names.index("repository") < names.index("tool code_analysis")
    findings = effects[names.index("tool code_analysis")]["result"]["findings"]
    assert findings[0].startswith(
        "1 file of the code needs attention first, by changes × complexity over the last 2 commits"
    )
    assert "1. app.py: changed in 2 commits" in findings[0]


@pytest.mark.parametrize(
    ("question", "team"),
    [
        ("Which files of this repository need attention first, and why?", "code_analysis"),
        ("What are the security problems of this code?", "security"),
        ("What makes this code slow?", "performance_analysis"),
        ("Tell me about it.", "code_analysis"),
    ],
)
def test_the_question_goes_to_the_team_that_it_speaks_of(question: str, team: str) -> None:
    assert code_team(question, ARTEMIS_TEAMS, FLOW).name == team


def test_a_repository_that_may_not_be_read_fails_the_question(root: Path) -> None:
    cases = ((NoRepositories(), WRITE, "input"), (folders(root), ("artemis:read",), "permission"))
    for allowed, grants, code in cases:
        failed, journal = asked(allowed, str(root / "till"), grants)  # type: ignore[arg-type]
        assert failed["type"] == "conversation.failed.v1"
        assert "repository" in failed["reason"]
        assert failed["code"] == code
        assert not any("tool" in json.loads(one.body)["name"] for one in journal)
