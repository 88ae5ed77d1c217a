"""Reading documents that may be hostile in a process of its own: bounded in time and memory, and no loss if it dies.

The process is started with the first document and serves the others, until one takes too long or kills it.
"""

import contextlib
import os
import resource
import selectors
import struct
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from adapters.documents import Document, Kind, read_document
from runtime.errors import OutcomeError

DOCUMENT_S_MAX = 60.0
START_S_MAX = 30.0
MEMORY_BYTES_MAX = 2 * 1024**3  # of addresses
_LENGTH = struct.Struct(">Q")
_CHUNK = 1 << 16


class _Answer(Struct, frozen=True):
    document: Document | None = None
    reason: str = ""


class CarefulReader:
    """Reads one document after the other. Close it, or use it as a context."""

    def __init__(self, *, document_s_max: float = DOCUMENT_S_MAX) -> None:
        self._document_s_max = document_s_max
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def read(self, kind: Kind, data: bytes) -> Document:
        """Raises OutcomeError with the reason why it cannot be read."""
        fresh = self._process is None
        process = self._process = self._process or _started()
        limit_s = self._document_s_max + (START_S_MAX if fresh else 0)
        until = time.monotonic() + limit_s
        try:
            _exchange(process, _message(kind.encode()) + _message(data), until)
            answer = msgspec.msgpack.decode(_received(process, until), type=_Answer)
        except TimeoutError:
            self.close()
            raise OutcomeError(f"reading it took longer than {self._document_s_max:g} s") from None
        except (BrokenPipeError, EOFError):
            self.close()
            raise OutcomeError("reading it ended the process that did: it is broken, or made to do harm") from None
        if answer.document is None:
            raise OutcomeError(answer.reason)
        return answer.document


def _started() -> subprocess.Popen[bytes]:
    # `-P`: nothing of the folder we stand in is imported. What is read decides nothing but its own text.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "adapters.careful_reading"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us: we end it.
    )
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    os.set_blocking(process.stdin.fileno(), False)
    return process


def _message(body: bytes) -> bytes:
    return _LENGTH.pack(len(body)) + body


def _exchange(process: subprocess.Popen[bytes], body: bytes, until: float) -> None:
    """Write it all. Raises TimeoutError, BrokenPipeError."""
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    rest = memoryview(body)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdin, selectors.EVENT_WRITE)
        while rest:
            _ready(selector, until)
            rest = rest[os.write(process.stdin.fileno(), rest[:_CHUNK]) :]


def _received(process: subprocess.Popen[bytes], until: float) -> bytes:
    """One message. Raises TimeoutError, EOFError."""
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)

        def take(size: int) -> bytes:
            found = bytearray()
            while len(found) < size:
                _ready(selector, until)
                chunk = os.read(process.stdout.fileno(), min(_CHUNK, size - len(found)))  # type: ignore[union-attr] # as above
                if not chunk:
                    raise EOFError
                found += chunk
            return bytes(found)

        (size,) = _LENGTH.unpack(take(_LENGTH.size))
        return take(size)


def _ready(selector: selectors.BaseSelector, until: float) -> None:
    if not selector.select(max(0.0, until - time.monotonic())):
        raise TimeoutError


def main() -> None:
    """The process: documents on stdin, what they say on stdout."""
    with contextlib.suppress(ValueError, OSError):  # Where the system knows no such limit there is the time alone.
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    while head := sys.stdin.buffer.read(_LENGTH.size):
        kind = msgspec.convert(sys.stdin.buffer.read(*_LENGTH.unpack(head)).decode(), Kind)
        data = sys.stdin.buffer.read(*_LENGTH.unpack(sys.stdin.buffer.read(_LENGTH.size)))
        try:
            answer = _Answer(read_document(kind, data))
        except OutcomeError as error:
            answer = _Answer(reason=str(error))
        except (MemoryError, RecursionError) as error:
            answer = _Answer(reason=f"reading it takes too much memory ({type(error).__name__})")
        sys.stdout.buffer.write(_message(msgspec.msgpack.encode(answer)))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
