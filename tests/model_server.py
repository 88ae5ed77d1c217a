"""A real HTTP server that speaks OpenAI's chat and embeddings, answers by computation, and counts what it was asked.

Fault tests use it to prove that a model call is paid for once: every call is appended to a file, flushed and fsynced, before
it is answered. Run it with `python -m tests.model_server --port 0 --record FILE`; the first line printed is its base URL.
"""

import argparse
import base64
import contextlib
import hashlib
import json
import math
import os
import re
import struct
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

DIMENSIONS = 384
PIECE_CHARS = 7  # of a streamed answer, so that words and escapes are cut in two
POLL_S = 0.02


class Options:
    """What the server does besides answering; times in seconds. `failures` are (status, headers, body), used up one a call."""

    def __init__(
        self,
        *,
        record: Path | None = None,
        delay_s: float = 0.0,
        hold: int = 0,
        release: Path | None = None,
        json_schema: bool = True,
    ) -> None:
        self.record = record
        self.delay_s = delay_s
        self.hold = hold
        self.release = release
        self.json_schema = json_schema
        self.failures: list[tuple[int, dict[str, str], str]] = []


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

    def held_back(self, call: Call) -> None:
        """Wait as the options say; a held call waits until the release file is there or the server stops."""
        if self.options.delay_s:
            self.stopping.wait(self.options.delay_s)
        if call.number == self.options.hold:
            while not (self.options.release and self.options.release.exists()) and not self.stopping.wait(POLL_S):
                pass

    def __enter__(self) -> "ModelServer":
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": POLL_S}, daemon=True)
        self._thread.start()
        return self

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
            self._send(200, {"object": "list", "data": [{"id": "test-model", "object": "model"}]})
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
        if failure:
            self._write(failure[0], failure[2].encode(), failure[1])
        elif self.path == "/v1/embeddings":
            self._send(200, embeddings(request))
        elif request.get("stream"):
            self._stream(chunks(completion(request)))
        else:
            self._send(200, completion(request))

    def _send(self, status: int, body: dict[str, Any]) -> None:
        self._write(status, json.dumps(body).encode(), {})

    def _stream(self, events: Iterable[str]) -> None:
        """Server-sent events, each as one chunk."""
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in events:
                self._chunk(f"data: {event}\n\n".encode())
            self._chunk(b"")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # The caller was killed or gave up.

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


def completion(request: dict[str, Any]) -> dict[str, Any]:
    """A chat completion that follows from the request alone."""
    texts = [str(message.get("content") or "") for message in request.get("messages", [])]
    whole = "\n".join(texts)
    digest = hashlib.sha256(whole.encode()).hexdigest()
    last = texts[-1] if texts else ""
    schema = ((request.get("response_format") or {}).get("json_schema") or {}).get("schema")
    if schema:
        content = json.dumps(_of(schema, "", digest, last))
    elif request.get("response_format"):
        names = re.findall(r"^- (\w+):", texts[0] if texts else "", re.MULTILINE)
        sections = {name: _words(name, digest, last) for name in names}
        content = json.dumps({"sections": sections, "cited": ["1"], "confidence": _share(digest)})
    else:
        content = _words("answer", digest, last)
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if request.get("tools") and request["messages"][-1]["role"] != "tool":
        function = {"name": request["tools"][0]["function"]["name"], "arguments": json.dumps({"text": last})}
        call = {"id": f"call_{digest[:12]}", "type": "function", "function": function}
        content, message = "", {"role": "assistant", "content": None, "tool_calls": [call]}
    finish = "tool_calls" if "tool_calls" in message else "stop"
    read, written = len(whole.split()), len(content.split())
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request.get("model", "test-model"),
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def chunks(whole: dict[str, Any]) -> Iterator[str]:
    """A completion as the events of a stream: its text in small pieces, the reason to end, the usage, the end."""
    message = whole["choices"][0]["message"]
    head = {**whole, "object": "chat.completion.chunk"}
    del head["usage"]

    def event(delta: dict[str, Any], finish: str | None = None) -> str:
        return json.dumps({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    yield event({"role": "assistant", "content": ""})
    content = message["content"] or ""
    for at in range(0, len(content), PIECE_CHARS):
        yield event({"content": content[at : at + PIECE_CHARS]})
    for index, call in enumerate(message.get("tool_calls") or []):
        function = call["function"]
        yield event({"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]})
        for at in range(0, len(function["arguments"]), PIECE_CHARS):
            piece = function["arguments"][at : at + PIECE_CHARS]
            yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield event({}, whole["choices"][0]["finish_reason"])
    yield json.dumps({**head, "choices": [], "usage": whole["usage"]})
    yield "[DONE]"


def _of(schema: dict[str, Any], name: str, digest: str, echo: str) -> object:
    match schema.get("type"):
        case "object":
            return {key: _of(value, key, digest, echo) for key, value in schema.get("properties", {}).items()}
        case "array":
            return ["1"]
        case "number" | "integer":
            return _share(digest)
        case _:
            return _words(name, digest, echo)


def _words(name: str, digest: str, echo: str) -> str:
    return f"{name} {digest[:12]}: {' '.join(echo.split())[:200]} [1]"


def _share(digest: str) -> float:
    return round(0.5 + int(digest[:4], 16) / 0xFFFF / 2, 4)


def embeddings(request: dict[str, Any]) -> dict[str, Any]:
    """Unit vectors of the texts' words: texts that share words are near one another."""
    given = request.get("input", [])
    texts: list[str] = [given] if isinstance(given, str) else list(map(str, given))
    size = int(request.get("dimensions") or DIMENSIONS)
    data = []
    for index, text in enumerate(texts):
        vector = vector_of(text, size)
        packed: object = vector
        if request.get("encoding_format") == "base64":
            packed = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": packed})
    tokens = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": request.get("model", "test-model"), "data": data, "usage": usage}


def vector_of(text: str, size: int = DIMENSIONS) -> list[float]:
    """The unit vector of a text: each word adds to three places that its hash names."""
    vector = [0.0] * size
    for word in re.findall(r"\w+", text.lower()) or [""]:
        digest = hashlib.sha256(word.encode()).digest()
        for at in range(0, 12, 4):
            vector[int.from_bytes(digest[at : at + 3]) % size] += 1.0 if digest[at + 3] % 2 else -1.0
    norm = math.sqrt(sum(value * value for value in vector))
    return [value / norm for value in vector] if norm else [1.0, *[0.0] * (size - 1)]


def _options(arguments: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    yield "record", arguments.record
    yield "delay_s", arguments.delay_s
    yield "hold", arguments.hold
    yield "release", arguments.release
    yield "json_schema", not arguments.no_json_schema


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", type=Path, help="append a JSON line a call to this file")
    parser.add_argument("--delay-s", type=float, default=0.0, help="wait before every answer")
    parser.add_argument("--hold", type=int, default=0, help="block the Nth call (from 1) until the release file exists")
    parser.add_argument("--release", type=Path, help="the file that lets the held call go")
    parser.add_argument("--no-json-schema", action="store_true", help="refuse response_format json_schema with 400")
    arguments = parser.parse_args()
    with ModelServer(Options(**dict(_options(arguments))), arguments.port) as server:
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.stopping.wait()


if __name__ == "__main__":
    main()
