"""Every limit at the edge: what is too often or too much is answered 429 or 503 with Retry-After, and nothing grows."""

import asyncio
from dataclasses import replace

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import Record
from gateway import rates
from gateway.app import Gateway
from gateway.problems import ProblemError
from gateway.rates import Quota, Rates
from gateway.routes import ROUTES
from runtime.errors import FullError
from tests.gateway_world import SETTINGS, World, run

ONE = Quota(per_minute=3, per_hour=5)


class Clock:
    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def refused(response: httpx.Response, status: int, slug: str) -> int:
    """The seconds of its Retry-After."""
    assert (response.status_code, response.json()["type"]) == (status, f"urn:diarchy:problem:{slug}"), response.text
    return int(response.headers["Retry-After"])


def admitted(counters: Rates, times: int, user: str = "ann", path: str = "/a") -> int:
    """How many of so many requests are let through."""
    return sum(waiting_s(counters, user, path) is None for _ in range(times))


def waiting_s(counters: Rates, user: str = "ann", path: str = "/a") -> int | None:
    """How long the next request is told to wait; None when it is let through."""
    try:
        counters.admit("sophia", user, "POST", path)
    except ProblemError as problem:
        return int(problem.headers["Retry-After"])
    return None


def test_a_minute_and_an_hour_have_their_quotas() -> None:
    clock = Clock()
    counters = Rates({"sophia": ONE}, clock)
    assert admitted(counters, 10) == 3
    clock.now += 120
    assert admitted(counters, 10) == 2  # the hour's five
    clock.now += 2 * rates.HOUR_S
    assert admitted(counters, 10) == 3


def test_users_and_paths_are_counted_apart_and_classes_without_a_quota_not_at_all() -> None:
    counters = Rates({"sophia": ONE}, Clock())
    assert admitted(counters, 4) == 3
    assert admitted(counters, 4, user="bob") == 3
    assert admitted(counters, 4, path="/b") == 3
    assert [counters.admit("open", "ann", "GET", "/v1/me") for _ in range(9)] == [{}] * 9


def test_who_waits_as_long_as_he_is_told_is_let_through() -> None:
    clock = Clock(999_990.0)
    counters = Rates({"sophia": Quota(per_minute=4, per_hour=100)}, clock)
    for pause_s in (0, 3, 11, 29, 47):
        admitted(counters, 10)
        clock.now += pause_s
        admitted(counters, 10)
        told_s = waiting_s(counters)
        assert told_s is not None
        assert told_s > 0
        clock.now += told_s
        assert waiting_s(counters) is None


@given(st.lists(st.floats(0, 30), max_size=200), st.integers(1, 8))
def test_no_minute_has_more_than_its_quota_and_a_little(pauses: list[float], quota: int) -> None:
    clock = Clock()
    counters = Rates({"sophia": Quota(per_minute=quota, per_hour=100_000)}, clock)
    let: list[float] = []
    for pause_s in pauses:
        clock.now += pause_s
        if admitted(counters, 1):
            let.append(clock.now)
    for moment in let:
        # The estimate spreads the last period's requests evenly over it: an uneven one is off by at most what it had.
        assert sum(moment - rates.MINUTE_S < one <= moment for one in let) < 2 * quota


def test_what_is_remembered_of_users_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "COUNTERS_MAX", 10)
    counters = Rates({"sophia": ONE}, Clock())
    for number in range(100):
        counters.admit("sophia", f"user-{number}", "POST", "/a")
    assert len(counters._counters) == 10


def test_who_asks_too_often_is_told_how_long_to_wait() -> None:
    async def body() -> None:
        settings = msgspec.structs.replace(SETTINGS, cross_quota=ONE)
        async with World(settings) as world, world.client("cross_domain_user") as ann:
            left = [(await ann.get("/v1/sessions")).headers["RateLimit"].split(";")[1] for _ in range(3)]
            assert left == ["r=2", "r=1", "r=0"]
            again = await ann.get("/v1/sessions")
            assert 0 < refused(again, 429, "too-many-requests") <= 120
            assert again.headers["RateLimit-Policy"] == '"minute";q=3;w=60, "hour";q=5;w=3600'
            assert (await ann.get("/v1/me")).status_code == 200
            async with world.client("cross_domain_user", name="bob") as bob, world.client("admin", name="root") as root:
                assert (await bob.get("/v1/sessions")).status_code == 200
                assert {(await root.get("/v1/sessions")).status_code for _ in range(9)} == {200}

    run(body)


def test_an_import_has_a_limit_of_its_own_and_takes_nothing_from_questions() -> None:
    ours = ("imports", "imports/collections", "imports/adoptable", "imports/searchable")

    async def body() -> None:
        settings = msgspec.structs.replace(SETTINGS, cross_quota=ONE, import_quota=Quota(per_minute=7, per_hour=90))
        async with World(settings) as world, world.client("cross_domain_user") as ann:
            known = {(row.method, row.path) for row in ROUTES if row.path.startswith("/v1/knowledge/imports")}
            assert {path for _, path in known} == {f"/v1/knowledge/{name}" for name in ours}
            for method, path in (*sorted(known), ("POST", "/v1/files")):
                headers = (await ann.request(method, path)).headers
                assert headers["RateLimit-Policy"] == '"minute";q=7;w=60, "hour";q=90;w=3600', path
            for method, path in (("POST", "/v1/knowledge"), ("GET", "/v1/knowledge"), ("POST", "/v1/knowledge/search")):
                headers = (await ann.request(method, path)).headers
                assert headers["RateLimit-Policy"] == '"minute";q=3;w=60, "hour";q=5;w=3600', path

    run(body)


def test_a_full_inbox_is_503_full() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:

            async def full(subject: str, record: Record, **_: object) -> None:  # noqa: ARG001 - the port's
                raise FullError("inbox of sophia", "too much waits there already")

            world.queue.publish = full  # type: ignore[method-assign]
            assert refused(await ann.post("/v1/sophia/ask", json={"question": "q"}), 503, "full") > 0

    run(body)


def test_bodies_share_one_room_and_leave_it() -> None:
    async def body() -> None:
        settings = msgspec.structs.replace(SETTINGS, bodies_bytes_max=10_000)
        async with World(settings) as world, world.client("sophia_user") as ann:
            arrived = asyncio.Event()
            go_on = asyncio.Event()

            async def slowly() -> object:
                yield b'{"question": "' + b"a" * 5_000
                arrived.set()
                await go_on.wait()
                yield b'"}'

            headers = {"Content-Type": "application/json"}
            first = asyncio.create_task(
                ann.post("/v1/sophia/ask", content=slowly(), headers=headers)  # type: ignore[arg-type]
            )
            await arrived.wait()
            question = {"question": "b" * 6_000}
            assert refused(await ann.post("/v1/sophia/ask", json=question), 503, "full") > 0
            go_on.set()
            assert (await first).status_code == 200
            assert (await ann.post("/v1/sophia/ask", json=question)).status_code == 200
            for status, content in ((400, b"{"), (422, b"[]")):
                assert (await ann.post("/v1/sophia/ask", content=content, headers=headers)).status_code == status
            assert world.gateway._handler._room.held == 0

    run(body)


def test_runs_that_are_answered_are_not_watched_any_more() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:
            opened, closed = 0, 0
            real = world.log.watch

            async def counting(subject: str, *, after: int, from_now: bool = False) -> object:
                nonlocal opened
                opened += 1
                watch = await real(subject, after=after, from_now=from_now)

                async def close() -> None:
                    nonlocal closed
                    closed += 1

                watch.close = close  # type: ignore[method-assign]
                return watch

            world.services = replace(world.services)
            world.log.watch = counting  # type: ignore[method-assign, assignment]
            world.gateway = Gateway(world.services)
            for headers in ({}, {"Prefer": "respond-async"}, {"Accept": "text/event-stream"}, {"Idempotency-Key": "k"}):
                await ann.post("/v1/sophia/ask", json={"question": "q"}, headers=headers)
            assert (opened, closed) == (4, 4)

    run(body)
