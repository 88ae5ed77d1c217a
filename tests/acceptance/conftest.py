"""One stack for all acceptance tests that do not break it."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="diarchy-test-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder), DIARCHY_REPOSITORIES_ROOTS=json.dumps([f"{folder}/repositories"]))
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


@pytest.fixture
def admin(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client
