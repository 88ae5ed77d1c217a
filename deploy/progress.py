"""Progress on stderr: live where that is a terminal, a line a step where it is not."""

import asyncio
import io
import math
import sys
import time
from types import TracebackType
from typing import Self

import click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from deploy.embedded.supervisor import State
from deploy.rendering import clean

PLAIN_WIDTH = 100
STILL_EVERY_S = 15.0  # between two lines that a step goes on
PLAIN_EVERY_S = 5.0  # between two lines of one step's progress


def show(*results: RenderableType) -> None:
    """Print to stdout: in colour and as wide as the terminal; elsewhere plain, at most 100 columns, no spaces at line ends."""
    if sys.stdout.isatty():
        Console(highlight=False).print(*results, sep="\n")
        return
    text = io.StringIO()
    Console(file=text, highlight=False, width=PLAIN_WIDTH, color_system=None).print(*results, sep="\n")
    for line in text.getvalue().splitlines():
        click.echo(line.rstrip())


def width() -> int:
    """Columns that a result may use."""
    return Console().width if sys.stdout.isatty() else PLAIN_WIDTH


def err(text: str) -> None:
    click.echo(text, err=True)


class Steps:
    """One line a step with its count and seconds. `begin` a step, `advance` it, `end` it; leaving ends the display."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._console = Console(file=sys.stderr, highlight=False, width=None if self._live else PLAIN_WIDTH)
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=self._console,
            disable=not self._live,
        )
        self._plain: dict[TaskID, _Plain] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave what was shown and show no more; idempotent."""
        self._progress.stop()

    def begin(self, what: str, total: int | None = None) -> TaskID:
        """A new step; `total` None: not known, or not countable."""
        task = self._progress.add_task(what, total=total, rate="", note="")
        self._plain[task] = _Plain(what, total)
        self._say(f"{what} …")
        return task

    def advance(
        self, task: TaskID, done: int, *, total: int | None = None, note: str | None = None, rate: str = ""
    ) -> None:
        """How far the step is: absolute, not by how much."""
        plain = self._plain[task]
        plain.done, plain.total = done, total or plain.total
        now = time.monotonic()
        if note is None and now >= plain.waits_until:
            note, plain.waits_until = "", math.inf
        if note is None:
            self._progress.update(task, completed=done, total=plain.total, rate=rate)
        else:
            self._progress.update(task, completed=done, total=plain.total, rate=rate, note=note)
        if now - plain.said >= PLAIN_EVERY_S and done != plain.total:
            plain.said = now
            self._say(f"  {plain.count} {rate}".rstrip())

    def note(self, task: TaskID, text: str) -> None:
        """What the step is doing now; a line of its own where nothing can be overwritten."""
        self._progress.update(task, note=text)
        self._say(f"  {text}")

    def waits(self, task: TaskID, seconds: float, why: str) -> None:
        """Say why the step stands still, in its note until that time is over; elsewhere in a line, one in 5 s at most."""
        plain = self._plain[task]
        now = time.monotonic()
        plain.waits_until = now + seconds
        text = f"{why}; again in {seconds:g} s"
        self._progress.update(task, note=text)
        if now >= plain.silent_until:
            plain.silent_until = now + PLAIN_EVERY_S
            self._say(f"  {plain.count}: {text}")

    def still(self, task: TaskID) -> None:
        """That the step goes on, and for how long; where it is live that is shown all the time."""
        plain = self._plain[task]
        self._say(f"  {plain.what}: {time.monotonic() - plain.began:.0f} s so far")

    async def watched(self, task: TaskID) -> None:
        """Say so every STILL_EVERY_S, for ever."""
        while True:
            await asyncio.sleep(STILL_EVERY_S)
            self.still(task)

    def end(self, task: TaskID, note: str = "") -> None:
        plain = self._plain[task]
        total = plain.total or max(plain.done, 1)
        self._progress.update(task, completed=total, total=total, note=note)
        self._say(f"{plain.what}: done in {time.monotonic() - plain.began:.1f} s{f', {note}' if note else ''}")

    def say(self, text: str) -> None:
        """A line that stays, above what is live."""
        self._console.print(clean(text), markup=False)

    def _say(self, text: str) -> None:
        if not self._live:
            self._console.print(clean(text), markup=False)


class _Plain:
    """A step as told line by line."""

    def __init__(self, what: str, total: int | None) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self.began = self.said = time.monotonic()
        self.waits_until = math.inf  # that it waits is not said, or not to be taken back
        self.silent_until = 0.0  # about waiting

    @property
    def count(self) -> str:
        return f"{self.done:,}" if self.total is None else f"{self.done:,} of {self.total:,}"


class Starting:
    """The states of a starting stack, as `Supervisor` tells them: counts what is ready, tells of what goes down."""

    def __init__(self, parts: int, steps: Steps | None = None) -> None:
        self._steps = steps or Steps()
        self._own = steps is None
        self._parts = parts
        self._ready: set[str] = set()
        self._task: TaskID | None = None
        self._done = False

    def __enter__(self) -> Self:
        if self._own:
            self._steps.__enter__()
        self._task = self._steps.begin("Starting processes", self._parts)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own:
            self._steps.__exit__(kind, error, trace)

    def __call__(self, name: str, state: State, detail: str) -> None:
        if state == "ready":
            self._ready.add(name)
            if self._done:
                self._steps.say(f"{name} is back")
        elif state == "down":
            self._steps.say(f"{name}: {detail}")
        if self._task is not None and not self._done:
            self._steps.advance(self._task, len(self._ready), note=name)

    def done(self) -> None:
        """Everything is ready; from here on only what goes wrong is told."""
        self._done = True
        if self._task is not None:
            self._steps.end(self._task)
        if self._own:
            self._steps.close()
