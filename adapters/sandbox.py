"""Sandbox: tools in processes of their own, which reach nothing but what the call names (docs/adr/0037).

A zygote is started with the first call (adapters/sandbox_zygote.py) and forks a process for each; worker and tool talk over a
socket: arguments in, blobs as the tool asks for them, the result out.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from adapters import sandbox_zygote as zygote
from adapters.sandbox_zygote import HEADER, Begun, Ended, Order
from runtime.errors import OutcomeError, UnavailableError
from runtime.ports import Tool
from runtime.tool_runner import Blob

CALLS_MAX = 4  # at once in one worker; the others wait
BEGIN_S_MAX = 120.0  # until a tool's process runs: the zygote may have to import first
END_S_MAX = 10.0  # beyond a tool's own time, until the zygote has killed it and removed its folder
ARGUMENTS_BYTES_MAX = 64 << 20
RESULT_BYTES_MAX = 16 << 20
BLOBS_MAX = 256  # that one call may read
BLOBS_BYTES_MAX = 512 << 20  # of all these together

DIGEST = re.compile(r"[0-9a-f]{64}")
_BOOT = (
    "import json, socket, sys; sys.path[:] = json.loads(sys.argv[2]);"
    "from adapters.sandbox_zygote import main; main(socket.socket(fileno=int(sys.argv[1])))"
)
_REMEDY = {
    "time": "ask for less at a time, or raise the tool's s_max or limits.tool_s_max",
    "memory": "give it less data, or raise the tool's memory_bytes_max",
    "processes": "it starts too many at once: the tool has to be put right",
}


class Sandbox:
    """A ToolRunner whose tools cannot touch anything. `unprotected`: run them even where the kernel does not see to that."""

    def __init__(self, *, unprotected: bool = False, calls_max: int = CALLS_MAX) -> None:
        self._unprotected = unprotected
        self._free = asyncio.Semaphore(calls_max)
        self._process: subprocess.Popen[bytes] | None = None  # the zygote's keeper
        self._control: socket.socket | None = None

    async def start(self) -> None:
        """Nothing: the zygote begins with the first call."""

    async def stop(self) -> None:
        """End the zygote and all that runs under it."""
        process, self._process = self._process, None
        if self._control is not None:
            self._control.close()
            self._control = None
        if process is not None:
            await asyncio.to_thread(_ended, process)

    async def run(self, tool: Tool, arguments: Struct, blob: Blob, s_max: float) -> Struct:
        given = msgspec.json.encode(arguments)
        if len(given) > ARGUMENTS_BYTES_MAX:
            raise OutcomeError(
                f"{tool.name} takes at most {ARGUMENTS_BYTES_MAX:,} bytes of arguments: hand it a stored file"
            )
        async with self._place(tool, s_max):
            order = Order(
                module=tool.run.__module__,
                tool=tool.name,
                preload=tool.limits.preload,
                s_max=s_max,
                memory_bytes_max=tool.limits.memory_bytes_max,
                unprotected=self._unprotected,
            )
            async with self._called(order) as call:
                return await call.result(tool, given, blob)

    @asynccontextmanager
    async def _place(self, tool: Tool, s_max: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(s_max):
                await self._free.acquire()
        except TimeoutError:
            raise UnavailableError(f"tool {tool.name}", f"no process was free for {s_max:g} s") from None
        try:
            yield
        finally:
            self._free.release()

    @asynccontextmanager
    async def _called(self, order: Order) -> AsyncIterator["_Call"]:
        """A tool's process, which is killed when this is left."""
        with _pair(socket.SOCK_STREAM) as (data, its_data), _pair(socket.SOCK_SEQPACKET) as (life, its_life):
            self._order(order, its_data, its_life)
            its_data.close()
            its_life.close()
            life.settimeout(0)
            reader, writer = await asyncio.open_unix_connection(sock=data)
            try:
                yield _Call(order, reader, writer, life)
            finally:
                writer.close()

    def _order(self, order: Order, data: socket.socket, life: socket.socket) -> None:
        message, descriptors = msgspec.json.encode(order), [data.fileno(), life.fileno()]
        for attempt in range(2):
            try:
                socket.send_fds(self._zygote(), [message], descriptors)
            except OSError as error:  # It ended: it was idle for long, or somebody killed it.
                if self._control is not None:
                    self._control.close()
                self._control = None
                if attempt:
                    raise UnavailableError("the sandbox", str(error)) from error
            else:
                return

    def _zygote(self) -> socket.socket:
        """The control socket of a zygote, started anew where there is none."""
        if self._control is None:
            if self._process is not None:
                _ended(self._process)
            ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with its:
                self._process = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, "-I", "-c", _BOOT, str(its.fileno()), json.dumps(_path())],
                    env=environment(),
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=None,
                    pass_fds=[its.fileno()],
                    start_new_session=True,  # a Ctrl-C is for the worker, which ends it
                )
            self._control = ours
        return self._control


class _Call:
    """The worker's side of one call."""

    def __init__(
        self, order: Order, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, life: socket.socket
    ) -> None:
        self._order = order
        self._reader = reader
        self._writer = writer
        self._life = life

    async def result(self, tool: Tool, given: bytes, blob: Blob) -> Struct:
        """What the tool returned. Raises OutcomeError, UnavailableError."""
        self._send(zygote.ARGUMENTS, given)
        begun = await self._news(BEGIN_S_MAX)
        ended = asyncio.create_task(self._ended(begun))
        try:
            async with asyncio.timeout(self._order.s_max + END_S_MAX):
                frame = await self._talk(named(given), blob, ended)
            self._life.shutdown(socket.SHUT_WR)  # It is not needed any more, whatever it still does.
            return self._concluded(tool, frame, await ended)
        except TimeoutError:
            raise UnavailableError("the sandbox", "its zygote did not end a tool in time") from None
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)

    async def _talk(self, allowed: frozenset[str], blob: Blob, ended: "asyncio.Task[Ended]") -> "_Frame | None":
        """Give the tool what it asks for until it says how it ended; None: it died."""
        read, blobs = 0, 0
        while True:
            try:
                kind, size = HEADER.unpack(await self._reader.readexactly(HEADER.size))
                if size > RESULT_BYTES_MAX:
                    raise OutcomeError(
                        f"the tool {self._order.tool} gave back {size:,} bytes, more than {RESULT_BYTES_MAX:,}: it has to sum up"
                    )
                content = await self._reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            if kind != zygote.WANTED:
                return kind, content
            answer = await self._fetched(content.decode(errors="replace"), allowed, blob, ended)
            if answer is None:
                return None
            self._send(*answer)
            read, blobs = read + len(answer[1]), blobs + 1
            if blobs > BLOBS_MAX or read > BLOBS_BYTES_MAX:
                raise OutcomeError(
                    f"the tool {self._order.tool} read more than {BLOBS_MAX} stored files or {BLOBS_BYTES_MAX:,} bytes of them:"
                    " ask for less at a time"
                )
            with contextlib.suppress(ConnectionError):  # it died: the next read says so
                await self._writer.drain()

    async def _fetched(
        self, digest: str, allowed: frozenset[str], blob: Blob, ended: "asyncio.Task[Ended]"
    ) -> "_Frame | None":
        """The stored file that the tool wants, or why it does not get it; None: it died meanwhile."""
        if digest not in allowed:
            return zygote.NO_BLOB, b"a tool reads only the stored files that its arguments name"
        fetching = asyncio.ensure_future(blob(digest))
        try:
            await asyncio.wait({fetching, ended}, return_when=asyncio.FIRST_COMPLETED)
            return (zygote.BLOB, fetching.result()) if fetching.done() else None
        except OutcomeError as error:
            return zygote.NO_BLOB, str(error).encode()
        finally:
            fetching.cancel()

    async def _ended(self, news: Begun | Ended | None) -> Ended:
        """How the zygote says that it ended. `news`: what it said first."""
        pid = news.pid if isinstance(news, Begun) else 0
        if isinstance(news, Begun):
            news = await self._news(None)
        if isinstance(news, Ended):
            return news
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(
                    pid, signal.SIGKILL
                )  # The tool died with the zygote; what it started, only if a keeper lives.
        raise UnavailableError("the sandbox", "its zygote died with a tool in hand")

    async def _news(self, s_max: float | None) -> Begun | Ended | None:
        try:
            async with asyncio.timeout(s_max):
                message = await asyncio.get_running_loop().sock_recv(self._life, zygote.NEWS_BYTES_MAX)
        except TimeoutError:
            raise UnavailableError("the sandbox", f"its zygote said nothing for {s_max:g} s") from None
        except ConnectionError:
            return None
        return msgspec.json.decode(message, type=Begun | Ended) if message else None

    def _send(self, kind: bytes, content: bytes) -> None:
        self._writer.write(HEADER.pack(kind, len(content)))
        self._writer.write(content)

    def _concluded(self, tool: Tool, frame: "_Frame | None", ended: Ended) -> Struct:
        name, limits = tool.name, {"time": f"{self._order.s_max:g} s", "processes": f"{zygote.PROCESSES_MAX} processes"}
        limits["memory"] = f"{self._order.memory_bytes_max:,} bytes of memory"
        if ended.unloaded:
            raise OutcomeError(f"the tool {name} cannot be loaded, which is a fault of its own: {ended.unloaded}")
        kind, content = frame or (b"", b"")
        text = content.decode(errors="replace") if kind != zygote.RESULT else ""
        broken = "memory" if kind == zygote.TOO_MUCH else "" if frame else ended.limit
        if broken:
            took = "longer" if broken == "time" else "more"
            raise OutcomeError(f"the tool {name} took {took} than {limits[broken]}: {_REMEDY[broken]}")
        if kind == zygote.RESULT:
            try:
                return msgspec.json.decode(content, type=tool.result)
            except msgspec.MsgspecError as error:
                raise OutcomeError(f"the tool {name} gave back what is no {tool.result.__name__}: {error}") from error
        if kind == zygote.REFUSED:
            raise OutcomeError(text)
        if kind == zygote.UNPROTECTED:
            raise OutcomeError(
                f"the tool {name} was not run: {text}; `diarchy doctor` says more, and tools.unprotected = true lets tools run"
                " without protection"
            )
        if kind == zygote.BROKEN:
            raise OutcomeError(f"the tool {name} failed, which is a fault of its own: {text}")
        died = signal.Signals(ended.signal).name if ended.signal in set(signal.Signals) else "no answer"
        raise OutcomeError(f"the tool {name} crashed ({died}), which is a fault of its own or too little memory")


_Frame = tuple[bytes, bytes]


def named(arguments: bytes) -> frozenset[str]:
    """The digests that stand in encoded arguments, each as a whole text."""
    found: set[str] = set()
    left: list[object] = [msgspec.json.decode(arguments)]
    while left:
        match left.pop():
            case str() as text if DIGEST.fullmatch(text):
                found.add(text)
            case list() as several:
                left.extend(several)
            case dict() as fields:
                left.extend(fields.values())
                left.extend(fields)
            case _:
                pass
    return frozenset(found)


def environment() -> dict[str, str]:
    """All that tools see of it: nothing of ours, no secret."""
    programs = Path(sys.prefix) / "bin"
    return {
        "PATH": f"{programs}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",  # A process that has threads cannot be forked.
        "OMP_NUM_THREADS": "1",
    }


def _path() -> list[str]:
    """Where this process imports from, as absolute paths."""
    return [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - an entry may be a zip file or missing


@contextlib.contextmanager
def _pair(kind: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, its = socket.socketpair(socket.AF_UNIX, kind)
    with ours, its:
        yield ours, its


def _ended(process: "subprocess.Popen[bytes]") -> None:
    """Wait until it has killed its tools and left; after a while it is killed itself, and its keeper."""
    try:
        process.wait(END_S_MAX)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
