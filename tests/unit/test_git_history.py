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


def followed(folder: Path, path: str) -> int:
    """What git itself counts."""
    listed = subprocess.run(  # noqa: S603 - git
        [GIT or "git", "log", "--follow", "--no-merges", "--oneline", "--", path],
        cwd=folder,
        env={"HOME": str(folder)},
        check=True,
        capture_output=True,
    )
    return len(listed.stdout.splitlines())


LINES = "".join(f"def f{number}(x):\n    return x + {number}\n" for number in range(12))


def commit(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.write_text(text)
    git(folder, "add", "-A", ".")
    git(folder, "commit", "-qm", "c")


def test_a_renamed_file_keeps_its_history_as_git_follows_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", ".")
    for number in range(6):
        commit(tmp_path, old=LINES + f"x = {number}\n", other=f"y = {number}\n")
    git(tmp_path, "mv", "old.py", "new_name.py")
    commit(tmp_path)
    for number in range(3):
        commit(tmp_path, new_name=LINES + f"z = {number}\n")
    found = msgspec.json.decode(history_of(tmp_path) or b"", type=History)
    assert found.files["new_name.py"].commits == followed(tmp_path, "new_name.py") == 10
    assert found.files["new_name.py"] == Churn(10, 24 + 6 + 3, 5 + 3)
    assert set(found.files) == {"new_name.py", "other.py"}


def test_moves_with_changes_again_and_again_and_into_the_folder_that_is_read(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", ".")
    (tmp_path / "app").mkdir()
    commit(tmp_path, a=LINES, b="b = 1\n")
    commit(tmp_path, a=LINES + "one = 1\n")
    git(tmp_path, "mv", "a.py", "m.py")
    commit(tmp_path, m=LINES + "two = 2\n")
    git(tmp_path, "mv", "m.py", "app/z.py")
    commit(tmp_path)
    commit(tmp_path, a="another = 1\n", m="not = 'that'\n")
    (tmp_path / "b.py").unlink()
    commit(tmp_path, a="another = 2\n", c="nothing = 'like b'\n")
    found = msgspec.json.decode(history_of(tmp_path) or b"", type=History)
    assert found.files["m.py"].commits == 1  # git, which knows one name at a time, counts the other file's four
    for path in ("app/z.py", "c.py"):
        assert found.files[path].commits == followed(tmp_path, path)
    assert (found.files["app/z.py"].commits, found.files["a.py"].commits, found.files["b.py"].commits) == (4, 2, 2)
    assert msgspec.json.decode(history_of(tmp_path / "app") or b"", type=History).files == {
        "z.py": found.files["app/z.py"]
    }


def test_what_costs_too_much_to_compare_is_found_by_its_content_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q", ".")
    commit(tmp_path, a=LINES, b="b = 1\n" + LINES)
    git(tmp_path, "mv", "a.py", "c.py")
    git(tmp_path, "mv", "b.py", "d.py")
    commit(tmp_path, d="d = 1\n" + LINES)
    monkeypatch.setattr("deploy.git_history.COMPARED_BYTES_MAX", 10)
    found = msgspec.json.decode(history_of(tmp_path) or b"", type=History)
    assert {path: one.commits for path, one in found.files.items()} == {"c.py": 2, "d.py": 1, "b.py": 2}
    monkeypatch.setattr("deploy.git_history.CHANGES_MAX", 1)
    moved = msgspec.json.decode(history_of(tmp_path) or b"", type=History)
    assert moved.files == {}


def test_a_content_that_is_missing_costs_what_it_would_have_shown_only(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", ".")
    commit(tmp_path, a=LINES, b="b = 1\n")
    git(tmp_path, "mv", "a.py", "c.py")
    commit(tmp_path, c=LINES + "c = 1\n", b="b = 2\n")
    listed = subprocess.run(  # noqa: S603 - git
        [GIT or "git", "rev-parse", "HEAD:c.py"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.strip()
    (tmp_path / ".git" / "objects" / listed[:2] / listed[2:]).unlink()
    found = msgspec.json.decode(history_of(tmp_path) or b"", type=History)
    assert {path: one.commits for path, one in found.files.items()} == {"a.py": 2, "b.py": 2, "c.py": 1}
