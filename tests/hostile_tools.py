"""Tools that do what none should; each says what came of it. They run in the sandbox, for its tests."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from actors.tool import Fetch, tool
from runtime.errors import OutcomeError
from runtime.ports import ToolLimits

MEMORY_BYTES_MAX = 128 << 20


class Task(Struct, frozen=True, kw_only=True):
    """What to try: `act` by name, with a path, a number or a digest."""

    act: str
    path: str = ""
    number: int = 0
    digest: str = ""


class Found(Struct, frozen=True, kw_only=True):
    """What it came to: what was seen, or the error."""

    findings: tuple[str, ...]


def _write(task: Task, _blobs: Fetch) -> object:
    Path(task.path).write_text("was here")
    return "written"


def _read(task: Task, _blobs: Fetch) -> object:
    return Path(task.path).read_text()


def _listed(task: Task, _blobs: Fetch) -> object:
    return os.listdir(task.path)  # noqa: PTH208 - the system call itself


def _chmod(task: Task, _blobs: Fetch) -> object:
    Path(task.path).chmod(0o777)
    return "done"


def _link(task: Task, _blobs: Fetch) -> object:
    Path("link").symlink_to(task.path)
    return Path("link").read_text()


def _environment(_task: Task, _blobs: Fetch) -> object:
    return sorted(os.environ.items())


def _descriptors(_task: Task, _blobs: Fetch) -> object:
    kinds: list[str] = []
    for descriptor in range(3, 512):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        kinds.append(str(descriptor))
    return len(kinds)


def _socket(task: Task, _blobs: Fetch) -> object:
    return socket.socket(task.number)


def _datagrams(_task: Task, _blobs: Fetch) -> object:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)


def _kill(task: Task, _blobs: Fetch) -> object:
    os.kill(task.number, signal.SIGTERM)
    return "done"


def _limits(task: Task, _blobs: Fetch) -> object:
    return resource.prlimit(task.number, resource.RLIMIT_NOFILE, (1, 1))


def _leave_group(_task: Task, _blobs: Fetch) -> object:
    os.setsid()
    return "done"


def _namespace(_task: Task, _blobs: Fetch) -> object:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "a user namespace"


def _rights(_task: Task, _blobs: Fetch) -> object:
    os.setuid(12_345)
    return os.getuid()


def _fork_bomb(_task: Task, _blobs: Fetch) -> object:
    while True:
        os.fork()


def _eat(task: Task, _blobs: Fetch) -> object:
    return len(bytearray(task.number))


def _eat_together(_task: Task, _blobs: Fetch) -> object:
    for _ in range(4):
        if not os.fork():
            eaten = bytearray(MEMORY_BYTES_MAX // 2)
            time.sleep(600)
            return len(eaten)
    time.sleep(600)
    return None


def _spin(_task: Task, _blobs: Fetch) -> object:
    while True:
        pass


def _hold(task: Task, blobs: Fetch) -> object:
    """Start a program that outlives it, then wait for what never comes."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    return blobs(task.digest)


def _crash(_task: Task, _blobs: Fetch) -> object:
    os.kill(os.getpid(), signal.SIGSEGV)
    return None


def _bug(_task: Task, _blobs: Fetch) -> object:
    return ACTS["missing"]


def _unusable(_task: Task, _blobs: Fetch) -> object:
    raise OutcomeError("the file is no table")


def _blob(task: Task, blobs: Fetch) -> object:
    return blobs(task.digest).decode()


def _blob_unnamed(task: Task, blobs: Fetch) -> object:
    return blobs(f"{task.digest}b").decode()


def _scratch(_task: Task, _blobs: Fetch) -> object:
    folder = Path(tempfile.mkdtemp())
    (folder / "kept").write_text("x")
    (folder / "kept").chmod(0)
    return [str(folder), str(Path.cwd())]


def _program(_task: Task, _blobs: Fetch) -> object:
    """A program of the environment, on a file of ours; it inherits what holds for us."""
    Path("bad.py").write_text("import os\n")
    done = subprocess.run(["ruff", "check", "--isolated", "--no-cache", "bad.py"], capture_output=True, text=True)  # noqa: S607, PLW1510
    seen = subprocess.run(["cat", "/etc/passwd"], capture_output=True, text=True)  # noqa: S607, PLW1510
    return done.stdout + done.stderr + seen.stderr


def _setup(task: Task, blobs: Fetch) -> object:
    """What a careless tool would do with an archive: run what came in it."""
    Path("setup.py").write_bytes(blobs(task.digest))
    done = subprocess.run([sys.executable, "setup.py"], capture_output=True, text=True)  # noqa: PLW1510
    return done.stderr


def _large(task: Task, _blobs: Fetch) -> object:
    return "x" * task.number


ACTS: dict[str, Callable[[Task, Fetch], object]] = {
    "write": _write,
    "read": _read,
    "list": _listed,
    "chmod": _chmod,
    "link": _link,
    "environment": _environment,
    "descriptors": _descriptors,
    "socket": _socket,
    "datagrams": _datagrams,
    "kill": _kill,
    "limits": _limits,
    "leave the group": _leave_group,
    "namespace": _namespace,
    "rights": _rights,
    "fork bomb": _fork_bomb,
    "eat": _eat,
    "eat together": _eat_together,
    "spin": _spin,
    "hold": _hold,
    "crash": _crash,
    "bug": _bug,
    "unusable": _unusable,
    "blob": _blob,
    "blob unnamed": _blob_unnamed,
    "scratch": _scratch,
    "program": _program,
    "setup": _setup,
    "large": _large,
}


def _run(arguments: Task, blobs: Fetch) -> Found:
    try:
        seen = ACTS[arguments.act](arguments, blobs)
    except OSError as error:
        seen = f"{type(error).__name__}: {error}"
    return Found(findings=(str(seen),))


HOSTILE = tool(
    "hostile",
    _run,
    "Tries what it is told to.",
    permission="sophia:read",
    limits=ToolLimits(s_max=30, memory_bytes_max=MEMORY_BYTES_MAX),
)
