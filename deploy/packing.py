"""Packing what a question names, in a process of its own that is bounded in memory and time.

What is packed was made by others: git's objects may be made to do harm, a folder may be too big. That costs the process and
nothing else. It knows nothing of ours: of the environment it has what programs need to start.
"""

import asyncio
import contextlib
import math
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime.errors import InvalidError, OutcomeError

MEMORY_BYTES_MAX = 2 * 1024**3  # of addresses
AT_ONCE = 2  # repositories that are packed; more wait
ORPHAN_S_MAX = 5  # that a process goes on when nobody is there to end it
KEPT_VARIABLES = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Packed(Struct, frozen=True):
    """What a process gives back: an archive and what is in it, or the `reason` why not; `away`: a later try may do better."""

    content: bytes = b""
    text: str = ""
    reason: str = ""
    away: bool = False


class Packer:
    """Runs the processes, AT_ONCE at a time."""

    def __init__(self, *, read_s_max: float, bytes_max: int) -> None:
        self._read_s_max = read_s_max
        self._bytes_max = bytes_max
        self._free = asyncio.Semaphore(AT_ONCE)

    async def packed(self, place: str, module: str, arguments: Sequence[str]) -> Packed:
        """What `python -m module scratch-folder arguments…` packs. Raises OutcomeError, which names the `place`."""
        async with self._free:
            with tempfile.TemporaryDirectory(prefix="diarchy-packing-", ignore_cleanup_errors=True) as scratch:
                packed = await self._run(module, Path(scratch), arguments)
        if packed.reason:
            raise OutcomeError(f"{place} is not read: {packed.reason}", code=None if packed.away else "input")
        if len(packed.content) > self._bytes_max:
            raise OutcomeError(f"{place} is not read: packed it has more than {self._bytes_max:,} bytes", code="input")
        return packed

    async def _run(self, module: str, scratch: Path, arguments: Sequence[str]) -> Packed:
        # `-P`: nothing of the folder we stand in is imported.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", module, str(math.ceil(self._read_s_max)), str(scratch), *arguments),
            env=environment(scratch),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: we end it.
        )
        try:
            async with asyncio.timeout(self._read_s_max):
                printed, _ = await process.communicate()
        except TimeoutError:
            return Packed(reason=f"packing it took longer than {self._read_s_max:g} s (repositories.read_s_max)")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        try:
            return msgspec.msgpack.decode(printed, type=Packed)
        except msgspec.MsgspecError:
            return Packed(reason="packing it ended the process that did: it is broken, or made to do harm")


def environment(scratch: Path) -> dict[str, str]:
    """Of ours what starts a program; no secrets, and nobody's settings of git."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return kept | {"HOME": str(scratch), "TMPDIR": str(scratch), "GIT_CONFIG_NOSYSTEM": "1"}


def serve(work: Callable[[Path, Sequence[str]], Packed]) -> None:
    """The process: bounds itself, then hands its scratch folder and arguments to `work` and its result to who started it."""
    read_s_max, scratch, *arguments = sys.argv[1:]
    with contextlib.suppress(ValueError, OSError):  # Where the system knows no such limit there is the time alone.
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    signal.alarm(int(read_s_max) + ORPHAN_S_MAX)
    try:
        packed = work(Path(scratch), arguments)
    except (InvalidError, OSError) as error:
        packed = Packed(reason=str(error) if isinstance(error, InvalidError) else type(error).__name__)
    sys.stdout.buffer.write(msgspec.msgpack.encode(packed))
