"""Every route under a schema-driven fuzz, on a real socket: no fault of ours, and every answer is as documented."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from contracts.domains import Clearance
from gateway.identity import Principal
from gateway.server import GatewayServer
from tests.fuzzing import Boundaries, bounded
from tests.gateway_world import TOKENS, World, now

EXAMPLES_MAX = 10
BOUNDARIES_MAX = 45
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
schema = schemathesis.pytest.from_fixture("thinned")


class _Served:
    """A world with its server, in a thread with a loop of its own."""

    def __init__(self) -> None:
        self.address = ""
        self.session = requests.Session()
        self.world: World | None = None
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> "_Served":
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self.session.close()
        self._loop.close()

    async def _serve(self) -> None:
        async with World() as world:
            server = GatewayServer(world.services, host="127.0.0.1", port=0)
            await server.start()
            self.world, self.address = world, f"http://127.0.0.1:{server.port}"
            self._ready.set()
            await self._stop.wait()
            await server.stop()


@pytest.fixture
def thinned(described: BaseSchema) -> BaseSchema:
    return bounded(described, Boundaries(BOUNDARIES_MAX))


@pytest.fixture(scope="module")
def served() -> Iterator[_Served]:
    with _Served() as running:
        yield running


@pytest.mark.timeout(900)
@schema.parametrize()
@settings(max_examples=EXAMPLES_MAX, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_route_faults_and_every_answer_is_as_documented(case: Any, served: _Served) -> None:
    principal = Principal(username="root", roles=("admin",), clearance=Clearance.TOP_SECRET)
    headers = {"Authorization": f"Bearer {TOKENS.issue(principal, now())}"}
    case.call_and_validate(base_url=served.address, headers=headers, checks=CHECKS, timeout=20, session=served.session)
