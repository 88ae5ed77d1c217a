"""Questions about code over HTTP on the real stack: what was planted in an archive is told, a hostile one harms nothing."""

import json
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from dulwich import porcelain
from dulwich.repo import BaseRepo

from actors.artemis.tools.analysers.advisories import OSV as OSV_TYPE
from tests.acceptance.test_main_job import learn
from tests.archives import special, zipped
from tests.git_server import GitServer
from tests.stack import Stack, ok
from tests.unit.test_code_analysis import BOMB
from tests.unit.test_security_scan import KEY, OSV, PASSWORD, PLANTED

ATTENTION = "Which files of this repository need attention first, and why?"
SECURITY = "What are the security problems of this code?"
SECRETS = "Are there secrets in the source code of the till?"
BUSY = {
    f"app/busy{n}.py": f"def busy{n}(x, y):\n" + "    if x > y:\n        x -= 1\n" * (60 - 10 * n) + "    return x\n"
    for n in range(1, 5)
}
FIRST_FIVE = {"app/bomb.py": 451, "app/busy1.py": 51, "app/busy2.py": 41, "app/busy3.py": 31, "app/busy4.py": 21}
"""The files in the order in which they want attention, with their complexity."""


def store(client: httpx.Client, title: str, data: bytes, media_type: str) -> str:
    """A stored file with its item, which is found when this returns; its id."""
    put = ok(client.post("/v1/files", content=data, headers={"Content-Type": media_type}))
    item = {
        "title": title,
        "content": title,
        "category": "operational_metrics",
        "confidentiality": "internal",
        "partition": "code_knowledge",
        "attachment": {"digest": put["digest"], "media_type": media_type, "name": title, "size_bytes": len(data)},
    }
    return learn(client, item)


def ask(client: httpx.Client, question: str, **more: object) -> httpx.Response:
    body = {"question": question, "collaborate": False, **more}
    return client.post("/v1/artemis/ask", json=body, headers={"Prefer": "wait=100"}, timeout=150)


def answered(client: httpx.Client, question: str, team: str = "") -> dict[str, Any]:
    turn = ok(ask(client, question, team=team) if team else ask(client, question))
    assert turn["status"] == "answered", turn
    return dict(turn["answer"])


@pytest.fixture(scope="module")
def answers(stack: Stack) -> dict[str, dict[str, Any]]:
    """Both answers on the planted archive; then, with a hostile archive as the nearest, one on that."""
    with stack.client() as client:
        store(client, "Advisory database", json.dumps([OSV]).encode(), OSV_TYPE)
        store(client, "Source code of the till", zipped(PLANTED | BUSY | {"app/bomb.py": BOMB}), "application/zip")
        found = {
            ATTENTION: answered(client, ATTENTION, "code_analysis"),
            SECURITY: answered(client, SECURITY, "security"),
        }
        store(client, "Zebra security code", special(tarfile.SYMTYPE, "zebra.py"), "application/zip")
        zebra = answered(client, "What are the security problems of the zebra code?", "security")
        return found | {"zebra": zebra, SECRETS: answered(client, SECRETS)}


def test_the_files_that_want_attention_are_told_with_their_figures(answers: dict[str, dict[str, Any]]) -> None:
    answer = answers[ATTENTION]
    for place, (path, complexity) in enumerate(FIRST_FIVE.items(), start=1):
        assert f"{place}. {path}: complexity {complexity} in 1 function" in answer["content"]


def test_the_planted_weaknesses_are_told_and_no_secret(answers: dict[str, dict[str, Any]]) -> None:
    answer = answers[SECURITY]
    for told in (
        "app/config.py:1 (secret: AWS Access Key)",
        "app/db.py:2 (B608 hardcoded_sql_expressions)",
        "leaky-requests 2.19.0 has a known weakness (CVE-2026-0001)",
    ):
        assert told in answer["content"]
    assert KEY not in json.dumps(answers)
    assert PASSWORD not in json.dumps(answers)


def test_a_hostile_archive_is_told_and_the_rest_of_it_is_read(answers: dict[str, dict[str, Any]]) -> None:
    content = answers["zebra"]["content"]
    assert "Hostile archive: 1 × link, such as zebra.py (a symbolic link to /etc/passwd)." in content
    assert "0 possible security problems outside tests in the 1 files of the code" in content


def test_a_repository_that_the_question_names_is_read_below_the_allowed_folder_only(stack: Stack) -> None:
    repository = stack.folder / "repositories" / "till"
    (repository / "app").mkdir(parents=True)
    (repository / "app" / "bomb.py").write_text(BOMB)
    with stack.client() as client:
        turn = ok(ask(client, ATTENTION, repository=str(repository)))
        assert "1. app/bomb.py: complexity 451 in 1 function" in turn["answer"]["content"]
        refused = ok(ask(client, ATTENTION, repository=str(stack.folder)), 422)
        assert "repositories.roots" in refused["detail"]


def test_a_repository_is_fetched_by_its_address_from_the_allowed_host_only(
    stack: Stack, git_server: GitServer, repositories: dict[str, BaseRepo], tmp_path: Path
) -> None:
    (tmp_path / "bomb.py").write_text(BOMB)
    repositories["/team/till.git"] = repository = porcelain.init(str(tmp_path))
    porcelain.add(repository, [str(tmp_path / "bomb.py")])
    porcelain.commit(repository, message=b"one", author=b"ann <ann@example.org>", committer=b"ann <ann@example.org>")
    url = f"{git_server.url}/team/till.git"
    with stack.client() as client:
        turn = ok(ask(client, ATTENTION, repository=url, confidentiality="internal"))
        assert "1. bomb.py: changed in 1 commit" in turn["answer"]["content"]
        told = ok(ask(client, ATTENTION, repository=url), 422)
        assert "repositories.label_max" in told["detail"]
        refused = ok(ask(client, ATTENTION, repository="https://git.example/x", confidentiality="internal"), 422)
        assert "repositories.hosts" in refused["detail"]
        secret = ask(client, ATTENTION, repository="https://ann:hunter2@git.example/x")
    assert secret.status_code == 422
    assert "hunter2" not in secret.text
    assert [how for how, _, _ in git_server.asked] == ["GET", "POST"]


def test_of_two_trees_the_named_one_is_looked_at_and_the_other_told(answers: dict[str, dict[str, Any]]) -> None:
    answer = answers[SECRETS]
    assert answer["team"] == "security"
    assert "In Source code of the till: 1 more stored, not looked at: Zebra security code" in answer["content"]
    assert "app/config.py:1 (secret: AWS Access Key)" in answer["content"]


def test_what_the_question_hands_over_is_analysed_and_nothing_else(
    stack: Stack, answers: dict[str, dict[str, Any]]
) -> None:
    assert answers, "a tree with findings is stored, and nearer to the question"
    with stack.client() as client:
        tiny = store(client, "Tiny", zipped({"tiny.py": "def tiny(x):\n    return x\n"}), "application/zip")
        turn = ok(ask(client, SECURITY, sources=[tiny]))
        assert (
            "In Tiny: 0 possible security problems outside tests in the 1 files of the code"
            in turn["answer"]["content"]
        )
        assert "till" not in turn["answer"]["content"]
        refused = ok(ask(client, SECURITY, sources=["none"]), 422)
        assert "there is no knowledge item none" in refused["detail"]
