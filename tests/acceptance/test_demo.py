"""`diarchy demo`, as the README's first command runs it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from tests.stack import MODELS, ROOT


def test_the_demo_ends_with_answer_tree_and_waterfall_and_leaves_nothing() -> None:
    folders = set(Path(tempfile.gettempdir()).iterdir())
    environment = {**os.environ, "DIARCHY_MODELS": str(MODELS)}
    run = subprocess.run(
        [sys.executable, "-m", "deploy", "demo"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=110,
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
    assert [
        folder for folder in set(Path(tempfile.gettempdir()).iterdir()) - folders if "diarchy-demo" in folder.name
    ] == []
    assert [process for process in psutil.process_iter() if _of_a_demo(process)] == []


def _of_a_demo(process: psutil.Process) -> bool:
    """Whether a process was started by a demo: its folder stands in the arguments or the environment."""
    try:
        return any("diarchy-demo-" in word for word in [*process.cmdline(), *process.environ().values()])
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False
