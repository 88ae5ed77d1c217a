"""Every route of the whole running stack under a schema-driven fuzz: no fault of ours.

Of requests that are as described: what the gateway refuses goes no further, here as in tests/unit/test_gateway_fuzz.py, which
sends thousands of those.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema

from contracts.domains import Clearance
from tests.fuzzing import Boundaries, bounded
from tests.stack import Stack

EXAMPLES_MAX = 5
BOUNDARIES_MAX = 10
schema = schemathesis.pytest.from_fixture("accepted")


@pytest.fixture
def accepted(described: BaseSchema) -> BaseSchema:
    """Nothing but what the description allows."""
    described.config.generation.update(modes=[GenerationMode.POSITIVE])
    return bounded(described, Boundaries(BOUNDARIES_MAX, each=100))


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[tuple[Stack, requests.Session]]:
    """A stack of its own: what is fuzzed in must not be found by other tests; and one client for all requests."""
    with tempfile.TemporaryDirectory(prefix="diarchy-test-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder))
        try:
            stack.start()
            with requests.Session() as session:
                token = stack.token("root", "admin", clearance=Clearance.TOP_SECRET)
                session.headers["Authorization"] = f"Bearer {token}"
                yield stack, session
        finally:
            stack.stop()


@pytest.mark.timeout(900)
@schema.parametrize()
@settings(max_examples=EXAMPLES_MAX, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_route_of_the_stack_faults(case: Any, fuzzed: tuple[Stack, requests.Session]) -> None:
    stack, session = fuzzed
    answer = case.call_and_validate(base_url=stack.url, session=session, checks=[not_a_server_error], timeout=60)
    assert answer.status_code != 401 or case.operation.path == "/v1/auth/token"
