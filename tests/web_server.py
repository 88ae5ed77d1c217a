"""A real web for tests: a server of this machine, with a search engine as SearXNG and with pages, honest or hostile."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from runtime.text import words

ENDLESS_BYTES_MAX = 64_000_000  # that an endless page sends to whoever reads them all


class Answer(Struct):
    """One page. `body` as it is sent; `endless`: sent again and again; `slow`: never sent to its end, until the server stops."""

    body: bytes = b""
    media_type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = {}
    endless: bool = False
    slow: bool = False
    title: str = ""
    date: str = ""


def page(title: str, text: str, date: str = "") -> Answer:
    """An honest page: a menu, a script, its matter."""
    dated = f'<meta property="article:published_time" content="{date}">' if date else ""
    paragraphs = "".join(f"<p>{part}</p>" for part in text.split("\n\n"))
    html = (
        f"<!doctype html><html><head><title>{title}</title>{dated}<script>steal()</script></head><body><nav>Home | Log in</nav>"
        f"<h1>{title}</h1>{paragraphs}<footer>All rights reserved</footer></body></html>"
    )
    return Answer(body=html.encode(), title=title, date=date)


class WebServer:
    """`pages` by path. `asked` are the requests in their order: path, then what their headers said."""

    def __init__(self, pages: Mapping[str, Answer]) -> None:
        self.pages = dict(pages)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.failing = False  # the engine answers 503
        self.stopping = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    @contextmanager
    def running(self) -> Iterator["WebServer"]:
        self._thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._server.shutdown()
            self._server.server_close()

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def found(self, query: str, host: str) -> Answer:
        """As the engine answers."""
        if self.failing:
            return Answer(status=503)
        asked = frozenset(words(query))
        texts = {path: frozenset(words(one.body.decode("utf-8", "replace"))) for path, one in self.pages.items()}
        named = sorted((path for path in texts if asked & texts[path]), key=lambda path: -len(asked & texts[path]))
        results = [
            {"url": f"http://{host}{path}", "title": self.pages[path].title, "content": "a snippet", "engine": "test"}
            for path in named
            if path != "/robots.txt"
        ]
        return Answer(body=json.dumps({"query": query, "results": results}).encode(), media_type="application/json")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, web: WebServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.web = web


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        web, at = self.server.web, urlsplit(self.path)
        web.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        searched = at.path == "/search"
        answer = web.found(parse_qs(at.query)["q"][0], self.headers["Host"]) if searched else web.pages.get(at.path)
        self._send(answer or Answer(status=404))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not (answer.endless or answer.slow):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        try:
            self._body(answer)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _body(self, answer: Answer) -> None:
        sent = 0
        self.wfile.write(answer.body)
        while answer.endless and sent < ENDLESS_BYTES_MAX:
            self.wfile.write(answer.body)
            sent += len(answer.body)
        if answer.slow:
            self.wfile.flush()
            self.server.web.stopping.wait()

    def log_message(self, *_: object) -> None: ...
