"""The embedded broker and database by themselves: ports, passwords, permissions, folders, bounded logs."""

import asyncio
import os
import socket
from pathlib import Path

import asyncpg
import nats
import nats.errors
import pytest

from deploy.embedded.child import LogFile, StartError
from deploy.embedded.nats_server import NatsServer
from deploy.embedded.postgres_server import PostgresServer


def test_the_broker_keeps_its_port_and_passwords_over_restarts(data_folder: Path) -> None:
    async def scenario() -> None:
        first = NatsServer(data_folder)
        await first.start()
        url, password = first.url, first.password
        await first.stop()
        await first.stop()
        second = NatsServer(data_folder)
        await second.start()
        assert (second.url, second.password) == (url, password)
        await second.stop()
        with socket.create_server(("127.0.0.1", int(url.rpartition(":")[2]))):
            await second_start_elsewhere(data_folder, url)
        for name in ("credentials.json", "nats.conf"):
            assert (data_folder / name).stat().st_mode & 0o777 == 0o600

    async def second_start_elsewhere(folder: Path, taken: str) -> None:
        third = NatsServer(folder)
        await third.start()
        assert third.url != taken
        await third.stop()

    asyncio.run(scenario())


def test_a_wanted_port_that_is_taken_is_an_error_that_shows_the_servers_words(data_folder: Path) -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            server = NatsServer(data_folder, port=taken.getsockname()[1])
            with pytest.raises(StartError, match=r"(?s)nats-server ended with status 1.*address already in use"):
                await server.start()

    asyncio.run(scenario())


def test_an_outside_publisher_may_publish_facts_and_nothing_else(data_folder: Path) -> None:
    async def scenario() -> None:
        server = NatsServer(data_folder)
        await server.start()
        denied: asyncio.Queue[Exception] = asyncio.Queue()
        publisher = await nats.connect(
            server.url, user="publisher", password=server.publisher_password, error_cb=denied.put
        )
        owner = await nats.connect(server.url, user=server.user, password=server.password)
        everything = await owner.subscribe(">")
        await owner.flush()
        await publisher.publish("sophia.pub.signal.one", b"fact")
        assert (await everything.next_msg(5)).subject == "sophia.pub.signal.one"
        for subject in ("sophia.in.1.signal.one", "sophia.log.1.signal.one", "dlq.pub.one.two", "$JS.API.STREAM.LIST"):
            await publisher.publish(subject, b"forged")
            assert "permissions violation" in str(await asyncio.wait_for(denied.get(), 5)).lower()
        await publisher.subscribe("sophia.log.>")
        assert "permissions violation" in str(await asyncio.wait_for(denied.get(), 5)).lower()
        await publisher.close()
        await owner.close()
        with pytest.raises(nats.errors.Error):
            await nats.connect(
                server.url, user=server.user, password="guess", allow_reconnect=False, error_cb=denied.put
            )
        await server.stop()

    asyncio.run(scenario())


def test_the_database_works_from_a_folder_too_deep_for_a_socket(data_folder: Path) -> None:
    folder = data_folder / ("deep" * 15) / ("deeper" * 10)

    async def scenario() -> None:
        server = PostgresServer(folder)
        await server.start()
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("create table kept (x int)")
        await connection.close()
        await server.stop()
        await server.start()
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("select count(*) from kept") == 0
        assert await connection.fetchval("select current_setting('listen_addresses')") == ""
        assert str(await connection.fetchval("show server_version")).startswith("18.")
        await connection.close()
        await server.stop()

    asyncio.run(scenario())
    assert (folder / "data").stat().st_mode & 0o077 == 0
    if os.geteuid() == 0:
        assert (folder / "data").stat().st_uid != 0


STRANGE = ["Daten für Ünsal", "a 'quoted' \"name\"", "100 %25", "$HOME {x}", "back\\slash", "数据"]


@pytest.mark.parametrize("name", STRANGE)
def test_a_folder_may_have_any_name(name: str, data_folder: Path) -> None:
    async def scenario() -> None:
        broker, database = NatsServer(data_folder / name / "nats"), PostgresServer(data_folder / name / "postgres")
        await asyncio.gather(broker.start(), database.start())
        client = await nats.connect(broker.url, user=broker.user, password=broker.password)
        await client.jetstream().add_stream(name="S", subjects=["s"])
        connection = await asyncpg.connect(database.dsn)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
        await client.close()
        await asyncio.gather(broker.stop(), database.stop())

    asyncio.run(scenario())
    assert (data_folder / name / "nats" / "jetstream" / "jetstream").is_dir()


def test_a_database_left_behind_is_ended_before_the_next_starts(data_folder: Path) -> None:
    async def scenario() -> None:
        left, successor = PostgresServer(data_folder), PostgresServer(data_folder)
        await left.start()
        await successor.start()
        assert await asyncio.wait_for(left.ended(), 5) == 0
        assert successor.pid != left.pid
        await successor.stop()
        await left.stop()

    asyncio.run(scenario())


def test_a_damaged_database_is_an_error_that_shows_the_servers_words(data_folder: Path) -> None:
    async def scenario() -> None:
        server = PostgresServer(data_folder)
        await server.start()
        await server.stop()
        (data_folder / "data" / "global" / "pg_control").unlink()
        with pytest.raises(StartError, match=r"(?s)postgres ended with status.*pg_control.*"):
            await server.start()

    asyncio.run(scenario())


def test_a_log_file_is_bounded_and_remembers_its_end(data_folder: Path) -> None:
    log = LogFile(data_folder / "x.log", bytes_max=100)
    for number in range(50):
        log.write(f"line {number}\n".encode())
    log.close()
    sizes = [file.stat().st_size for file in sorted(data_folder.iterdir())]
    assert len(sizes) == 2
    assert max(sizes) <= 100
    assert log.tail.splitlines()[-1] == "line 49"
