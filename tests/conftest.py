"""Fixtures for all tests."""

import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import msgspec
import pytest

from tests.servers import NatsServer
from tests.spreading import LONG

if TYPE_CHECKING:
    from schemathesis.schemas import BaseSchema
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling


hypothesis.settings.register_profile(
    "tests", deadline=None
)  # A machine that does other things too stalls now and then.
hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_collection_finish() -> None:
    """The garbage collector need not look through all that the tests are made of again and again: that was most of the time of
    those that allocate much."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture
def described(request: pytest.FixtureRequest) -> "BaseSchema":
    """Every route, for a fuzz. Made by its test, not where tests are collected: it takes ten seconds, and every process of a run
    collects all tests.
    """
    import schemathesis

    from gateway.openapi import openapi_document
    from gateway.routes import ROUTES
    from tests.fuzzing import alike_once

    request.node._nodeid = request.node.nodeid  # Schemathesis 4.32 wants it, pytest 9.2 has it not
    return schemathesis.openapi.from_dict(alike_once(msgspec.json.decode(openapi_document(ROUTES))))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadScopeScheduling":
    from tests.spreading import ByStack

    return ByStack(config, log)
