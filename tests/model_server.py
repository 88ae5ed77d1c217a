"""A real HTTP server that speaks OpenAI's chat and embeddings, answers by computation, and counts what it was asked.

Fault tests use it to prove that a model call is paid for once: every call is appended to a file, flushed and fsynced, before
it is answered. Run it with `python -m tests.model_server --port 0 --record FILE`; the first line printed is its base URL.
"""

import argparse
import contextlib
import hashlib
import json
import os
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from tests.model_answers import Script, chunks, completion, embeddings

POLL_S = 0.02
DRIP_S = 0.1


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a streamed answer once `after` of its pieces were sent (0: before its first byte).

    `reset`: the connection is cut. `end`: the stream ends in order, too soon. `hang`: nothing more comes. `drip`: the rest comes
    slowly. `text`: this comes instead of the next piece. `flood`: text without end.
    """

    what: Literal["reset", "end", "hang", "drip", "text", "flood"]
    after: int = 0
    text: str = ""


class Options:
    """What the server does besides answering; times in seconds.

    `failures` are used up one a call, before `faults`: (status, headers, body), or None for a call that is answered.
    `script`: which tools it calls, one a step, where it is given tools.
    `held_after`: how many pieces of a streamed answer the held call gets before it is held.
    """

    def __init__(
        self,
        *,
        record: Path | None = None,
        delay_s: float = 0.0,
        hold: int = 0,
        release: Path | None = None,
        json_schema: bool = True,
        held_after: int = 0,
        script: Script = (),
    ) -> None:
        self.record = record
        self.delay_s = delay_s
        self.hold = hold
        self.release = release
        self.json_schema = json_schema
        self.held_after = held_after
        self.script = script
        self.failures: list[tuple[int, dict[str, str], str] | None] = []
        self.faults: list[Fault] = []
        self.models_status = 200


class Call:
    """One call as recorded: its place (from 1), path, idempotency key and the SHA-256 of its body."""

    def __init__(self, number: int, path: str, key: str, sha256: str) -> None:
        self.number, self.path, self.key, self.sha256 = number, path, key, sha256

    def line(self) -> str:
        return json.dumps({"n": self.number, "path": self.path, "key": self.key, "sha256": self.sha256}) + "\n"


def recorded(path: Path) -> list[dict[str, Any]]:
    """The calls in a record file, in order; empty when there is none yet. A line torn by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def calls_per_key(path: Path) -> Counter[str]:
    """How often each idempotency key was called."""
    return Counter(call["key"] for call in recorded(path))


class ModelServer(ThreadingHTTPServer):
    """Use it as a context manager in tests; `url` ends in /v1."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options: Options | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.options = options or Options()
        self.calls: list[Call] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.stopping = threading.Event()
        self.hanging = threading.Event()
        self.asked_for_models = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def note(self, path: str, key: str, body: bytes, decoded: dict[str, Any]) -> Call:
        """Count a call and store it durably."""
        with self._lock:
            call = Call(len(self.calls) + 1, path, key, hashlib.sha256(body).hexdigest())
            self.calls.append(call)
            self.bodies.append(decoded)
            if self.options.record:
                descriptor = os.open(self.options.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    os.write(descriptor, call.line().encode())
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        return call

    def next_failure(self) -> tuple[int, dict[str, str], str] | None:
        with self._lock:
            return self.options.failures.pop(0) if self.options.failures else None

    def next_fault(self) -> Fault | None:
        with self._lock:
            return self.options.faults.pop(0) if self.options.faults else None

    def held_back(self, call: Call) -> None:
        """Wait as the options say; a held call waits until the release file is there or the server stops."""
        if self.options.delay_s:
            self.stopping.wait(self.options.delay_s)
        if call.number == self.options.hold and not self.options.held_after:
            self.hang()

    def hang(self) -> None:
        """Until the release file is there or the server stops."""
        self.hanging.set()
        while not (self.options.release and self.options.release.exists()) and not self.stopping.wait(POLL_S):
            pass

    def __enter__(self) -> "ModelServer":
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": POLL_S}, daemon=True)
        self._thread.start()
        return self

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that was killed or gave up is no error of the server."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # the parent's types are private

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self.shutdown()
        if self._thread:
            self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ModelServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Quiet: the record file tells what was called."""

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self.server.asked_for_models.release()
            self._send(
                self.server.options.models_status, {"object": "list", "data": [{"id": "test-model", "object": "model"}]}
            )
        else:
            self._send(404, {"error": {"message": f"no such path: {self.path}"}})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            request = json.loads(body)
        except ValueError:
            self._send(400, {"error": {"message": "the body is not JSON"}})
            return
        if self.path not in ("/v1/chat/completions", "/v1/embeddings"):
            self._send(404, {"error": {"message": f"no such path: {self.path}"}})
            return
        wanted = (request.get("response_format") or {}).get("type")
        if wanted == "json_schema" and not self.server.options.json_schema:
            self._send(400, {"error": {"message": "response_format json_schema is not supported"}})
            return
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        call = self.server.note(self.path, self.headers.get("Idempotency-Key", ""), body, request)
        self.server.held_back(call)
        failure = self.server.next_failure()
        fault = None if failure else self.server.next_fault()
        if call.number == self.server.options.hold and self.server.options.held_after:
            fault = Fault("hang", self.server.options.held_after)
        if failure:
            self._write(failure[0], failure[2].encode(), failure[1])
        elif self.path == "/v1/embeddings":
            self._send(200, embeddings(request))
        elif request.get("stream"):
            self._stream(list(chunks(completion(request, self.server.options.script))), fault)
        else:
            self._send(200, completion(request, self.server.options.script))

    def _send(self, status: int, body: dict[str, Any]) -> None:
        self._write(status, json.dumps(body).encode(), {})

    def _stream(self, events: list[str], fault: Fault | None) -> None:
        """Server-sent events, each as one chunk, and what goes wrong among them."""
        if fault and fault.what == "reset" and not fault.after:
            self._cut()
            return
        if fault and fault.what == "hang" and not fault.after:
            self.server.hang()
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at, event in enumerate(events):
                if fault and at >= fault.after and self._goes_wrong(fault, first=at == fault.after):
                    return
                self._chunk(f"data: {event}\n\n".encode())
            self._chunk(b"")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # The caller was killed or gave up.

    def _goes_wrong(self, fault: Fault, *, first: bool) -> bool:
        """Whether the stream is over with that."""
        match fault.what:
            case "reset":
                self._cut()
            case "end":
                self._chunk(b"")
            case "text":
                self._chunk(fault.text.encode())
                self._chunk(b"")
            case "flood":
                while not self.server.stopping.is_set():
                    self._chunk(fault.text.encode())
            case "hang":
                if first:
                    self.server.hang()
                return False
            case "drip":
                return self.server.stopping.wait(DRIP_S)
        return True

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _write(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                **headers,
                "Content-Length": str(len(body)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = (
                True  # The caller was killed or gave up: what it asked for is recorded all the same.
            )


def _options(arguments: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    yield "record", arguments.record
    yield "delay_s", arguments.delay_s
    yield "hold", arguments.hold
    yield "release", arguments.release
    yield "json_schema", not arguments.no_json_schema
    yield "held_after", arguments.held_after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", type=Path, help="append a JSON line a call to this file")
    parser.add_argument("--delay-s", type=float, default=0.0, help="wait before every answer")
    parser.add_argument("--hold", type=int, default=0, help="block the Nth call (from 1) until the release file exists")
    parser.add_argument("--release", type=Path, help="the file that lets the held call go")
    parser.add_argument("--held-after", type=int, default=0, help="hold the call after so many pieces of its answer")
    parser.add_argument("--no-json-schema", action="store_true", help="refuse response_format json_schema with 400")
    arguments = parser.parse_args()
    with ModelServer(Options(**dict(_options(arguments))), arguments.port) as server:
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.stopping.wait()


if __name__ == "__main__":
    main()
