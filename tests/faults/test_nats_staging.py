"""Atomic batches of the embedded broker are put together in memory: all or nothing over kill -9, and nothing is left behind."""

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path

from adapters.jetstream import Broker, connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_streams import ensure_streams
from contracts import subjects
from contracts.domains import Domain
from deploy.embedded.nats_server import STORE, NatsServer
from deploy.embedded.nats_staging import BATCHES, MEMORY, STREAMS, Staging
from runtime.errors import ConflictError, UnavailableError
from tests.contract.records import actor, record

EVENTS = 100
BODY = b'{"filler":"%s"}' % (b"x" * 8_000)
KILLS = 3
COMMITS = 20


def links(folder: Path) -> list[Path]:
    return [one / BATCHES for one in (folder / STORE).glob(STREAMS)]


def staged(folder: Path) -> set[Path]:
    return {link.readlink().parent for link in links(folder) if link.is_symlink()}


def test_a_commit_is_whole_or_not_there_after_kill_9_and_the_end_leaves_nothing(data_folder: Path) -> None:
    kept: list[str] = []

    async def write(log: JetStreamLog) -> None:
        while True:
            subject = subjects.log(actor())
            with suppress(UnavailableError, ConflictError):
                await log.append(subject, [record(BODY) for _ in range(EVENTS)], expected=0)
                kept.append(subject)
            await asyncio.sleep(0)

    async def until_kept(broker: Broker, count: int) -> None:
        await broker.wait_connected()
        while len(kept) < count:  # noqa: ASYNC110 - a writer tells nobody
            await asyncio.sleep(0.001)

    async def scenario() -> None:
        async with asyncio.timeout(90):
            server = NatsServer(data_folder)
            await server.start()
            broker = await connect(server.url, user=server.user, password=server.password)
            await ensure_streams(broker)
            server.stage()
            log = JetStreamLog(broker)
            writers = [asyncio.create_task(write(log)) for _ in range(4)]
            for _ in range(KILLS):
                await until_kept(broker, len(kept) + COMMITS)
                await server.kill()
                await server.start()
                [folder] = staged(data_folder)
            await until_kept(broker, len(kept) + COMMITS)
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
            counts = Counter[str]()
            async for batch in log.follow(Domain.SOPHIA, ("log", "run"), after=0):
                counts.update(one.subject for one in batch)
                if counts.total() >= await log.last(Domain.SOPHIA):
                    break
            assert set(counts.values()) == {EVENTS}
            assert counts.keys() >= set(kept)
            await broker.stop()
            await server.stop()
            assert not folder.exists()

    asyncio.run(scenario())


def test_a_folder_that_others_could_read_or_do_own_is_not_used(tmp_path: Path) -> None:
    stream = tmp_path / "store" / "jetstream" / "account" / "streams" / "ONE"
    stream.mkdir(parents=True)
    memory = tmp_path / "memory"
    memory.mkdir()
    Staging(tmp_path / "store", memory).begin()
    [folder] = memory.iterdir()
    assert (stream / BATCHES).readlink() == folder / "ONE"
    (stream / BATCHES).unlink()
    folder.chmod(0o755)
    Staging(tmp_path / "store", memory).begin()
    assert not (stream / BATCHES).is_symlink()


def test_a_stream_with_a_batch_under_way_and_a_machine_without_memory_stay_as_they_are(tmp_path: Path) -> None:
    stream = tmp_path / "store" / "jetstream" / "account" / "streams" / "ONE"
    (stream / BATCHES / "under way").mkdir(parents=True)
    memory = tmp_path / "memory"
    Staging(tmp_path / "store", memory).begin()
    assert not memory.exists()
    memory.mkdir()
    staging = Staging(tmp_path / "store", memory)
    staging.begin()
    assert (stream / BATCHES / "under way").is_dir()
    staging.end()
    assert not any(memory.iterdir())


def test_streams_that_are_added_are_staged_in_memory_too(data_folder: Path) -> None:
    async def scenario() -> None:
        server = NatsServer(data_folder)
        await server.start()
        assert not links(data_folder)
        broker = await connect(server.url, user=server.user, password=server.password)
        await ensure_streams(broker)
        server.stage()
        [folder] = staged(data_folder)
        assert folder.parent == MEMORY
        assert all(link.is_symlink() for link in links(data_folder))
        await broker.stop()
        await server.stop()

    asyncio.run(scenario())
