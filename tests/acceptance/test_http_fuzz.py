"""Every route of the whole running stack under a schema-driven fuzz: no fault of ours."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error

from contracts.domains import Clearance
from tests.stack import Stack

EXAMPLES_MAX = 15
schema = schemathesis.pytest.from_fixture("described")


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
    token = fuzzed.token("root", "admin", clearance=Clearance.TOP_SECRET)
    headers = {"Authorization": f"Bearer {token}"}
    case.call_and_validate(base_url=fuzzed.url, headers=headers, checks=[not_a_server_error], timeout=60)
