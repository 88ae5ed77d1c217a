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
