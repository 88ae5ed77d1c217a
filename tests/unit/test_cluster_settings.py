"""The settings of a broker with several nodes."""

import pytest

from deploy.settings import SettingsError, load

TWO = ["nats://one:4222", "nats://two:4222"]


@pytest.mark.parametrize("url", ["nats://one:4222,nats://two:4222", "nats://one:4222 , nats://two:4222,"])
def test_nodes_are_separated_by_commas(url: str) -> None:
    assert load(environment={"DIARCHY_NATS_URL": url}).nats.servers == TWO


def test_nodes_may_be_a_json_list() -> None:
    settings = load(environment={"DIARCHY_NATS_URL": '["nats://one:4222", "nats://two:4222"]'})
    assert settings.nats.servers == TWO


@pytest.mark.parametrize("url", ["nats://one:4222,http://two", "[1]", '["nats://one"', "one"])
def test_what_is_no_list_of_nodes_is_refused_by_name(url: str) -> None:
    with pytest.raises(SettingsError, match=r"nats\.url"):
        load(environment={"DIARCHY_NATS_URL": url})


def test_streams_are_on_one_node_or_on_three() -> None:
    assert load(environment={}).nats.replicas == 1
    assert load(environment={"DIARCHY_NATS_REPLICAS": "3"}).nats.replicas == 3
    with pytest.raises(SettingsError, match=r"nats\.replicas"):
        load(environment={"DIARCHY_NATS_REPLICAS": "2"})


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("nats://", "names no host"),
        ("nats://:4222", "names no host"),
        ("tls://user:hunter2@", "names no host"),
        ("nats://one:99999", "its port is not from 1 to 65535"),
        ("nats://one:0", "its port is not from 1 to 65535"),
        ("nats://one:http", "its port is not from 1 to 65535"),
        ("nats://[::1", "cannot be read"),
        ("nats://o ne:4222", "has a blank in it"),
        ("nats://one:4222,nats://:4222", "names no host"),
        ("ws://one:8080", "must begin with nats:// or tls://"),
        (",", "names no server"),
        ("[]", "names no server"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused_at_start(url: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(environment={"DIARCHY_NATS_URL": url})
    assert str(refused.value).startswith(f"nats.url: {complaint}")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("key", ["URL", "QDRANT_URL", "EMBEDDING_URL", "TELEMETRY_OTLP_ENDPOINT"])
@pytest.mark.parametrize("url", ["http://", "https://:1/v1", "http://one:99999"])
def test_so_is_one_of_another_server(key: str, url: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{key.lower().replace('_', '.', 1)}: "):
        load(environment={f"DIARCHY_{key}": url})


@pytest.mark.parametrize("url", ["nats://one", "tls://u:p@one:4222", "nats://[::1]:4222", "nats://10.0.0.1"])
def test_a_url_may_leave_out_the_port_and_name_a_user(url: str) -> None:
    assert load(environment={"DIARCHY_NATS_URL": url}).nats.servers == [url]


def test_a_database_may_be_reached_through_a_socket() -> None:
    assert load(environment={"DIARCHY_POSTGRES_DSN": "postgresql:///diarchy?host=/run/postgresql"}).postgres.dsn
