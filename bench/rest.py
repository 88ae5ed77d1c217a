"""What the embedded stack costs when nobody asks anything, and how long it takes to serve from an existing folder.

`python -m bench.rest` writes its figures to bench/RESULTS.md. It runs `diarchy up` as a user does, in a folder of its own,
imports documents and asks, and then leaves it alone; beside it, as the limit, the broker and the database by themselves.
Linux only: the figures come from /proc.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from bench import results
from deploy.embedded.supervisor import Supervisor
from deploy.settings import Log, Settings
from tests.stack import ROOT, Stack, ok

SETTLE_S = 10.0  # What a start leaves to do is not rest.
REST_S = 20.0
STARTS = 3
DOCUMENTS = 64
QUESTIONS = 4
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(Struct, frozen=True):
    """One process: its name, processor seconds so far, and memory in bytes (`share`: what is shared, divided among its users)."""

    name: str
    cpu_s: float
    share: int
    resident: int


class Rest(Struct, frozen=True):
    """All processes of a stack over a time in which nothing was asked of it."""

    processes: int
    cpu: float  # of one core
    share: int
    resident: int
    by_name: dict[str, tuple[float, int]]  # share of a core, memory


def descendants(root: int) -> list[int]:
    """The process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # It has ended meanwhile.
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, at = [root], 0
    while at < len(found):
        found += children.get(found[at], [])
        at += 1
    return found


def usage(pid: int) -> Usage:
    folder = Path(f"/proc/{pid}")
    words = (folder / "stat").read_text().rpartition(")")[2].split()
    lines = (folder / "smaps_rollup").read_text().splitlines()[1:]
    memory = {name.rstrip(":"): int(kib) << 10 for name, kib, *_ in map(str.split, lines)}
    cpu_s = (int(words[11]) + int(words[12])) / _TICKS
    return Usage(_name((folder / "cmdline").read_bytes()), cpu_s, memory["Pss"], memory["Rss"])


def _name(command_line: bytes) -> str:
    """`sophia` of a role's command line, `postgres` of any of its processes."""
    words = command_line.decode(errors="replace").replace("\0", " ").split()
    return words[-1] if "run" in words else "supervisor" if "deploy" in words else Path(words[0]).name.rstrip(":")


def all_of(root: int, *, without: int | None = None) -> dict[int, Usage]:
    """Usage by process id; one that ends in between is left out."""
    found: dict[int, Usage] = {}
    for pid in descendants(root):
        if pid != without:
            try:
                found[pid] = usage(pid)
            except (OSError, KeyError, IndexError):
                continue
    return found


def at_rest(root: int, *, without: int | None = None) -> Rest:
    """Blocks for the time that is measured."""
    time.sleep(SETTLE_S)
    before, began = all_of(root, without=without), time.monotonic()
    time.sleep(REST_S)
    after, seconds = all_of(root, without=without), time.monotonic() - began
    by_name: dict[str, tuple[float, int]] = {}
    for pid, now in after.items():
        spent = now.cpu_s - (before[pid].cpu_s if pid in before else 0.0)
        cpu, share = by_name.get(now.name, (0.0, 0))
        by_name[now.name] = cpu + spent / seconds, share + now.share
    cpu = sum(cpu for cpu, _ in by_name.values())
    return Rest(
        len(after), cpu, sum(one.share for one in after.values()), sum(one.resident for one in after.values()), by_name
    )


def exercise(stack: Stack, folder: Path) -> None:
    """Some work for every role, so that what rests is not a stack that never did anything."""
    folder.mkdir()
    for number in range(DOCUMENTS):
        (folder / f"{number}.md").write_text(
            f"# Handbook {number}\n\n" + f"Chapter {number} tells why customers leave. " * 60
        )
    command = [sys.executable, "-m", "deploy", "import", str(folder), "--data", str(stack.folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - our own program
    with stack.client() as client:
        for number in range(QUESTIONS):
            body = {"question": f"Why do customers leave, says chapter {number}?"}
            ok(client.post("/v1/sophia/ask", json=body, headers={"Idempotency-Key": f"rest-{number}"}), 200, 201, 202)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Stack, int, float]]:
    """`diarchy up`: the stack, its process id, and the seconds until it said that it serves."""
    stack, began = Stack(folder), time.monotonic()
    with ExitStack() as ending:
        ending.callback(stack.stop)
        stack.start()
        seconds = time.monotonic() - began
        assert stack.process is not None
        yield stack, stack.process.pid, seconds


async def bare(folder: Path) -> tuple[Rest, float]:
    """The broker and the database alone, on the same folder: at rest, and the seconds of their start."""
    supervisor = Supervisor(Settings(data=str(folder), log=Log(level="warning")), [])
    began = time.monotonic()
    await supervisor.start()
    seconds = time.monotonic() - began
    try:
        return await asyncio.to_thread(at_rest, os.getpid(), without=os.getpid()), seconds
    finally:
        await supervisor.stop()


def figures(folder: Path) -> tuple[str, dict[str, tuple[float, str]]]:
    """The section, and the figures of the goals."""
    with serving(folder / "stack") as (stack, pid, first_s):
        exercise(stack, folder / "documents")
        rest = at_rest(pid)
    starts = []
    for _ in range(STARTS):
        with serving(folder / "stack") as (_, _, seconds):
            starts.append(seconds)
    raw, raw_s = asyncio.run(bare(folder / "stack"))
    start_s, alone = statistics.median(starts), "nats-server and PostgreSQL alone"
    lines = [
        f"| what | goal | the stack | raw limit: {alone} |",
        "|---|---|---|---|",
        f"| processor at rest, of one core | 5 % | {rest.cpu:.1%} | {raw.cpu:.1%} |",
        f"| memory of all processes, what is shared counted once (PSS) | 700 MB | {_mb(rest.share)} | {_mb(raw.share)} |",
        f"| the same, each process by itself (RSS) | | {_mb(rest.resident)} | {_mb(raw.resident)} |",
        f"| start to ready on an existing folder, median of {STARTS} | 6 s | {start_s:.1f} s | {raw_s:.1f} s |",
        f"| first start to ready | | {first_s:.1f} s | |",
        f"| processes | | {rest.processes} | {raw.processes} |",
        "",
        "| process | of one core | PSS |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {cpu:.1%} | {_mb(share)} |" for name, (cpu, share) in sorted(rest.by_name.items())]
    reached = {
        "rest.cpu": (rest.cpu, f"{alone}: {raw.cpu:.1%}"),
        "rest.memory_mb": (
            rest.share / 1e6,
            f"{alone}: {_mb(raw.share)}; shared pages counted once (else {_mb(rest.resident)})",
        ),
        "rest.start_s": (start_s, f"{alone}: {raw_s:.1f} s"),
    }
    return "\n".join(lines), reached


def _mb(size: int) -> str:
    return f"{size / 1_000_000:,.0f} MB"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="diarchy-rest-", ignore_cleanup_errors=True) as folder:
        text, reached = figures(Path(folder))
    results.write("At rest", "just bench rest", text)
    results.record(reached)
    print(text)


if __name__ == "__main__":
    main()
