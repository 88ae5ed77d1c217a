"""The gateway's client against an HTTP transport in this process: streams, patience, and problems in one line."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import httpx
import msgspec
import pytest

from contracts.http import Analysis, AskQuestion, CreateAnalysis, FieldProblem, Health, Pending, Problem, Turn
from deploy import analysing
from deploy.asking import Asking, streamed, waited
from deploy.client import Gateway, GatewayError, ServerEvent, UnreachableError, parse_events, patiently

T = TypeVar("T")
Handle = Callable[[httpx.Request], httpx.Response]
ANSWERED = {
    "id": "t",
    "session": "s",
    "question": "?",
    "by": "d",
    "status": "answered",
    "asked": "2026-01-31T00:00:00Z",
}


def with_gateway(handle: Handle, use: Callable[[Gateway], Coroutine[Any, Any, T]]) -> T:
    async def scenario() -> T:
        async with Gateway("http://gateway", lambda: "secret", transport=httpx.MockTransport(handle)) as gateway:
            return await use(gateway)

    return asyncio.run(scenario())


def problem(status: int, detail: str = "", **headers: str) -> httpx.Response:
    body = msgspec.json.encode(Problem(type="urn:x", title="Title", status=status, detail=detail))
    return httpx.Response(
        status, content=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def test_a_stream_is_split_into_events_and_comments_are_left_out() -> None:
    async def lines() -> AsyncIterator[str]:
        for line in (": open", "", "event: progress", "id: 7", "data: {", "data: }", "", "data: x", ""):
            yield line

    async def all_of() -> list[ServerEvent]:
        return [event async for event in parse_events(lines())]

    assert asyncio.run(all_of()) == [ServerEvent("progress", "7", b"{\n}"), ServerEvent("message", "7", b"x")]


def test_requests_carry_the_token_and_replies_the_run() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer secret"
        return httpx.Response(200, json={"status": "ok"}, headers={"Diarchy-Correlation-Id": "run"})

    reply = with_gateway(handle, lambda gateway: gateway.send("GET", "/health"))
    assert (reply.status, reply.correlation) == (200, "run")


def test_a_problem_is_one_line_with_fields_permission_and_status() -> None:
    fields = (FieldProblem(field="$.title", detail="is missing"),)
    body = Problem(type="urn:x", title="T", status=422, detail="does not fit", permission="system:admin", errors=fields)

    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(422, content=msgspec.json.encode(body))

    with pytest.raises(GatewayError, match=r"^does not fit \(\$\.title: is missing\) \(needs system:admin\) \[422\]$"):
        with_gateway(handle, lambda gateway: gateway.get("/health", Health))


def test_what_is_no_problem_document_is_told_by_its_status() -> None:
    with pytest.raises(GatewayError, match=r"^Bad Gateway \[502\]$"):
        with_gateway(lambda _: httpx.Response(502, text="<html>"), lambda gateway: gateway.get("/health", Health))


def test_nobody_there_names_the_remedy() -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(UnreachableError, match=r"no gateway answers at http://gateway; start one with `diarchy up`"):
        with_gateway(handle, lambda gateway: gateway.get("/health", Health))


def test_patience_waits_as_told_and_ends() -> None:
    answers = [problem(429, Retry_After="0"), problem(503, Retry_After="0"), httpx.Response(200, json={"status": "ok"})]
    waits: list[float] = []

    async def use(gateway: Gateway) -> Health:
        return await patiently(
            lambda: gateway.get("/health", Health), patience_s=5, on_wait=lambda seconds, _: waits.append(seconds)
        )

    assert with_gateway(lambda _: answers.pop(0), use) == Health()
    assert waits == [0, 0]

    async def impatient(gateway: Gateway) -> Health:
        return await patiently(lambda: gateway.get("/health", Health), patience_s=5)

    with pytest.raises(GatewayError, match="wait a minute"):
        with_gateway(lambda _: problem(503, "wait a minute", Retry_After="60"), impatient)


def test_a_refusal_is_not_tried_again() -> None:
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return problem(403, "no")

    async def use(gateway: Gateway) -> Health:
        return await patiently(lambda: gateway.get("/health", Health), patience_s=5)

    with pytest.raises(GatewayError):
        with_gateway(handle, use)
    assert len(asked) == 1


ASKING = Asking(path="/v1/sophia/ask", question=AskQuestion(question="?"))


def sse(*events: tuple[str, object]) -> httpx.Response:
    text = "".join(f"event: {name}\ndata: {msgspec.json.encode(data).decode()}\n\n" for name, data in events)
    return httpx.Response(200, text=text, headers={"Content-Type": "text/event-stream"})


PROGRESS = {
    **dict.fromkeys(("kind", "actor", "type", "correlation", "principal"), "x"),
    **{"domain": "sophia", "sequence": 1, "time": "2026-01-31T00:00:00Z", "label": "internal"},
}


def test_a_broken_stream_is_taken_up_with_the_same_key_and_tells_nothing_twice() -> None:
    first, second = ({**PROGRESS, "id": "1"}, {**PROGRESS, "id": "2"})
    answers = [sse(("progress", first)), sse(("progress", first), ("progress", second), ("answer", ANSWERED))]
    keys: set[str] = set()

    def handle(request: httpx.Request) -> httpx.Response:
        keys.add(request.headers["Idempotency-Key"])
        assert request.headers["Accept"] == "text/event-stream"
        return answers.pop(0)

    told: list[str] = []

    async def use(gateway: Gateway) -> Turn:
        return await streamed(gateway, ASKING, lambda view: told.append(view.id), lambda _s, _why: None)

    assert with_gateway(handle, use).status == "answered"
    assert (told, len(keys)) == (["1", "2"], 1)


def test_an_answer_in_part_is_told_before_the_whole_one() -> None:
    parts: list[Turn] = []

    async def use(gateway: Gateway) -> Turn:
        return await streamed(gateway, ASKING, lambda _: None, lambda _s, _why: None, parts.append)

    whole = with_gateway(lambda _: sse(("partial", {**ANSWERED, "status": "partial"}), ("answer", ANSWERED)), use)
    assert (whole.status, [part.status for part in parts]) == ("answered", ["partial"])


def test_an_analysis_in_part_is_told_before_the_whole_one() -> None:
    whole: dict[str, Any] = {
        "id": "a1",
        "by": "ann",
        "subject": "Portal",
        "question": "?",
        "status": "completed",
        "label": "internal",
        "started": "2026-11-30T00:00:00Z",
    }
    missing = [{"phase": "feasibility", "domain": "artemis", "request_type": "x", "why": "it is away"}]
    parts: list[Analysis] = []

    async def use(gateway: Gateway) -> Analysis:
        wanted = CreateAnalysis(subject="Portal", question="?")
        return await analysing.streamed(gateway, wanted, lambda _: None, lambda _s, _why: None, parts.append)

    told = sse(("partial", {**whole, "status": "partial", "missing": missing}), ("answer", whole))
    assert with_gateway(lambda _: told, use).status == "completed"
    assert [(part.status, analysing.lacking(part)) for part in parts] == [
        ("partial", "feasibility (artemis: it is away)")
    ]


def test_a_problem_in_a_stream_is_raised() -> None:
    refused = Problem(type="urn:x", title="T", status=403, detail="above your clearance")

    async def use(gateway: Gateway) -> Turn:
        return await streamed(gateway, ASKING, lambda _: None, lambda _s, _why: None)

    with pytest.raises(GatewayError, match="above your clearance"):
        with_gateway(lambda _: sse(("problem", refused)), use)


def test_waiting_goes_on_until_the_answer_or_the_given_time() -> None:
    pending = {"correlation_id": "run", "status_url": "/v1/x", "status": "pending", "approvals": ["a1"]}
    answers = [httpx.Response(202, json=pending), httpx.Response(200, json=ANSWERED)]
    preferences: list[str] = []
    told: list[tuple[str, ...]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        preferences.append(request.headers["Prefer"])
        return answers.pop(0)

    def wait(seconds: int | None) -> Callable[[Gateway], Coroutine[Any, Any, Turn | Pending]]:
        return lambda gateway: waited(
            gateway, ASKING, seconds, lambda _s, _why: None, lambda pending: told.append(pending.approvals)
        )

    assert isinstance(with_gateway(handle, wait(None)), Turn)
    assert preferences == ["wait=60", "wait=60"]
    assert told == [("a1",)]
    answers = [httpx.Response(202, json=pending)]
    assert isinstance(with_gateway(handle, wait(0)), Pending)
