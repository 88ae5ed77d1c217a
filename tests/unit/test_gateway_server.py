"""The gateway on a real socket: streams, clients that leave, stopping."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx

from gateway.server import GatewayServer
from tests.gateway_world import World, run

LIVE = {"Accept": "text/event-stream"}


def client(world: World, server: GatewayServer) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    return world.client("sophia_user", base=f"http://127.0.0.1:{server.port}")


@asynccontextmanager
async def served(world: World) -> AsyncIterator[GatewayServer]:
    server = GatewayServer(world.services, host="127.0.0.1", port=0)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def test_an_answer_over_a_real_connection() -> None:
    async def body() -> None:
        async with World() as world, served(world) as server, client(world, server) as ann:
            answer = await ann.post("/v1/sophia/ask", json={"question": "real"})
            assert answer.json()["answer"]["content"] == "echo: real"
            too_large = await ann.post(
                "/v1/sophia/ask", content=b" " * 400_000, headers={"Content-Type": "application/json"}
            )
            assert too_large.status_code == 413
            assert (await ann.get("/nowhere")).status_code == 404
            assert (await ann.post("/v1/sophia/ask", json={"question": "live"}, headers=LIVE)).text.count(
                "event: answer"
            ) == 1

    run(body)


def test_a_refused_upload_gets_its_answer() -> None:
    async def body() -> None:
        async with World() as world, served(world) as server, client(world, server) as ann:
            upload = b" " * 3_000_000
            for _ in range(10):
                assert (await ann.post("/v1/sophia/ask", content=upload)).status_code == 415
                assert (await ann.post("/nowhere", content=upload)).status_code == 404
                refused = await ann.post("/v1/files", content=upload, headers={"Authorization": "Bearer x"})
                assert refused.status_code == 401

    run(body)


def test_events_are_followed_live() -> None:
    async def body() -> None:
        async with (
            World() as world,
            served(world) as server,
            client(world, server) as ann,
            ann.stream("GET", "/v1/events", headers=LIVE) as stream,
        ):
            lines = stream.aiter_lines()
            assert await anext(lines) == ": open"
            await ann.post("/v1/sophia/ask", json={"question": "seen"})
            assert await _until(lines, "conversation.answered.v1")

    run(body)


def test_a_client_that_leaves_frees_its_stream() -> None:
    async def body() -> None:
        async with World() as world, served(world) as server, client(world, server) as ann:
            async with ann.stream("GET", "/v1/events", headers=LIVE) as stream:
                assert await anext(stream.aiter_lines()) == ": open"
                assert server.open_streams == 1
            async with asyncio.timeout(30):
                while server.open_streams:
                    await world.broker.logs[next(iter(world.broker.logs))].change(0.05)

    run(body)


def test_stopping_ends_streams_and_waits_and_closes_the_socket() -> None:
    async def body() -> None:
        async with World() as world:
            server = GatewayServer(world.services, host="127.0.0.1", port=0)
            await server.start()
            base = f"http://127.0.0.1:{server.port}"
            async with (
                world.client("sophia_user", base=base) as ann,
                ann.stream("GET", "/v1/events", headers=LIVE) as stream,
            ):
                assert await anext(stream.aiter_lines()) == ": open"
                waiting = asyncio.create_task(ann.post("/v1/sophia/ask", json={"question": "slow"}))
                while not world.agents.asked:
                    await world.broker.logs[next(iter(world.broker.logs))].change(0.01)
                await server.stop()
                assert (await waiting).status_code == 202
            await server.stop()
            async with httpx.AsyncClient() as late:
                try:
                    await late.get(f"{base}/health")
                except httpx.ConnectError:
                    return
                raise AssertionError("still listening")

    run(body)


async def _until(lines: AsyncIterator[str], part: str) -> bool:
    async for line in lines:
        if part in line:
            return True
    return False
