"""Atomic batches of the embedded broker are put together in memory: all or nothing over kill -9, and nothing is left behind."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from adapters.jetstream import connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_streams import ensure_streams
from contracts import subjects
from contracts.domains import Domain
from deploy.embedded.nats_server import STORE, NatsServer
from deploy.embedded.nats_staging import BATCHES, STREAMS, Staging
from runtime.errors import ConflictError, UnavailableError
from tests.contract.records import actor, record

EVENTS = 100
BODY = b'{"filler":"%s"}' % (b"x" * 8_000)
KILLS = 3
COMMITS = 20


def links(folder: Path) -> list[Path]:
    return [one / BATCHES for pattern in STREAMS for one in (folder / STORE).glob(pattern)]


def staged(folder: Path) -> set[Path]:
    return {link.readlink().parent for link in links(folder) if link.is_symlink()}


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[NatsServer, JetStreamLog]]:
    """The embedded broker, its streams staged, and a log in it."""
    async with asyncio.timeout(90):
        server = NatsServer(folder)
        await server.start()
        broker = await connect(server.url, user=server.user, password=server.password)
        await ensure_streams(broker)
        Staging(folder / STORE).keep()
        yield server, JetStreamLog(broker)
        await broker.stop()
        await server.stop()


def test_a_commit_is_whole_or_not_there_after_kill_9_and_the_end_leaves_nothing(data_folder: Path) -> None:
    kept: list[str] = []

    async def write(log: JetStreamLog, progress: asyncio.Condition) -> None:
        while True:
            subject = subjects.log(actor())
            with suppress(UnavailableError, ConflictError):
                await log.append(subject, [record(BODY) for _ in range(EVENTS)], expected=0)
                async with progress:
                    kept.append(subject)
                    progress.notify_all()
            await asyncio.sleep(0)

    async def scenario() -> None:
        progress = asyncio.Condition()

        async def until_kept(count: int) -> None:
            async with progress:
                await progress.wait_for(lambda: len(kept) >= count)

        async with serving(data_folder) as (server, log):
            writers = [asyncio.create_task(write(log, progress)) for _ in range(4)]
            for _ in range(KILLS):
                await until_kept(len(kept) + COMMITS)
                await server.kill()
                await server.start()
                Staging(data_folder / STORE).keep()
                [folder] = staged(data_folder)
            await until_kept(len(kept) + COMMITS)
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
        assert not folder.exists()

    asyncio.run(scenario())


def a_stream(tmp_path: Path, name: str = "ONE_LOG") -> Path:
    stream = tmp_path / "store" / "jetstream" / "account" / "streams" / name
    stream.mkdir(parents=True)
    (tmp_path / "memory").mkdir(exist_ok=True)
    return stream


def staging(tmp_path: Path, room_bytes_min: int = 0) -> Staging:
    return Staging(tmp_path / "store", tmp_path / "memory", room_bytes_min)


def test_streams_that_take_batches_are_staged_in_memory_and_those_added_later_too(tmp_path: Path) -> None:
    one, other = a_stream(tmp_path), a_stream(tmp_path, "SPANS")
    staging(tmp_path).keep()
    [folder] = (tmp_path / "memory").iterdir()
    assert (one / BATCHES).readlink() == folder / "ONE_LOG"
    assert not (other / BATCHES).is_symlink()
    two = a_stream(tmp_path, "TWO_IN")
    staging(tmp_path).keep()
    assert (two / BATCHES).is_dir()
    staging(tmp_path).end()
    assert not folder.exists()


def test_a_folder_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    stream = a_stream(tmp_path)
    staging(tmp_path).keep()
    [folder] = (tmp_path / "memory").iterdir()
    folder.chmod(0o755)
    staging(tmp_path).keep()
    assert not (stream / BATCHES).is_symlink()


def test_what_others_cleared_away_is_made_again_and_a_full_memory_is_left(tmp_path: Path) -> None:
    stream = a_stream(tmp_path)
    staging(tmp_path).keep()
    shutil.rmtree((stream / BATCHES).readlink().parent)
    staging(tmp_path).keep()
    assert (stream / BATCHES).is_dir()
    staging(tmp_path, room_bytes_min=1 << 60).keep()
    assert not (stream / BATCHES).is_symlink()
    staging(tmp_path).keep()
    assert (stream / BATCHES).is_symlink()


def test_a_stream_with_a_batch_under_way_and_a_machine_without_memory_stay_as_they_are(tmp_path: Path) -> None:
    stream = a_stream(tmp_path)
    (stream / BATCHES / "under way").mkdir(parents=True)
    staging(tmp_path).keep()
    assert (stream / BATCHES / "under way").is_dir()
    Staging(tmp_path / "store", tmp_path / "none").keep()
    assert (stream / BATCHES / "under way").is_dir()


def test_commits_go_on_when_the_memory_was_cleared_away(data_folder: Path) -> None:
    """As whoever cleans up after a user that has signed out does it."""

    async def scenario() -> None:
        async with serving(data_folder) as (_, log):
            [folder] = staged(data_folder)
            shutil.rmtree(folder)
            stored = 0
            while not stored:
                with suppress(UnavailableError):
                    stored = await log.append(subjects.log(actor()), [record(), record()], expected=0)

    asyncio.run(scenario())
