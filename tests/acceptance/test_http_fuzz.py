"""Every route of the whole running stack under a schema-driven fuzz: no fault of ours.

Of requests that are as described: what the gateway refuses goes no further, here as in tests/unit/test_gateway_fuzz.py, which
sends thousands of those.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema

from contracts.domains import Clearance
from tests.fuzzing import Boundaries
from tests.stack import Stack

EXAMPLES_MAX = 5
BOUNDARIES = Boundaries(10, each=100)
schema = schemathesis.pytest.from_fixture("accepted")


@pytest.fixture
def accepted(described: BaseSchema) -> BaseSchema:
    """Nothing but what the description allows."""
    described.config.generation.update(modes=[GenerationMode.POSITIVE])
    return described


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Stack]:
    """A stack of its own: what is fuzzed in must not be found by other tests."""
    with tempfile.TemporaryDirectory(prefix="diarchy-test-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder))
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


@pytest.mark.timeout(600)
@schema.parametrize()
@settings(max_examples=EXAMPLES_MAX, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_route_of_the_stack_faults(case: Any, fuzzed: Stack) -> None:
    if not BOUNDARIES.wants(case):
        return
    token = fuzzed.token("root", "admin", clearance=Clearance.TOP_SECRET)
    headers = {"Authorization": f"Bearer {token}"}
    case.call_and_validate(base_url=fuzzed.url, headers=headers, checks=[not_a_server_error], timeout=60)
