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
