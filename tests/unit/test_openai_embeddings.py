"""OpenAiEmbedder against a real HTTP server on a free port that answers as it is told."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from adapters import openai_embeddings
from adapters.openai_embeddings import OpenAiEmbedder
from runtime.errors import OutcomeError, UnavailableError
from runtime.vector_ports import Vector


class Server(ThreadingHTTPServer):
    """Answers `status`; a 200 gives each text the vector [its length, 0, 4] of `numbers` numbers, the last text first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.numbers = 3
        self.body: bytes | None = None
        self.requests: list[dict[str, object]] = []
        self.tokens: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(request)
        self.server.tokens.append(self.headers["authorization"])
        vectors = [[float(len(text)), 0.0, 4.0][: self.server.numbers] for text in request["input"]]
        data = [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)]
        answer = {"object": "list", "model": "m", "data": data[::-1], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        body = self.server.body or json.dumps(answer).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after", "0" if self.server.status != 429 else "17")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(openai_embeddings, "RETRIES_MAX", 0)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def embed(url: str, texts: list[str], timeout_s: float = 30) -> list[Vector]:
    async def run() -> list[Vector]:
        embedder = OpenAiEmbedder(url, "secret", "m", 3, timeout_s=timeout_s)
        try:
            return await embedder.embed(texts)
        finally:
            await embedder.close()

    return asyncio.run(run())


def test_vectors_come_in_order_and_normalised(server: Server) -> None:
    assert embed(server.url, ["abc", ""]) == [pytest.approx([0.6, 0, 0.8]), pytest.approx([0, 0, 1])]
    assert server.requests == [{"model": "m", "input": ["abc", ""], "encoding_format": "float"}]
    assert server.tokens == ["Bearer secret"]


def test_many_texts_are_several_requests(server: Server) -> None:
    texts = ["x" * (number % 5) for number in range(600)]
    vectors = embed(server.url, texts)
    assert [round(vector[0] / vector[2] * 4) for vector in vectors] == [len(text) for text in texts]
    assert len(server.requests) == 3
    assert embed(server.url, []) == []


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_what_may_pass_is_unavailable(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(UnavailableError, match=str(status)) as caught:
        embed(server.url, ["abc"])
    assert caught.value.retry_after_s == (17 if status == 429 else 1)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_may_be_the_texts_fault_is_an_outcome(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(OutcomeError, match=str(status)):
        embed(server.url, ["abc"])


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "its key is refused (HTTP 401): check api_key"),
        (403, "its key is refused (HTTP 403): check api_key"),
        (402, "the embedding server answered HTTP 402: bad key ***"),
        (404, "the embedding server answered HTTP 404: bad key ***: check its address and the model's name"),
        (500, "the embedding server answered HTTP 500: bad key ***"),
    ],
)
def test_what_is_no_texts_fault_is_waited_for_and_of_our_key_nothing_is_told(
    server: Server, status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.status, server.body = status, b'{"error": {"message": "bad key secret"}}'
    with pytest.raises(UnavailableError) as caught:
        embed(server.url, ["abc"])
    assert str(caught.value) == f"m is unavailable: {reason}"
    assert caught.value.told == ""
    logged = [record.getMessage() for record in caplog.records if record.name == openai_embeddings.__name__]
    refused = [f"m: the embedding server answered HTTP {status}: bad key ***"]
    assert logged == (refused if status in (401, 403) else [])


def test_what_is_said_of_our_key_is_logged_once_until_the_server_takes_it(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        embedder = OpenAiEmbedder(server.url, "secret", "m", 3)
        for status in (401, 401, 200, 401):
            server.status = status
            with contextlib.suppress(UnavailableError):
                await embedder.embed(["abc"])
        await embedder.close()

    asyncio.run(run())
    assert len([record for record in caplog.records if record.name == openai_embeddings.__name__]) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Log in, secret</html>",
        b'{"object": "list", "data": [{"index": 0, "embed',
        b'{"object": "list", "data": [{"index": 0, "embedding": [0.1, "\xff"]}]}',
        b"{}",
        b"[1]",
        b"[" * 100_000,
        b'{"error": "loading"}',
    ],
)
def test_an_answer_that_is_no_embeddings_is_waited_for(server: Server, body: bytes) -> None:
    server.body = body
    with pytest.raises(UnavailableError, match="m is unavailable: it answered no embeddings") as caught:
        embed(server.url, ["abc"])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "vectors",
    [
        b"[]",
        b'[{"index": 0, "embedding": null}]',
        b'[{"index": 0, "embedding": [0.1, null, 0.2]}]',
        b'[{"index": 0, "embedding": [0, 0, 0]}]',
    ],
)
def test_embeddings_without_a_vector_for_a_text_are_an_outcome(server: Server, vectors: bytes) -> None:
    server.body = b'{"object": "list", "data": ' + vectors + b"}"
    with pytest.raises(OutcomeError):
        embed(server.url, ["abc"])


def test_vectors_of_another_size_are_waited_for(server: Server) -> None:
    server.numbers = 2
    with pytest.raises(UnavailableError) as caught:
        embed(server.url, ["abc"])
    told = "its server gives 2 numbers where 3 are expected"
    assert (str(caught.value), caught.value.told) == (f"m is unavailable: {told}", told)


def test_no_server_and_a_server_that_is_gone(server: Server) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(UnavailableError, match="no answer"):
        embed(url, ["abc"])


def test_a_slow_server_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_embeddings, "RETRIES_MAX", 0)
    silent = Server()  # It listens, and nobody serves: connections are taken by the system and never answered.
    try:
        with pytest.raises(UnavailableError, match="no answer"):
            embed(silent.url, ["abc"], timeout_s=0.1)
    finally:
        silent.server_close()
