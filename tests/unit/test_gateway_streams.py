"""Streams end with their token, are shared out fairly, and never claim that what was accepted has failed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from falcon.asgi import SSEvent

from contracts.domains import Clearance
from gateway.app import Gateway
from gateway.identity import Principal
from gateway.problems import ProblemError
from gateway.streaming import Streams
from tests.gateway_world import SETTINGS, TOKENS, Blind, World, now, run, sse

LIVE = {"Accept": "text/event-stream"}
ANN = Principal(username="ann", roles=("sophia_user",), clearance=Clearance.CONFIDENTIAL)
LIFETIME_S = 3_600
EXPIRED = "the token has expired"


def nearly_expired(world: World) -> dict[str, str]:
    """The header of a token with up to a second left, as this world's clock goes."""
    world.services = replace(world.services, clock=lambda: now() + timedelta(seconds=LIFETIME_S - 1))
    world.gateway = Gateway(world.services)
    return {"Authorization": f"Bearer {TOKENS.issue(ANN, now(), lifetime_s=LIFETIME_S)}"}


def test_a_principal_knows_when_his_token_ends() -> None:
    at = now().replace(microsecond=0)
    token = TOKENS.issue(ANN, at, lifetime_s=LIFETIME_S)
    for _ in range(2):
        assert TOKENS.verify(token).expires == at + timedelta(seconds=LIFETIME_S)


def test_a_stream_of_events_ends_with_its_token_and_says_so() -> None:
    async def body() -> None:
        async with World() as world:
            headers = nearly_expired(world) | LIVE
            async with world.client("sophia_user") as ann:
                name, problem = sse((await ann.get("/v1/events", headers=headers)).text)[-1]
            assert (name, problem["status"], problem["detail"]) == ("problem", 401, EXPIRED)
            assert world.gateway.streams.open == 0

    run(body)


def test_a_question_that_outlives_its_token_is_no_longer_followed_nor_waited_for() -> None:
    async def body() -> None:
        async with World() as world:
            headers = nearly_expired(world)
            async with world.client("sophia_user") as ann:
                ask: dict[str, Any] = {"json": {"question": "slow one"}}
                streamed, waited = await asyncio.gather(
                    ann.post("/v1/sophia/ask", **ask, headers=headers | LIVE),
                    ann.post("/v1/sophia/ask", **ask, headers=headers),
                )
            name, problem = sse(streamed.text)[-1]
            assert (name, problem["detail"]) == ("problem", EXPIRED)
            assert waited.status_code == 202

    run(body)


def test_one_asker_has_a_share_of_the_streams_others_the_rest() -> None:
    streams = Streams(streams_max=30, heartbeat_s=1, clock=now)
    held = [streams.admit("ann") for _ in range(3)]
    with pytest.raises(ProblemError) as refused:
        streams.admit("ann")
    assert refused.value.status == 429
    assert int(refused.value.headers["Retry-After"]) > 0
    held += [streams.admit(f"user {number}") for number in range(27)]
    assert streams.open == 30
    with pytest.raises(ProblemError) as full:
        streams.admit("bob")
    assert full.value.status == 503
    for slot in held:
        slot.release()
        slot.release()
    assert streams.open == 0
    streams.admit("ann").release()


def test_a_small_gateway_has_a_stream_for_everybody() -> None:
    streams = Streams(streams_max=2, heartbeat_s=1, clock=now)
    streams.admit("ann")
    with pytest.raises(ProblemError):
        streams.admit("ann")
    streams.admit("bob")


def test_the_share_counts_over_http_and_what_was_refused_counts_no_more() -> None:
    async def body() -> None:
        async with (
            World(msgspec.structs.replace(SETTINGS, streams_max=10)) as world,
            world.client("sophia_user") as ann,
        ):
            ask: dict[str, Any] = {"json": {"question": "slow one"}, "headers": LIVE}
            for bad in ({"json": {"question": ""}}, {"json": {"question": "q", "priority": 9}}):
                assert (await ann.post("/v1/sophia/ask", **bad, headers=LIVE)).status_code == 422
            assert world.gateway.streams.open == 0
            first = asyncio.create_task(ann.post("/v1/sophia/ask", **ask))
            while not world.agents.asked:
                await world.broker.logs[next(iter(world.broker.logs))].change(0.01)
            second = await ann.post("/v1/sophia/ask", **ask)
            assert second.status_code == 429
            assert int(second.headers["Retry-After"]) > 0
            world.agents.release.set()
            assert sse((await first).text)[-1][0] == "answer"
            assert world.gateway.streams.open == 0

    run(body)


def test_a_client_that_vanishes_before_the_stream_starts_frees_it() -> None:
    async def body() -> None:
        async with World() as world:
            scope = {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.1"},
                "http_version": "1.1",
                "method": "GET",
                "path": "/v1/events",
                "raw_path": b"/v1/events",
                "query_string": b"",
                "headers": [
                    (b"accept", b"text/event-stream"),
                    (b"authorization", f"Bearer {TOKENS.issue(ANN, now())}".encode()),
                ],
                "server": ("gateway", 80),
                "scheme": "http",
                "root_path": "",
            }
            counted: list[int] = []
            sent = [{"type": "http.request", "body": b"", "more_body": False}]

            async def receive() -> dict[str, Any]:
                if not sent:
                    await asyncio.Event().wait()
                return sent.pop()

            async def gone(_event: dict[str, Any]) -> None:
                counted.append(world.gateway.streams.open)
                raise OSError("the client has gone")

            with pytest.raises(OSError, match="gone"):
                await world.gateway.app(scope, receive, gone)
            assert counted == [1]
            assert world.gateway.streams.open == 0

    run(body)


def test_a_log_that_is_away_leaves_a_streamed_run_pending() -> None:
    async def body() -> None:
        async with World() as world, world.client("sophia_user") as ann:

            async def blind(*_: object, **__: object) -> Blind:
                return Blind()

            world.log.watch = blind  # type: ignore[method-assign, assignment]
            answer = await ann.post("/v1/sophia/ask", json={"question": "slow"}, headers=LIVE)
            name, pending = sse(answer.text)[-1]
            assert name == "pending"
            assert pending["correlation_id"] == answer.headers["Diarchy-Correlation-Id"]
            assert pending["status_url"].startswith("/v1/sessions/sophia-")

    run(body)


def test_a_source_that_never_ends_ends_with_the_token() -> None:
    async def endless() -> AsyncIterator[SSEvent]:
        while True:
            yield SSEvent(event="tick")
            await asyncio.sleep(0)

    async def body() -> None:
        streams = Streams(streams_max=10, heartbeat_s=5, clock=now)
        late = datetime.now(UTC) + timedelta(milliseconds=50)
        ended = SSEvent(event="problem")
        events = [one async for one in streams.guarded(endless(), streams.admit("ann"), until=late, last=ended)]
        assert events[-1] is ended
        assert streams.open == 0

    run(body)
