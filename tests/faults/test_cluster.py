"""A broker of three nodes whose leader is killed under load: a small, fixed part of `just cluster-chaos`."""

import asyncio
import os
from pathlib import Path

import pytest
from msgspec import Struct

from adapters.jetstream import connect
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_streams import ensure_consumers, ensure_streams
from contracts import subjects
from contracts.domains import Domain
from deploy.embedded.child import StartError
from deploy.embedded.nats_cluster import NatsCluster
from deploy.embedded.supervisor import holder
from deploy.settings import load
from runtime.limits import Limits
from tests.contract.records import actor, record
from tests.contract.test_jetstream_faults import Traffic, end

READS = 300


class _Cluster(Struct):
    leader: str = ""


class _Info(Struct):
    cluster: _Cluster


def test_the_settings_that_are_kept_lead_to_the_cluster(data_folder: Path) -> None:
    async def scenario() -> None:
        cluster = NatsCluster(data_folder)
        await cluster.start()
        nats = load(cluster.settings, environment={}).nats
        assert nats.servers == cluster.urls
        assert nats.replicas == len(cluster.nodes) == 3
        assert cluster.settings.stat().st_mode & 0o777 == 0o600
        await cluster.nodes["n1"].kill()
        await cluster.stop()
        await cluster.stop()
        again = NatsCluster(data_folder)
        await again.start()
        assert again.urls == nats.servers
        await again.stop()

    asyncio.run(scenario())


def test_a_second_cluster_is_refused_before_it_writes_anything(data_folder: Path) -> None:
    async def scenario() -> None:
        cluster = NatsCluster(data_folder)
        await cluster.start()
        try:
            before = written(data_folder)
            second = NatsCluster(data_folder)
            with pytest.raises(StartError, match=rf"in use by process {os.getpid()}; stop that one"):
                await second.start()
            await second.stop()
            assert written(data_folder) == before
            assert holder(data_folder) == os.getpid()
            await cluster.ready()
        finally:
            await cluster.stop()
        assert holder(data_folder) is None

    asyncio.run(scenario())


def written(folder: Path) -> dict[str, tuple[int, int]]:
    """What a start writes: each file outside the stores and logs, with its inode and when it was written."""
    files = [path for pattern in ("*", "n?/*", "n?/ports/*") for path in folder.glob(pattern) if path.is_file()]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def test_a_start_that_fails_lets_go_of_the_folder(data_folder: Path) -> None:
    async def scenario() -> None:
        (data_folder / "cluster.json").write_text("no JSON")
        with pytest.raises(ValueError, match="Expecting value"):
            await NatsCluster(data_folder).start()
        assert holder(data_folder) is None

    asyncio.run(scenario())


def test_what_one_node_has_acknowledged_is_read_from_any_other(data_folder: Path) -> None:
    async def scenario() -> None:
        cluster = NatsCluster(data_folder)
        await cluster.start()
        nats = load(cluster.settings, environment={}).nats
        brokers = [await connect(one, user=nats.user, password=nats.password.reveal()) for one in nats.servers]
        try:
            await ensure_streams(brokers[0], replicas=3)
            logs = [JetStreamLog(broker) for broker in brokers]
            subject, last = subjects.log(actor()), 0
            assert await logs[0].read(subject) == []
            for number in range(READS):
                last = await logs[number % 3].append(subject, [record()], expected=last)
                [stored] = await logs[(number + 1) % 3].read(subject, after=last - 1)
                assert stored.sequence == last
            assert len(await logs[0].read(subject, limit=5)) == 5
        finally:
            for broker in brokers:
                await broker.stop()
            await cluster.stop()

    asyncio.run(scenario())


def test_the_death_of_a_leader_under_load_loses_and_doubles_nothing(data_folder: Path) -> None:
    async def scenario() -> None:
        cluster = NatsCluster(data_folder, supervised=False)
        await cluster.start()
        broker = await cluster.connect("test")
        try:
            await ensure_streams(broker, replicas=3)
            await ensure_consumers(broker, Domain.SOPHIA, Limits())
            traffic = Traffic(broker)
            readers = [asyncio.create_task(work()) for work in (traffic.follow, traffic.consume)]
            writers = [asyncio.create_task(traffic.write()) for _ in range(4)]
            await traffic.grown()
            stream = subjects.log_stream(Domain.SOPHIA)
            leader = (await broker.api(f"STREAM.INFO.{stream}", {}, _Info)).cluster.leader
            await cluster.nodes[leader].kill()
            await traffic.grown()  # without it
            await cluster.nodes[leader].start()
            await traffic.grown()
            traffic.stop_writing = True
            await asyncio.gather(*writers)
            last = await JetStreamLog(broker).last(Domain.SOPHIA)
            await traffic.until(lambda: traffic.followed[-1].sequence == last and traffic.published <= traffic.consumed)
            await end(readers)
        finally:
            await broker.stop()
            await cluster.stop()
        followed = [one.record.envelope.id for one in traffic.followed]
        assert [one.sequence for one in traffic.followed] == list(range(1, last + 1))
        assert set(traffic.kept) <= set(followed)
        assert len(set(followed)) == len(followed)

    async def main() -> None:
        async with asyncio.timeout(90):
            await scenario()

    asyncio.run(main())
