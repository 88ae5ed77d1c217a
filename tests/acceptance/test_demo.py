"""`diarchy demo`, as the README's first command runs it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.stack import MODELS, ROOT

HANGS_S = 240
"""It takes some 40 s of a processor, a part of it at low priority: on a machine with other work that is minutes."""


@pytest.mark.timeout(HANGS_S + 20)
def test_the_demo_ends_with_answer_tree_and_waterfall_and_leaves_nothing(data_folder: Path) -> None:
    environment = {**os.environ, "DIARCHY_MODELS": str(MODELS), "TMPDIR": str(data_folder)}
    run = subprocess.run(
        [sys.executable, "-m", "deploy", "demo"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=HANGS_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3_000:]
    for part in (
        "Answer",
        "confidence",
        "Evidence",
        "Run",
        "conversation.answered.v1",
        "Trace",
        "one root, no orphans",
    ):
        assert part in run.stdout
    for domain in ("sophia", "artemis", "ceo"):
        assert domain in run.stdout
    assert "\x1b" not in run.stdout
    assert list(data_folder.glob("*diarchy-demo*")) == []
    assert [process for process in psutil.process_iter() if _is_of(process, data_folder)] == []


def _is_of(process: psutil.Process, folder: Path) -> bool:
    """Whether a process was started by the demo: its folder stands in the arguments or the environment."""
    try:
        return any(str(folder) in word for word in [*process.cmdline(), *process.environ().values()])
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False
