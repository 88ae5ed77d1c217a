"""The one generic handler: who asks, may he, is it well formed, then what the row says; every end is counted and traced."""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from falcon.asgi import Request, Response, SSEvent
from msgspec import Struct

from contracts.domains import Clearance
from contracts.ids import new_id
from gateway import openai_errors, reading
from gateway.commands import SESSION_HEADER, Incoming
from gateway.execution import IDEMPOTENCY_KEY, Attempt, Ended, Execution, bound_key, checked_key, message_id
from gateway.identity import EXPIRED, Principal
from gateway.problems import MEDIA_PROBLEM, ProblemError, UnauthenticatedError, document, problem_for
from gateway.rates import Quota, Rates
from gateway.rows import COUNTED, MEDIA_JSON, Answers, Does, ErrorForm, Route
from gateway.services import Services
from gateway.streaming import Streams, command_events, log_events, problem_event
from runtime.telemetry import REQUEST_SECONDS, REQUESTS_TOTAL, SPAN_REQUEST, Span

CORRELATION_HEADER = "Diarchy-Correlation-Id"
LAST_EVENT_ID = "Last-Event-ID"
SLOT = "diarchy.slot"
EXECUTION = "diarchy.execution"
ANONYMOUS = Principal(username="", roles=(), clearance=Clearance.PUBLIC)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
STOPPING = ProblemError(503, "stopping", "this gateway is being stopped; what was asked goes on, ask again for it")
_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Responder = Callable[..., Awaitable[None]]


class Handler:
    """Answers the requests of all rows."""

    def __init__(self, services: Services, streams: Streams) -> None:
        self._services = services
        self._streams = streams
        self._in_flight = 0
        settings = services.settings
        quotas: dict[str, Quota] = {
            **dict.fromkeys(COUNTED, settings.domain_quota),
            "cross_domain": settings.cross_quota,
            "import": settings.import_quota,
        }
        self._rates = Rates(quotas)
        self._room = reading.Room(settings.bodies_bytes_max)

    def responder(self, route: Route) -> Responder:
        """What the framework calls for the row's path and method."""

        async def respond(request: Request, response: Response, **path: str) -> None:
            started = time.perf_counter()
            correlation = new_id()
            self._in_flight += 1
            try:
                correlation = await self._admitted(route, request, response, path, correlation)
            except Exception as error:  # noqa: BLE001 - every failure becomes a problem document
                await refuse(problem_for(error), request, response, correlation, route.errors)
            finally:
                self._in_flight -= 1
            response.set_header(CORRELATION_HEADER, correlation)
            self.count(route.path, request.method, response.status_code, time.perf_counter() - started)

        return respond

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        telemetry = self._services.telemetry
        telemetry.count(REQUESTS_TOTAL, route=route, method=method, status=str(status))
        telemetry.observe(REQUEST_SECONDS, seconds, route=route)

    async def _admitted(
        self, route: Route, request: Request, response: Response, path: dict[str, str], fallback: str
    ) -> str:
        """Authenticate, authorise, answer under the root span; the run's correlation id."""
        settings = self._services.settings
        if self._in_flight > settings.requests_in_flight_max:
            raise ProblemError(503, "full", "too many requests at once; try again", headers={"Retry-After": "1"})
        if route.public:
            await self._answer(route, request, response, path, _Asker(ANONYMOUS, fallback, None, None))
            return fallback
        principal = self._services.tokens.verify(reading.bearer(request))
        if not principal.may("system:admin"):
            _set(response, self._rates.admit(route.limit, principal.username, route.method, route.path))
        if route.permissions:
            principal.require(*route.permissions)
        key = None if route.method == "GET" else checked_key(request.get_header(IDEMPOTENCY_KEY))
        keyed = key if isinstance(route.action, Does) else None
        run = fallback if keyed is None else message_id(principal, route.method, request.path, keyed)
        attributes = {"method": route.method, "route": route.path, "principal": principal.username}
        span_context = self._services.telemetry.span(SPAN_REQUEST, run=run, seed=run, attributes=attributes)
        with span_context as span:
            _note_caller(span, request)
            try:
                asker = _Asker(principal, run, key, span.traceparent)
                await self._answer(route, request, response, path, asker)
            except Exception as error:  # noqa: BLE001 - every failure becomes a problem document
                problem = problem_for(error)
                if problem.status >= 500:
                    span.fail(problem.slug)
                span.note(status=problem.status)
                await refuse(problem, request, response, run, route.errors)
            else:
                span.note(status=response.status_code)
        return run

    async def _answer(
        self, route: Route, request: Request, response: Response, path: dict[str, str], asker: "_Asker"
    ) -> None:
        settings = self._services.settings
        if route.streamed is None and reading.wants_stream(request, route):
            request.scope[SLOT] = self._streams.admit(asker.principal.username)
        bytes_max = settings.file_bytes_max if route.request is bytes else settings.body_bytes_max
        body = await reading.body_of(request, route, self._room, bytes_max=bytes_max)
        try:
            await self._act(route, (request, response), path, asker, body)
        finally:
            self._room.release(len(body))

    async def _act(
        self,
        route: Route,
        exchange: tuple[Request, Response],
        path: dict[str, str],
        asker: "_Asker",
        body: bytes,
    ) -> None:
        request, response = exchange
        query = reading.parameters(request, route)
        incoming = Incoming(
            services=self._services,
            principal=asker.principal,
            path=path,
            body=query if route.request is None else reading.decoded(route, body),
            id=asker.run,
            media_type=(request.content_type or "application/octet-stream")[:100],
            last_event_id=(request.get_header(LAST_EVENT_ID) or "")[:400],
            session=(request.get_header(SESSION_HEADER) or "")[:400],
        )
        if route.streamed is not None and route.streamed(incoming.body):
            request.scope[SLOT] = self._streams.admit(asker.principal.username)
        match route.action:
            case Answers(answer=_, live=live) if SLOT in request.scope and live is not None:
                events = log_events(live(incoming), instance=request.path, correlation=asker.run)
                self._open_stream(route, events, incoming, exchange)
            case Answers(answer=answer):
                write(response, route, await answer(incoming))
            case Does() as action:
                await self._do(route, action, incoming, asker.attempt(bound_key(asker.key, body)), exchange)

    async def _do(
        self,
        route: Route,
        action: Does,
        incoming: Incoming[Any],
        attempt: Attempt,
        exchange: tuple[Request, Response],
    ) -> None:
        request, response = exchange
        command = await action.build(incoming)
        execution = request.scope[EXECUTION] = Execution(
            self._services, command, attempt, action.tags, action.part_tags
        )
        await execution.begin()
        if SLOT in request.scope:
            self._follow(route, action, incoming, execution, exchange)
            return
        settings = self._services.settings
        patience = settings.wait_s if route.errors == "problem" else settings.wait_s_max  # OpenAI's clients know no 202
        seconds, applied = reading.wait_seconds(request, patience, settings.wait_s_max)
        seconds = min(seconds, self._streams.seconds_until(incoming.principal.expires))
        if applied:
            response.set_header("Preference-Applied", applied)
        ended = await self._streams.unless_stopping(execution.wait(seconds))
        if ended is None and route.errors == "openai" and not applied:
            raise openai_errors.unfinished(command.status_path, repeatable=attempt.key is not None)
        if ended is None:
            await self._streams.unless_stopping(execution.accepted(settings.accepted_s_max))
            write(response, route, await execution.pending(), status=202)
        else:
            write(response, route, await action.reply(incoming, command, ended))
        _set(response, action.headers(command, ended))
        if response.status_code in (201, 202):
            response.set_header("Location", quote(command.status_path, safe="/?&=-_"))

    def _follow(
        self,
        route: Route,
        action: Does,
        incoming: Incoming[Any],
        execution: Execution,
        exchange: tuple[Request, Response],
    ) -> None:
        request, response = exchange
        command = execution.command

        async def reply(ended: Ended) -> bytes:
            return msgspec.json.encode(await action.reply(incoming, command, ended))

        if action.chunks is not None:
            events = action.chunks(incoming, command, execution)
        else:
            after = int(incoming.last_event_id[:18]) if incoming.last_event_id[:18].isdecimal() else 0
            events = command_events(execution, reply, after=after, instance=request.path, correlation=incoming.id)
        _set(response, action.headers(command, None))
        self._open_stream(route, events, incoming, exchange)

    def _open_stream(
        self,
        route: Route,
        events: AsyncIterator[SSEvent],
        incoming: Incoming[Any],
        exchange: tuple[Request, Response],
    ) -> None:
        """Answer with the events, as long as the asker's token is valid."""
        request, response = exchange
        expired, stopped = UnauthenticatedError(EXPIRED), None
        if route.errors == "openai":  # Its clients take an end without an error for the end of the answer.
            last, stopped = openai_errors.event(expired), openai_errors.event(STOPPING)
        else:
            last = problem_event(expired, instance=request.path, correlation=incoming.id)
        response.status_code = 200
        _set(response, _STREAM_HEADERS)
        response.sse = self._streams.guarded(
            events, request.scope[SLOT], until=incoming.principal.expires, last=last, stopped=stopped
        )


class _Asker(Struct, frozen=True):
    """Who asks, the run his request is, his Idempotency-Key and the root span."""

    principal: Principal
    run: str
    key: str | None
    traceparent: str | None

    def attempt(self, key: str | None) -> Attempt:
        return Attempt(id=self.run, principal=self.principal, key=key, traceparent=self.traceparent)


def write(response: Response, route: Route, reply: Struct | bytes | None, *, status: int | None = None) -> None:
    """The reply as the row says: nothing, JSON, or bytes of the row's media type."""
    if reply is None:
        response.status_code = 204
        return
    response.status_code = status or route.status
    response.content_type = route.media if isinstance(reply, bytes) else MEDIA_JSON
    response.data = reply if isinstance(reply, bytes) else msgspec.json.encode(reply)


async def refuse(
    problem: ProblemError, request: Request, response: Response, correlation: str, form: ErrorForm = "problem"
) -> None:
    """Answer with the problem, in the form in which the path tells of its errors."""
    await reading.drain(request)
    if form == "openai":
        response.status_code = openai_errors.status_of(problem)
        response.content_type = openai_errors.MEDIA_ERROR
        response.data = openai_errors.document(problem)
        _set(response, openai_errors.headers_of(problem))
    else:
        response.status_code = problem.status
        response.content_type = MEDIA_PROBLEM
        response.data = document(problem, instance=request.path, correlation=correlation)
        _set(response, problem.headers)


def _set(response: Response, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        response.set_header(name, value)


def _note_caller(span: Span, request: Request) -> None:
    """A caller's own trace is remembered, not joined: what he sends is not trusted to name our runs."""
    traceparent = request.get_header("traceparent") or ""
    if _TRACEPARENT.fullmatch(traceparent):
        span.note(caller_traceparent=traceparent)
