"""Streams that are there and come to be wanted otherwise: what changes is said, what would lose or block is refused."""

import logging
from typing import Any

import msgspec
import pytest

from adapters.jetstream import Broker
from adapters.jetstream_log import JetStreamLog
from adapters.jetstream_streams import Sizes, TooSmallError, ensure_consumers, ensure_streams, streams
from contracts import subjects
from contracts.domains import Domain
from runtime.limits import Limits
from tests.contract.records import actor, record
from tests.servers import NatsServer, with_broker

LOG = subjects.log_stream(Domain.SOPHIA)
MIB = 1 << 20


async def configurations(broker: Broker) -> dict[str, object]:
    answers = {one.name: await broker.api(f"STREAM.INFO.{one.name}", {}, dict) for one in streams(1, Sizes())}
    return {name: answer["config"] for name, answer in answers.items()}


async def fill(broker: Broker) -> None:
    """More than one MiB into the log."""
    subject, body = subjects.log(actor()), b"x" * (300 << 10)
    for expected in range(4):
        await JetStreamLog(broker).append(subject, [record(body)], expected=expected)


def test_a_stream_is_never_made_smaller_than_what_it_holds(own_server: NatsServer) -> None:
    async def scenario(broker: Broker) -> None:
        await fill(broker)
        before = await configurations(broker)
        smaller = Sizes(log_bytes_max=MIB, inbox_bytes_max=64 * MIB, spans_age_s_max=3_600)
        with pytest.raises(TooSmallError) as refused:
            await ensure_streams(broker, sizes=smaller)
        assert await configurations(broker) == before
        told = refused.value
        assert (told.stream, told.wanted) == (LOG, MIB)
        assert MIB < told.held < 2 * MIB
        for part in (LOG, "max_bytes", f"{told.held:,}", f"{MIB:,}", "nothing was changed"):
            assert part in str(told)
        await ensure_streams(broker, sizes=Sizes(log_bytes_max=told.held))

    with_broker(own_server, scenario)


def test_each_changed_setting_of_a_stream_is_said(own_server: NatsServer, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(broker: Broker) -> None:
        caplog.clear()
        await ensure_streams(broker)
        assert not caplog.records
        sizes = Sizes(log_bytes_max=64 * MIB, spans_age_s_max=60)
        await ensure_streams(broker, sizes=sizes)
        said = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
        assert f"stream {LOG}: max_bytes changes from 6442450944 to 67108864" in said
        assert "stream SPANS: max_age changes from 604800000000000 to 60000000000" in said
        assert len([line for line in said if "max_bytes" in line]) == len(Domain)
        assert len([line for line in said if "SPANS" in line]) == len(said) - len(Domain)
        caplog.clear()
        await ensure_streams(broker, sizes=sizes)
        assert not caplog.records

    with_broker(own_server, scenario)


def test_a_stream_that_somebody_changed_is_brought_back(
    own_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(broker: Broker) -> None:
        config = msgspec.structs.replace(next(one for one in streams(1, Sizes()) if one.name == LOG), max_msgs=7)
        await broker.api(f"STREAM.UPDATE.{LOG}", config, dict)
        caplog.clear()
        await ensure_streams(broker)
        assert [one.getMessage() for one in caplog.records] == [f"stream {LOG}: max_msgs changes from 7 to -1"]

    with_broker(own_server, scenario)


def test_a_consumer_that_is_as_it_should_be_is_not_made_again(
    own_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(broker: Broker) -> None:
        asked: list[str] = []
        api = broker.api

        async def counted(name: str, payload: object, reply: type[Any]) -> Any:
            asked.append(name.rpartition(".")[2] if name.startswith("CONSUMER.CREATE") else name)
            return await api(name, payload, reply)

        monkeypatch.setattr(broker, "api", counted)
        await api(f"CONSUMER.CREATE.{LOG}", {"stream_name": LOG, "config": {"ack_policy": "all"}}, dict)  # not ours
        await ensure_consumers(broker, Domain.SOPHIA, Limits())
        assert asked == [f"CONSUMER.LIST.{LOG.replace('LOG', 'IN')}", f"CONSUMER.LIST.{LOG}"]
        await api(f"CONSUMER.DELETE.{LOG}.sophia-reactor-3", {}, dict)
        asked.clear()
        await ensure_consumers(broker, Domain.SOPHIA, Limits())
        assert [name for name in asked if "LIST" not in name] == ["sophia-reactor-3"]
        asked.clear()
        patient = Limits(ack_wait_s=77)
        await ensure_consumers(broker, Domain.SOPHIA, patient)
        assert len([name for name in asked if "LIST" not in name]) == 2 * subjects.PARTITIONS
        info = await api(f"CONSUMER.INFO.{LOG}.sophia-reactor-3", {}, dict)
        assert info["config"]["ack_wait"] == 77_000_000_000

    with_broker(own_server, scenario)
