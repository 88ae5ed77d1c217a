"""A full inbox stream of the real broker: whoever asks is told 503 with Retry-After, and what was taken stays."""

import asyncio
from dataclasses import replace

import httpx

from adapters.jetstream import connect
from adapters.jetstream_queue import JetStreamQueue
from adapters.jetstream_streams import Sizes, ensure_streams
from contracts import subjects
from contracts.domains import Domain
from gateway.app import Gateway
from runtime.errors import FullError
from tests.contract.records import actor, record
from tests.gateway_world import World
from tests.servers import NatsServer

INBOX_BYTES_MAX = 64 * 1024
AT_ONCE = 64


def test_a_full_stream_refuses_and_the_gateway_says_so(own_server: NatsServer) -> None:
    async def scenario() -> None:
        broker = await connect(own_server.url, user=own_server.user, password=own_server.password)
        await ensure_streams(broker, sizes=Sizes(inbox_bytes_max=INBOX_BYTES_MAX))
        queue = JetStreamQueue(broker)
        subject = subjects.inbox(actor())
        outcomes: list[BaseException | None] = []
        while not any(isinstance(one, Exception) for one in outcomes):
            outcomes += await asyncio.gather(
                *(queue.publish(subject, record(b"x" * 500)) for _ in range(AT_ONCE)), return_exceptions=True
            )
        assert {type(one) for one in outcomes} == {type(None), FullError}
        again = await asyncio.gather(
            *(queue.publish(subject, record(b"x" * 500)) for _ in range(AT_ONCE)), return_exceptions=True
        )
        assert {type(one) for one in again} == {FullError}

        async with World() as world:
            world.services = replace(world.services, queue=queue)
            world.gateway = Gateway(world.services)
            async with world.client("cross_domain_user") as ann:
                question = {"question": "q" * 2_000}
                full = await ann.post("/v1/sophia/ask", json=question, headers={"Prefer": "respond-async"})
                _is_full(full)
                free = await ann.post("/v1/artemis/ask", json=question, headers={"Prefer": "respond-async"})
                assert free.status_code == 202
        await broker.stop()

    asyncio.run(asyncio.wait_for(scenario(), 60))


def _is_full(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert response.json()["type"] == "urn:diarchy:problem:full"
    assert Domain.SOPHIA.value in response.json()["detail"]
    assert int(response.headers["Retry-After"]) > 0
