"""A broker that does not let us in: whoever waits is told which setting is to blame, and is told again."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from adapters import nats_complaints
from adapters.jetstream import connect
from tests.servers import NatsServer

NOBODY = "nats://127.0.0.1:1"


class Lines(logging.Handler):
    """What is said of the connection at warning level."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, entry: logging.LogRecord) -> None:
        self.said.put_nowait(entry.getMessage())


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, logger = Lines(), logging.getLogger("adapters.nats_complaints")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def first_lines(lines: Lines, url: str, count: int, *, password: str = "") -> list[str]:
    async def main() -> list[str]:
        waiting = asyncio.create_task(connect(url, user=NatsServer.user, password=password))
        said = [await lines.said.get() for _ in range(count)]
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return said

    return asyncio.run(asyncio.wait_for(main(), 30))


def test_nobody_there_blames_the_address(lines: Lines) -> None:
    (line,) = first_lines(lines, NOBODY, 1)
    assert line.startswith("no broker at nats.url (")
    assert "127.0.0.1', 1" in line
    assert line.endswith("): start it, or correct nats.url; still trying")


def test_a_name_that_leads_nowhere_blames_the_address(lines: Lines) -> None:
    (line,) = first_lines(lines, "nats://no-such-host.invalid:4222", 1)
    assert line.startswith("no broker at nats.url (")


def test_a_wrong_password_blames_the_credentials(lines: Lines, own_server: NatsServer) -> None:
    (line,) = first_lines(lines, own_server.url, 1, password="hunter2")
    assert line.startswith("the broker at nats.url refuses us (")
    assert line.endswith("): correct nats.user and nats.password; still trying")
    assert "hunter2" not in line


def test_it_is_said_again_while_it_lasts(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_complaints, "TELL_AGAIN_S", 0.3)
    said = first_lines(lines, NOBODY, 3)
    assert len(set(said)) == 1


def test_who_waits_is_let_in_once_the_broker_is_there(lines: Lines, own_server: NatsServer) -> None:
    async def main() -> None:
        await asyncio.to_thread(own_server.kill)
        waiting = asyncio.create_task(connect(own_server.url, user=own_server.user, password=own_server.password))
        assert "no broker" in await lines.said.get()
        await asyncio.to_thread(own_server.start)
        broker = await waiting
        assert broker.is_connected
        await broker.stop()

    asyncio.run(asyncio.wait_for(main(), 30))
