"""Roles that are started with settings the broker cannot fulfil: the setting is named, nothing starts."""

import asyncio
from pathlib import Path

import pytest

from adapters.jetstream import Broker, connect
from adapters.jetstream_log import JetStreamLog
from contracts import subjects
from contracts.domains import Domain
from deploy.roles import run_roles
from deploy.settings import SettingsError, load
from tests.contract.records import actor, record
from tests.servers import NatsServer, with_broker


async def refused(server: NatsServer, folder: Path, **variables: str) -> str:
    """What `diarchy run system` says."""
    variables |= {
        "DATA": str(folder),
        "NATS_URL": server.url,
        "NATS_USER": server.user,
        "NATS_PASSWORD": server.password,
    }
    settings = load(environment={f"DIARCHY_{name}": value for name, value in variables.items()})
    with pytest.raises(SettingsError) as error:
        await run_roles(["system"], settings)
    return str(error.value)


def test_a_limit_below_what_a_stream_holds_is_named(own_server: NatsServer, tmp_path: Path) -> None:
    async def scenario(broker: Broker) -> None:
        subject, body = subjects.log(actor()), b"x" * (300 << 10)
        for expected in range(4):
            await JetStreamLog(broker).append(subject, [record(body)], expected=expected)
        said = await refused(own_server, tmp_path / "data", LIMITS_LOG_STREAM_BYTES_MAX=str(1 << 20))
        assert said.startswith(
            f"limits.log_stream_bytes_max: is too small: stream {subjects.log_stream(Domain.SOPHIA)} holds"
        )
        assert "1,048,576" in said

    with_broker(own_server, scenario)


def test_more_copies_than_nodes_are_named(own_server: NatsServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        said = await refused(own_server, tmp_path / "data", NATS_REPLICAS="3")
        assert said.startswith("nats.replicas: is 3, but the broker at nats.url has too few nodes")
        broker = await connect(own_server.url, user=own_server.user, password=own_server.password)
        assert (await broker.api("STREAM.NAMES", {}, dict))["streams"] is None
        await broker.stop()

    asyncio.run(asyncio.wait_for(scenario(), 60))
