"""One child process: output kept in a bounded file, an orderly end, and no life beyond its parent's.

The kernel kills the child when the *thread* that started it ends (PR_SET_PDEATHSIG), so start children from the main thread.
Outside Linux there is no such promise: there a supervisor that is killed outright leaves its children running.
"""

import asyncio
import ctypes
import os
import pwd
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from msgspec import Struct

from runtime.errors import DiarchyError

LOG_BYTES_MAX = 5 * 1024 * 1024  # then the file becomes `<name>.1` (the one before is dropped) and a new one begins
TAIL_LINES_MAX = 20
CHUNK_BYTES_MAX = 65_536
START_POLL_S = 0.005
LAST_WORDS_S = 0.2

_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class StartError(DiarchyError):
    """A process did not come up. The text says why, shows the end of what it wrote, and what to do about it."""


class LogFile:
    """What a child wrote: appended to a file of bounded size; the last lines stay in memory for error reports."""

    def __init__(self, path: Path, *, bytes_max: int = LOG_BYTES_MAX) -> None:
        self.path = path
        self._bytes_max = bytes_max
        self._file: IO[bytes] | None = None
        self._lines: deque[str] = deque(maxlen=TAIL_LINES_MAX)

    @property
    def tail(self) -> str:
        return "\n".join(self._lines)

    def write(self, chunk: bytes) -> None:
        self._lines.extend(line for line in chunk.decode(errors="replace").splitlines() if line.strip())
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab", buffering=0)
        if self._file.tell() + len(chunk) > self._bytes_max:
            self._file.close()
            self.path.replace(self.path.with_name(self.path.name + ".1"))
            self._file = self.path.open("ab", buffering=0)
        self._file.write(chunk)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Command(Struct, frozen=True, kw_only=True):
    """What to run and how. `environment` None passes ours on; `death_signal` is what the child gets when its parent dies."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] | None = None
    user: str | None = None
    death_signal: int = signal.SIGKILL
    inherited: tuple[int, ...] = ()


class Child:
    """A started process, in a session of its own so that a Ctrl-C reaches the supervisor only."""

    def __init__(self, command: Command, log: LogFile, process: asyncio.subprocess.Process) -> None:
        self.command = command
        self.log = log
        self._process = process
        self._pump = asyncio.create_task(self._keep_output(), name=f"output of {command.name}")

    @classmethod
    async def start(cls, command: Command, log: LogFile) -> "Child":
        """Raises StartError when the program cannot be run at all."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=command.environment,
                start_new_session=True,
                pass_fds=command.inherited,
                preexec_fn=_preparation(command),
            )
        except (OSError, ValueError) as error:
            raise StartError(f"cannot run {command.argv[0]}: {error}") from error
        return cls(command, log, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.returncode

    async def ended(self) -> int:
        """The exit status, once it has ended and its output is in the log."""
        status = await self._process.wait()
        await asyncio.wait([self._pump], timeout=1)  # A grandchild may hold the pipe open.
        return status

    async def stop(self, *numbers: int, grace_s: float) -> None:
        """Send one signal after the other, waiting up to `grace_s` each, then kill its whole process group.

        Returns when it has ended.
        """
        for number in numbers:
            if self.exit_status is not None:
                break
            _signal(self._process.pid, number)
            try:
                await asyncio.wait_for(self._process.wait(), grace_s)
            except TimeoutError:
                name = signal.Signals(number).name
                self.log.write(f"{self.command.name} did not end within {grace_s:g} s of {name}\n".encode())
        kill_group(self._process.pid)
        await self._process.wait()
        await asyncio.wait([self._pump], timeout=LAST_WORDS_S)  # What it wrote last is often what one wants to know.
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        self.log.close()

    async def _keep_output(self) -> None:
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - asked for in `start`
        while chunk := await stream.read(CHUNK_BYTES_MAX):
            self.log.write(chunk)


async def until(condition: Callable[[], bool], child: Child, *, timeout_s: float, remedy: str) -> None:
    """Return once `condition` holds. Raises StartError when the child ends first or `timeout_s` pass."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        if child.exit_status is not None:
            await child.ended()
            raise StartError(explain(child.command.name, child.log, f"ended with status {child.exit_status}", remedy))
        if asyncio.get_running_loop().time() > deadline:
            raise StartError(explain(child.command.name, child.log, f"was not ready after {timeout_s:g} s", remedy))
        await asyncio.sleep(START_POLL_S)  # The servers tell of their readiness in a file only.


def explain(name: str, log: LogFile, problem: str, remedy: str) -> str:
    said = "\n".join(f"    {line}" for line in log.tail.splitlines())
    return f"{name} {problem}. {remedy}\n  The end of {log.path}:\n{said or '    (empty)'}"


def kill_group(pid: int) -> None:
    """SIGKILL what is left of the process group that `pid` leads; nothing left is fine."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def alive(pid: int) -> bool:
    """Whether a process of this number runs (a zombie does not)."""
    try:
        if _PROC.exists():
            return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _preparation(command: Command) -> Callable[[], None]:
    """What the child does between fork and exec; everything it needs is looked up here, before the fork."""
    parent = os.getpid()
    account = pwd.getpwnam(command.user) if command.user else None
    number = command.death_signal

    def prepare() -> None:
        if account is not None:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
        if _libc is not None:  # After the change of user, which clears it.
            _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
            if os.getppid() != parent:  # It died before we could ask.
                os._exit(1)

    return prepare
