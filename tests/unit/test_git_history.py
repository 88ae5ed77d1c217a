"""How often files changed, read out of a real git repository; and that the archive of a folder carries it."""

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import msgspec
import pytest

from actors.artemis.tools.history import Churn, History
from deploy.git_history import history_of
from deploy.source_archive import pack

GIT = shutil.which("git")
pytestmark = pytest.mark.skipif(GIT is None, reason="repositories are made with the git program, which is not here")


def git(folder: Path, *arguments: str) -> None:
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    when = {
        "GIT_AUTHOR_DATE": "2026-01-02T12:00:00Z",
        "GIT_COMMITTER_DATE": "2026-01-02T12:00:00Z",
        "HOME": str(folder),
    }
    subprocess.run([GIT or "git", *arguments], cwd=folder, env=who | when, check=True, capture_output=True)  # noqa: S603


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", ".")
    (tmp_path / "app").mkdir()
    for text in ("x = 1\n", "x = 1\ny = 2\n", "y = 2\nz = 3\n"):
        (tmp_path / "app" / "a.py").write_text(text)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-qm", f"secret name {text!r}")
    (tmp_path / "b.py").write_text("b = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "b")
    return tmp_path


def test_commits_and_lines_of_each_file_are_counted(repository: Path) -> None:
    found = msgspec.json.decode(history_of(repository) or b"", type=History)
    assert found == History(
        commits=4, since="2026-01-02", until="2026-01-02", files={"app/a.py": Churn(3, 3, 1), "b.py": Churn(1, 1, 0)}
    )
    inner = msgspec.json.decode(history_of(repository / "app") or b"", type=History)
    assert inner.files == {"a.py": Churn(3, 3, 1)}


def test_an_archive_carries_the_history_and_no_texts_of_commits(repository: Path) -> None:
    data, paths = pack(repository)
    assert paths == ["app/a.py", "b.py"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert sorted(archive.namelist()) == [".diarchy-history.json", "app/a.py", "b.py"]
        assert b"secret name" not in archive.read(".diarchy-history.json")
    assert pack(repository)[0] == data


def test_a_folder_without_a_repository_or_with_a_broken_one_has_no_history(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / ".git").mkdir()
    assert history_of(tmp_path) is None
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/none\n")
    assert history_of(tmp_path) is None
    assert pack(tmp_path)[1] == ["a.py"]


def test_nothing_that_a_repository_names_is_run(repository: Path) -> None:
    canary = repository / "canary"
    config = repository / ".git" / "config"
    for key in ("core.fsmonitor", "diff.external", "core.pager", "core.sshCommand"):
        section, name = key.split(".")
        config.write_text(config.read_text() + f"[{section}]\n\t{name} = touch {canary}\n")
    (repository / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    assert history_of(repository) is not None
    assert not canary.exists()
