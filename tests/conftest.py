"""Fixtures for all tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import NatsServer


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A folder for an embedded stack.

    Not `tmp_path`: another pytest that starts meanwhile closes the folder above that to other users, and under root the
    embedded database is one.
    """
    with tempfile.TemporaryDirectory(prefix="diarchy-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that the test may kill."""
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.stop()
