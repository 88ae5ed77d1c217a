"""One stack for all acceptance tests that do not break it."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from dulwich.repo import BaseRepo

from tests.git_server import GitServer
from tests.stack import Stack


@pytest.fixture(scope="session")
def repositories() -> dict[str, BaseRepo]:
    """What the git server of the stack serves, by its path."""
    return {}


@pytest.fixture(scope="session")
def git_server(repositories: dict[str, BaseRepo]) -> Iterator[GitServer]:
    with GitServer(repositories) as server:
        yield server


@pytest.fixture(scope="session")
def stack(git_server: GitServer) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="diarchy-test-", ignore_cleanup_errors=True) as folder:
        stack = Stack(
            Path(folder),
            DIARCHY_REPOSITORIES_ROOTS=json.dumps([f"{folder}/repositories"]),
            DIARCHY_REPOSITORIES_HOSTS=json.dumps([git_server.place]),
        )
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


@pytest.fixture
def admin(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client
