"""The command line as a process of its own: strange folders, closed pipes, full disks, no terminal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.embedded.supervisor import standard_roles

DIARCHY = Path(sys.executable).with_name("diarchy")
RUN_S_MAX = 30


def result_of(*argv: str | Path, cwd: Path, text: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIARCHY_")}
    return subprocess.run(  # noqa: S603 - our own program
        argv,
        cwd=cwd,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
        start_new_session=True,  # Without a terminal to ask, even where the tests have one.
    )


@pytest.mark.parametrize("argv", [(str(DIARCHY),), standard_roles(("sophia",))[0].argv[:-2]], ids=["diarchy", "role"])
def test_a_folder_named_like_one_of_ours_is_not_executed(argv: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("deploy", "runtime"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("print('HIJACKED')\n")
    shown = result_of(*argv, "run", "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "HIJACKED" not in shown.stdout
    assert "Run one or more roles" in shown.stdout


@pytest.mark.parametrize("folder", ["/dev/null", "/proc/x", "file/below"])
def test_a_folder_that_cannot_hold_data_is_named_with_the_remedy(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = result_of(DIARCHY, "up", "--data", folder, "--port", "0", cwd=tmp_path)
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(f"diarchy: {tmp_path / folder} cannot be the data folder (")
    assert last.endswith("choose one that you may write to with --data")


def test_a_reader_that_has_enough_is_no_failure(tmp_path: Path) -> None:
    """`diarchy doctor --json | head -0`."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        argv = [DIARCHY, "doctor", "--json", "--data", tmp_path / "data"]
        ended = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=RUN_S_MAX, check=False)  # noqa: S603
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full outside Linux")
def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        argv = [DIARCHY, "doctor", "--json", "--data", tmp_path / "data"]
        ended = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, timeout=RUN_S_MAX, check=False)  # noqa: S603
    assert ended.returncode == 1
    assert (
        ended.stderr == "diarchy: cannot write: No space left on device; make room where the output or the data goes\n"
    )


ADD = ("user", "add", "--role", "read_only")


def test_a_users_name_is_checked_before_the_password_is_asked_for(tmp_path: Path) -> None:
    ended = result_of(DIARCHY, *ADD, "Dana Doe", cwd=tmp_path, text="")
    assert ended.returncode == 2
    assert "the name 'Dana Doe' must be 1 to" in ended.stderr
    assert "assword" not in ended.stderr


@pytest.mark.parametrize("words", [(*ADD, "dana"), ("token", "--user", "dana")], ids=["user add", "token"])
def test_without_a_terminal_the_other_way_to_give_a_password_is_named(words: tuple[str, ...], tmp_path: Path) -> None:
    ended = result_of(DIARCHY, *words, cwd=tmp_path, text="a password for all\n")
    assert ended.returncode == 2
    assert ended.stderr.endswith("there is no terminal to ask for the password at; give it with --password-stdin\n")
    assert "Warning" not in ended.stderr
