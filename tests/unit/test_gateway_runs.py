"""One request is one run: its key, its root span, its place in a session that is already long."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from contracts import subjects
from contracts.domains import Domain
from contracts.subjects import ActorRef
from gateway.app import Gateway
from gateway.conversing import CONVERSATION
from runtime.telemetry import REQUESTS_TOTAL, SPAN_REQUEST, NoTelemetry
from tests.gateway_world import World, run

CALLER = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


class Span:
    traceparent = "00-11111111111111111111111111111111-2222222222222222-01"

    def __init__(self) -> None:
        self.notes: dict[str, Any] = {}
        self.failure = ""

    def note(self, **attributes: str | int | float | bool) -> None:
        self.notes.update(attributes)

    def fail(self, reason: str) -> None:
        self.failure = reason


class Watching(NoTelemetry):
    """Remembers spans and counts."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, dict[str, Any], Span]] = []
        self.counts: list[dict[str, str]] = []

    @contextmanager
    def span(self, name: str, **given: Any) -> Iterator[Span]:
        span = Span()
        self.spans.append((name, given, span))
        yield span

    def count(self, metric: str, amount: float = 1, **labels: str) -> None:  # noqa: ARG002 - the port's
        if metric == REQUESTS_TOTAL:
            self.counts.append(labels)


def watched(world: World) -> Watching:
    telemetry = Watching()
    world.services = replace(world.services, telemetry=telemetry)
    world.gateway = Gateway(world.services)
    return telemetry


def test_a_command_is_the_root_of_its_run_and_a_repeat_is_the_same_span() -> None:
    async def body() -> None:
        async with World() as world:
            telemetry = watched(world)
            async with world.client("sophia_user") as ann:
                headers = {"Idempotency-Key": "k", "traceparent": CALLER}
                for _ in range(2):
                    turn = (await ann.post("/v1/sophia/ask", json={"question": "q"}, headers=headers)).json()
            names = [(name, given["run"], given["seed"], given.get("parent")) for name, given, _ in telemetry.spans]
            assert names == [(SPAN_REQUEST, turn["id"], turn["id"], None)] * 2
            assert telemetry.spans[0][2].notes == {"caller_traceparent": CALLER, "status": 200}
            actor = ActorRef(Domain.SOPHIA, CONVERSATION, turn["session"])
            first = (await world.log.read(subjects.log(actor)))[0].record.envelope
            assert (first.correlation, first.principal) == (turn["id"], "ann")
            stored = world.broker.inboxes[Domain.SOPHIA].messages[0].record
            assert stored is not None
            assert stored.envelope.traceparent == Span.traceparent

    run(body)


def test_requests_are_counted_by_route_and_only_known_askers_leave_spans() -> None:
    async def body() -> None:
        async with World() as world:
            telemetry = watched(world)
            async with world.client() as nobody:
                await nobody.get("/v1/sessions/sophia-1")
                await nobody.get("/nowhere/at/all")
            assert telemetry.counts == [
                {"route": "/v1/sessions/{session}", "method": "GET", "status": "401"},
                {"route": "(none)", "method": "(any)", "status": "404"},
            ]
            assert telemetry.spans == []
            async with world.client("sophia_user") as ann:
                await ann.get("/v1/sessions/sophia-1")
                world.reads.down = True
                await ann.get("/v1/sessions")
            assert [(span.notes["status"], span.failure) for _, _, span in telemetry.spans] == [
                (404, ""),
                (503, "unavailable"),
            ]

    run(body)


def test_a_keyed_question_in_a_long_session_is_asked_once_even_by_a_new_gateway() -> None:
    async def body() -> None:
        async with World() as world:
            async with world.client("sophia_user") as ann:
                session = (await ann.post("/v1/sessions", json={"domain": "sophia"})).json()["id"]
                path = f"/v1/sessions/{session}/messages"
                await ann.post(path, json={"question": "before"})
                keyed: dict[str, Any] = {"json": {"question": "once"}, "headers": {"Idempotency-Key": "k"}}
                first = (await ann.post(path, **keyed)).json()
                await ann.post(path, json={"question": "after"})
                assert (await ann.post(path, **keyed)).json() == first
            watched(world)
            async with world.client("sophia_user") as ann:
                assert (await ann.post(path, **keyed)).json() == first
                other = {**keyed, "json": {"question": "another"}}
                assert (await ann.post(path, **other)).status_code == 422
            assert world.agents.asked == 3

    run(body)


def test_a_known_session_is_read_on_from_where_it_was() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            session = (await ann.post("/v1/sessions", json={"domain": "sophia"})).json()["id"]
            starts: list[int] = []
            read = world.log.read

            async def watched_read(subject: str, *, after: int = 0, limit: int | None = None) -> Any:
                if subject == subjects.log(ActorRef(Domain.SOPHIA, CONVERSATION, session)):
                    starts.append(after)
                return await read(subject, after=after, limit=limit)

            world.log.read = watched_read  # type: ignore[method-assign]
            for _ in range(3):
                await ann.post(f"/v1/sessions/{session}/messages", json={"question": "next"})
            assert starts.count(0) == 1, "the gateway's first look; the host has the actor in memory"

    run(body)
