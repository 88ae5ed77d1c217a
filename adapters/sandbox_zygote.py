"""The zygote: a small process that forks one for each call of a tool, watches it, and leaves nothing of it behind.

It holds no secret (a clean environment, no file of the worker's) and does not see what tools are given: that goes between worker
and tool. It ends with the worker, whichever way that ends, and all tools with it. It has a keeper, its parent, which does nothing
but wait: should the zygote be killed, the keeper ends what is left. So one of worker, keeper and zygote does. Linux only.
"""

import array
import contextlib
import gc
import importlib
import importlib.util
import os
import select
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from adapters import sandbox_lock
from adapters.sandbox_lock import Bounds, UnprotectedError
from runtime.errors import OutcomeError
from runtime.ports import Tool

TICK_S = 0.05
IDLE_S_MAX = 300.0  # without a call; the worker starts another one when it needs it
PROCESSES_MAX = 64  # of one call
ORDER_BYTES_MAX = 64 << 10
NEWS_BYTES_MAX = 16 << 10
UNLOADED_CHARACTERS_MAX = 2_000  # of six bytes each at most, as JSON
FIRST_PARTY = ("contracts", "runtime", "adapters", "actors")
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime")

HEADER = struct.Struct("=cI")
"""A frame between worker and tool: what it is, and how many bytes follow."""

ARGUMENTS, WANTED, BLOB, NO_BLOB, RESULT, REFUSED, BROKEN, UNPROTECTED, TOO_MUCH = (
    b"A",
    b"W",
    b"B",
    b"N",
    b"R",
    b"E",
    b"X",
    b"U",
    b"M",
)


class Order(Struct, frozen=True, kw_only=True):
    """Run a tool: where it stands, what it may take. It comes with two sockets: for the tool, and for its life."""

    module: str
    tool: str
    preload: tuple[str, ...]
    s_max: float
    memory_bytes_max: int
    unprotected: bool


class Begun(Struct, frozen=True, tag=True):
    """The tool's process runs, as the first of a group of that number: its time counts from here."""

    pid: int


class Ended(Struct, frozen=True, tag=True):
    """All processes of the call are dead, its folder is gone. `limit`: which one it broke, `signal`: what it died of.

    `unloaded`: why there was none. That goes this way, for what is said on a socket is lost if it closes with arguments unread.
    """

    limit: str = ""
    signal: int = 0
    unloaded: str = ""


class _Call(Struct):
    pid: int
    pidfd: int
    life: socket.socket
    scratch: Path
    until: float
    memory_bytes_max: int
    limit: str = ""


def main(control: socket.socket) -> None:
    """Serve orders, in a process of its own, until the control socket ends or none has come for a while; leave nothing behind."""
    sandbox_lock.subreaper()
    root = Path(tempfile.mkdtemp(prefix="diarchy-tools-"))
    zygote = os.fork()
    if zygote:
        control.close()
        os.waitpid(zygote, 0)
        _end_children()
        _remove(root)
        return
    sandbox_lock.subreaper()
    try:
        _Zygote(control, root).serve()
    finally:
        _remove(root)  # The keeper may be dead.


def _end_children() -> None:
    """End what a killed zygote left: its tools die with it, and what they started becomes ours."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for child in _children(os.getpid()):
                os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)


class _Zygote:
    def __init__(self, control: socket.socket, root: Path) -> None:
        self._control = control
        self._root = root
        self._calls: dict[int, _Call] = {}
        self._numbers = 0

    def serve(self) -> None:
        idle_since = time.monotonic()
        while self._calls or time.monotonic() - idle_since < IDLE_S_MAX:
            watched = {
                self._control.fileno(): self._ordered,
                **{call.pidfd: self._died(call) for call in self._calls.values()},
                **{call.life.fileno(): self._left(call) for call in self._calls.values()},
            }
            polled = select.poll()
            for descriptor in watched:
                polled.register(descriptor, select.POLLIN)
            for descriptor, _ in polled.poll(1_000 * (TICK_S if self._calls else IDLE_S_MAX)):
                if not watched[descriptor]():
                    self._end_all()
                    return
            for call in list(self._calls.values()):
                self._watch(call)
            if self._calls:
                idle_since = time.monotonic()

    def _ordered(self) -> bool:
        """Take one order; False: the worker is gone."""
        order, sockets = _receive(self._control)
        if order is None:
            return False
        data, life = sockets
        try:
            for name in (*order.preload, order.module):
                importlib.import_module(name)
            tool = find(order.module, order.tool)
        except Exception as error:  # noqa: BLE001 - whatever an import raises, the worker has to be told
            _tell(life, Ended(unloaded=f"{type(error).__name__}: {error}"[:UNLOADED_CHARACTERS_MAX]))
            data.close()
            life.close()
            return True
        self._begin(order, tool, data, life)
        return True

    def _begin(self, order: Order, tool: Tool, data: socket.socket, life: socket.socket) -> None:
        self._numbers += 1
        scratch = self._root / str(self._numbers)
        scratch.mkdir(mode=0o700)
        gc.freeze()  # what is collected in a child would be copied there
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            _child(order, tool, data, scratch, parent)
        with contextlib.suppress(PermissionError, ProcessLookupError):  # it did so itself and is further already
            os.setpgid(pid, pid)
        data.close()
        memory = order.memory_bytes_max + _memory(os.getpid())  # what it shares with this process counts as its own
        self._calls[pid] = _Call(
            pid, os.pidfd_open(pid), life, scratch, time.monotonic() + order.s_max, memory_bytes_max=memory
        )
        _tell(life, Begun(pid))

    def _died(self, call: _Call) -> Callable[[], bool]:
        def died() -> bool:
            self._end(call)
            return True

        return died

    def _left(self, call: _Call) -> Callable[[], bool]:
        """Nobody waits for the call any more."""

        def left() -> bool:
            if call.pid in self._calls:
                self._end(call)
            return True

        return left

    def _watch(self, call: _Call) -> None:
        family = list(_descendants(call.pid))
        if time.monotonic() >= call.until:
            call.limit = "time"
        elif len(family) > PROCESSES_MAX:
            call.limit = "processes"
        elif sum(map(_memory, family)) > call.memory_bytes_max:
            call.limit = "memory"
        if call.limit:
            self._end(call)

    def _end(self, call: _Call) -> None:
        """Kill what is left of a call, the whole group (nobody can leave it), wait for it, and say how it ended."""
        os.waitid(os.P_PIDFD, call.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(call.pid, signal.SIGKILL)
        _, status = os.waitpid(call.pid, 0)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-call.pid, 0)  # the processes that it left behind
        del self._calls[call.pid]
        os.close(call.pidfd)
        _remove(call.scratch)
        died_of = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        _tell(call.life, Ended(limit="time" if died_of == signal.SIGXCPU else call.limit, signal=died_of))
        call.life.close()

    def _end_all(self) -> None:
        for call in list(self._calls.values()):
            self._end(call)


def find(module: str, name: str) -> Tool:
    """The tool of that name which the module holds. Raises LookupError."""
    for value in vars(importlib.import_module(module)).values():
        if isinstance(value, Tool) and value.name == name:
            return value
    raise LookupError(f"{module} holds no tool {name!r}")


def _child(order: Order, tool: Tool, data: socket.socket, scratch: Path, parent: int) -> None:
    """The tool's process; never returns."""
    try:
        os.setpgid(0, 0)
        sandbox_lock.die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        _isolate(data, scratch)
        bounds = Bounds(
            readable=readable(order.module),
            writable=scratch,
            cpu_s_max=int(order.s_max) + 2,
            memory_bytes_max=order.memory_bytes_max,
        )
        _, given = _frame(data)  # Whatever comes of it: a socket that closes with something unread loses what it said.
        try:
            sandbox_lock.restrict(bounds, unprotected=order.unprotected)
        except UnprotectedError as error:
            _send(data, UNPROTECTED, str(error).encode())
        else:
            _send(data, *_outcome(tool, given, data))
    finally:
        os._exit(0)


def _isolate(data: socket.socket, scratch: Path) -> None:
    """Nothing open but the socket, nothing of the environment, in its own folder."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, data.fileno())
    os.closerange(data.fileno() + 1, 1 << 16)
    os.chdir(scratch)
    os.environ.update(HOME=str(scratch), TMPDIR=str(scratch))
    tempfile.tempdir = None


def _outcome(tool: Tool, given: bytes, data: socket.socket) -> tuple[bytes, bytes]:
    def blob(digest: str) -> bytes:
        _send(data, WANTED, digest.encode())
        kind, content = _frame(data)
        if kind != BLOB:
            raise OutcomeError(content.decode())
        return content

    try:
        result = tool.run(msgspec.json.decode(given, type=tool.arguments), blob)
        return RESULT, msgspec.json.encode(result)
    except OutcomeError as error:
        return REFUSED, str(error).encode()
    except MemoryError:
        return TOO_MUCH, b""
    except BaseException as error:  # noqa: BLE001 - whatever the tool raises, the worker has to be told
        return BROKEN, f"{type(error).__name__}: {error}"[:2_000].encode()


def readable(module: str) -> tuple[Path, ...]:
    """What tools may read: Python, its environment with the programs, the system's libraries, and our own packages."""
    packages = {name.partition(".")[0] for name in (*FIRST_PARTY, module)}
    found = (importlib.util.find_spec(name) for name in sorted(packages))
    folders = [Path(spec.origin).parent for spec in found if spec is not None and spec.origin]
    return (*map(Path, SYSTEM), Path(sys.prefix), Path(sys.base_prefix), *folders)


def _frame(data: socket.socket) -> tuple[bytes, bytes]:
    kind, size = HEADER.unpack(_exactly(data, HEADER.size))
    return kind, _exactly(data, size)


def _exactly(data: socket.socket, size: int) -> bytes:
    received = bytearray(size)
    view, at = memoryview(received), 0
    while at < size:
        count = data.recv_into(view[at:])
        if not count:
            raise EOFError("the worker is gone")
        at += count
    return bytes(received)


def _send(data: socket.socket, kind: bytes, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        data.sendall(HEADER.pack(kind, len(content)) + content)


def _tell(life: socket.socket, news: Begun | Ended) -> None:
    with contextlib.suppress(OSError):
        life.send(msgspec.json.encode(news))


def _receive(control: socket.socket) -> tuple[Order | None, list[socket.socket]]:
    """An order with its sockets; None: the control socket has ended."""
    message, descriptors, _, _ = socket.recv_fds(control, ORDER_BYTES_MAX, 2)
    sockets = [socket.socket(fileno=descriptor) for descriptor in array.array("i", descriptors)]
    return (msgspec.json.decode(message, type=Order) if message else None), sockets


def _descendants(pid: int) -> Iterator[int]:
    """The processes of a call: its first one, what that started, and what of that lost its parent and became ours."""
    for child in _children(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(child) == pid:
                yield from _tree(child)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for child in _children(pid):
        yield from _tree(child)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _memory(pid: int) -> int:
    """Bytes of memory that belong to a process and to no file."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


def _remove(folder: Path) -> None:
    """Remove it with all that is in it; one that is gone is no error. What it stands in stays as it is."""

    def opened(_function: object, path: str, _error: object) -> None:
        """A folder that its owner may not enter."""
        with contextlib.suppress(OSError):
            if Path(path) != folder:
                Path(path).parent.chmod(0o700)
            Path(path).chmod(0o700)
            shutil.rmtree(path, ignore_errors=True)

    shutil.rmtree(folder, onerror=opened)
