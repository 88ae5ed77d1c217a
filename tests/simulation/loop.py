"""An asyncio loop without a world: time is a number, and which task goes on next is drawn from a seed.

Time stands still while anything can run and then jumps to the next timer. Every handle belongs to a `Process` (found in its
context), which may be killed or held between any two steps. The order between tasks is free, but those that one step creates
begin in order, and callbacks that are no task's keep theirs. Whatever follows, follows from the seed: two runs take the same
steps.
"""

import asyncio
import contextlib
import gc
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_WORD = (1 << 64) - 1


class Process:
    """What dies and pauses as one: a worker, a client, or the server (which does neither)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.steps = 0
        self.held: list[tuple[int, int, Any]] | None = None  # a list while paused

    @property
    def runs(self) -> bool:
        return self.alive and self.held is None


SERVER = Process("server")
_process: ContextVar[Process] = ContextVar("process", default=SERVER)


def current() -> Process:
    """Whose step this is."""
    return _process.get()


def context_of(process: Process) -> Context:
    """A context in which everything started belongs to `process`."""
    context = copy_context()
    context.run(_process.set, process)
    return context


class _Mark:
    """What the loop knows of a task: its number by order of creation, and how many steps it was given."""

    __slots__ = ("number", "steps")

    def __init__(self, number: int) -> None:
        self.number = number
        self.steps = 0


_NO_TASK = _Mark(0)


class StuckError(Exception):
    """Nothing can run and nothing will, or it never ends."""


class SimLoop(asyncio.AbstractEventLoop):
    """Use: `run_until(coroutine)`, then `end()`. It has no threads and no sockets: whoever asks for those fails."""

    def __init__(self, seed: int, *, shuffled: bool = True) -> None:
        self._salt = seed * 0x9E3779B97F4A7C15 & _WORD
        self._shuffled = shuffled
        self._now_s = 0.0
        self._arrivals = 0
        self._ready: list[tuple[int, int, Any]] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._marks: dict[Any, _Mark] = {}
        self._created = 0
        self._stepping = _NO_TASK
        self._dropped: list[tuple[int, int, Any]] = []
        self._ended = False
        self.steps = 0
        self.steps_max = 2_000_000
        self.digest = 0  # of every step so far: which task, at which of its steps
        self.on_step: Callable[[Process], None] = _nobody_looks
        self.failures: list[str] = []

    def time(self) -> float:
        return self._now_s

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._ended

    def is_closed(self) -> bool:
        return self._ended

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> "asyncio.Task[T]":
        return asyncio.Task(coro, loop=self, name=str(name or f"task-{self._created + 1}"), context=context)

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self._ended:
            self._make_ready(handle, callback)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_s + max(0.0, delay), callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        if not self._ended:
            self._arrivals += 1
            heappush(self._timers, (when, self._arrivals, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are skipped when their time comes."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._ended:
            self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")

    def run_until(self, main: Coroutine[Any, Any, T]) -> T:
        """Take steps until `main` has ended. Raises what it raises, StuckError when no step is left or there are too many."""
        asyncio._set_running_loop(self)
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=_nothing, finalizer=self._finalize)
        try:
            task = self.create_task(main)
            while not task.done():
                self._step()
            return task.result()
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(None)

    def kill(self, process: Process) -> None:
        """None of its handles runs again, no `finally` either: what is suspended stays so until `end`."""
        process.alive = False

    def hold(self, process: Process) -> None:
        """Nothing of it runs until `resume`; time goes on for the others."""
        process.held = process.held or []

    def resume(self, process: Process) -> None:
        held, process.held = process.held or [], None
        for one in held:
            heappush(self._ready, one)

    def end(self) -> None:
        """Forget everything: what killed processes left suspended is closed, and whatever that still does goes nowhere."""
        self._ended = True
        hook, sys.unraisablehook = sys.unraisablehook, _nothing
        try:
            for task in self._marks:
                task._log_destroy_pending = False
                with contextlib.suppress(BaseException):  # It was killed: nobody is left to care.
                    task.get_coro().close()
            self._marks.clear()
            self._dropped.clear()
            self._ready.clear()
            self._timers.clear()
            gc.collect()
        finally:
            sys.unraisablehook = hook

    def _make_ready(self, handle: asyncio.Handle, callback: Callable[..., object]) -> None:
        self._arrivals = arrival = self._arrivals + 1
        priority = 0  # No task's: at once, in its order.
        task = getattr(callback, "__self__", None)
        if type(task) is asyncio.Task:
            mark = self._marks.get(task)
            if mark is None:
                self._created += 1
                self._marks[task] = _Mark(self._created)
                mark = self._stepping  # Those begun in one step begin in order, as `gather` needs it.
            if self._shuffled:
                # Of the task alone, not of when it came: sets, whose order differs from run to run, cannot be seen here.
                mixed = self._salt + mark.number * 0xBF58476D1CE4E5B9 + mark.steps * 0x94D049BB133111EB & _WORD
                priority = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 >> 16 & 0xFFFFFFFF
            else:
                priority = 1
        heappush(self._ready, (priority, arrival, handle))

    def _step(self) -> None:
        """Run the next handle that is due, if it may run."""
        self._look_at_timers()
        if not self._ready:
            return
        priority, arrival, handle = heappop(self._ready)
        if handle._cancelled:
            return
        process = handle._context.get(_process, SERVER)
        if not process.runs:
            (self._dropped if process.held is None else process.held).append((priority, arrival, handle))
            return
        self.steps += 1
        process.steps += 1
        task: Any = getattr(handle._callback, "__self__", None)
        mark = self._marks.get(task) if type(task) is asyncio.Task else None
        if mark is None:
            handle._run()
        else:
            mark.steps += 1
            self.digest = (self.digest * 1_000_003 + mark.number * 8_191 + mark.steps) & _WORD
            self._stepping = mark
            handle._run()
            self._stepping = _NO_TASK
            if task.done():
                del self._marks[task]
        self.on_step(process)

    def _look_at_timers(self) -> None:
        """Make what is due ready; when nothing is ready, time jumps. Raises StuckError when there is nothing to jump to."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heappop(timers)
        if not self._ready:
            if not timers or self.steps > self.steps_max:
                raise StuckError(f"after {self.steps} steps, at {self._now_s:.3f} s")
            self._now_s = max(self._now_s, timers[0][0])
        while timers and timers[0][0] <= self._now_s:
            timer: Any = heappop(timers)[2]
            if not timer.cancelled():
                self._make_ready(timer, timer._callback)

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._ended:
            self.create_task(_close(generator))


async def _close(generator: AsyncGenerator[Any, Any]) -> None:
    await generator.aclose()


def _nothing(_: object) -> None: ...


def _nobody_looks(_: Process) -> None: ...
