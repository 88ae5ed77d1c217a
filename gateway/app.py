"""The ASGI application: the rows as paths of a Falcon app, and the answers to everything that is no row's."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import falcon
import falcon.asgi
from falcon.asgi import Request, Response

from contracts.ids import new_id
from gateway import openai_errors
from gateway.docs_page import docs_page
from gateway.execution import Execution
from gateway.handler import CORRELATION_HEADER, EXECUTION, SLOT, Handler, Responder, refuse
from gateway.openapi import openapi_document
from gateway.problems import problem_for
from gateway.routes import ROUTES
from gateway.rows import Answers, ErrorForm, Route
from gateway.services import Services
from gateway.streaming import Slot, Streams

AsgiReceive = Callable[[], Awaitable[dict[str, Any]]]
AsgiSend = Callable[[dict[str, Any]], Awaitable[None]]
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


_HEADERS = _encoded(SECURITY_HEADERS)
_SECURED = frozenset(name for name, _ in _HEADERS)
_DOCS_HEADERS = _encoded({**SECURITY_HEADERS, "Content-Security-Policy": DOCS_POLICY})


class Gateway:
    """The application with its streams: `app` is served, `streams.stop()` ends what waits."""

    def __init__(self, services: Services, routes: Sequence[Route] = ROUTES) -> None:
        settings = services.settings
        self.streams = Streams(streams_max=settings.streams_max, heartbeat_s=settings.heartbeat_s, clock=services.clock)
        self._handler = Handler(services, self.streams)
        self._forms: dict[str, ErrorForm] = {}
        self._app = falcon.asgi.App()
        self._app.req_options.keep_blank_qs_values = True
        self._app.add_error_handler(Exception, self._unrouted)
        self._app.add_error_handler(falcon.HTTPError, self._unrouted)  # The framework has its own handler for these.
        self._add([*table(routes, metrics_open=settings.metrics_open), *_documents(routes)])

    async def app(self, scope: dict[str, Any], receive: AsgiReceive, send: AsgiSend) -> None:
        """The ASGI application. A stream's place is free again, and a run watched no longer, whichever way its request ends."""
        try:
            await self._app(scope, receive, _secured(send, scope.get("path", "")))
        finally:
            slot: Slot | None = scope.get(SLOT)
            if slot is not None:
                slot.release()
            execution: Execution | None = scope.get(EXECUTION)
            if execution is not None:
                await execution.close()

    def _add(self, routes: list[Route]) -> None:
        by_path: dict[str, list[Route]] = defaultdict(list)
        for route in routes:
            by_path[route.path].append(route)
        for path, rows in by_path.items():
            resource = _Resource()
            template = path.removesuffix("}") + ":path}" if rows[0].rest else path
            self._forms[template] = rows[0].errors
            for row in rows:
                responder = self._handler.responder(row)
                setattr(resource, f"on_{row.method.lower()}", responder)
                if row.method == "GET":
                    resource.on_head = responder  # The framework leaves the body out and keeps its length.
            self._app.add_route(template, resource)

    async def _unrouted(self, request: Request, response: Response, error: Exception, _params: dict[str, Any]) -> None:
        correlation = new_id()
        problem, form = problem_for(error), self._forms.get(request.uri_template or "", "problem")
        if isinstance(error, falcon.HTTPNotFound) and (told := openai_errors.elsewhere(request.path)):
            problem, form = told, "openai"
        await refuse(problem, request, response, correlation, form)
        response.set_header(CORRELATION_HEADER, correlation)
        self._handler.count("(none)", "(any)", problem.status, 0.0)


class _Resource:
    """One path; its methods are set from the rows."""

    on_head: Responder


def _secured(send: AsgiSend, path: str) -> AsgiSend:
    """`send` with the security headers, put on at the end: as a middleware's they cost five times as much."""
    headers = _DOCS_HEADERS if path == "/docs" else _HEADERS

    async def sending(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            others = [pair for pair in message["headers"] if pair[0] not in _SECURED]
            message["headers"] = [*others, *headers]
        await send(message)

    return sending


def table(routes: Sequence[Route], *, metrics_open: bool) -> list[Route]:
    """The rows as configured."""
    if not metrics_open:
        return list(routes)
    return [replace(row, public=True, permissions=()) if row.path == "/metrics" else row for row in routes]


def _documents(routes: Sequence[Route]) -> list[Route]:
    document = openapi_document(routes)
    page = docs_page(document)

    async def openapi(_incoming: object) -> bytes:
        return document

    async def docs(_incoming: object) -> bytes:
        return page

    return [
        Route(method="GET", path="/openapi.json", summary="", action=Answers(openapi), limit="open", public=True),
        Route(
            method="GET",
            path="/docs",
            summary="",
            action=Answers(docs),
            limit="open",
            public=True,
            media="text/html; charset=utf-8",
        ),
    ]
