"""Metrics: made when used, never raising, gathered from all roles into one valid text."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from adapters.memory import MemoryBroker, MemoryRpc
from adapters.prometheus import SERIES_MAX, PrometheusMetrics, gather, merge
from runtime.telemetry import EVENTS_TOTAL, HANDLE_SECONDS, LIVE_ACTORS


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(text: bytes, name: str, **labels: str) -> float | None:
    return samples(text).get((name, frozenset(labels.items())))


def test_counters_histograms_and_gauges_appear_when_used() -> None:
    metrics = PrometheusMetrics()
    metrics.count(EVENTS_TOTAL, kind="conversation")
    metrics.count(EVENTS_TOTAL, 2, kind="conversation")
    metrics.observe(HANDLE_SECONDS, 0.003, kind="conversation")
    metrics.gauge(LIVE_ACTORS, 7)
    text = metrics.text()
    assert value(text, EVENTS_TOTAL, kind="conversation") == 3
    assert value(text, f"{HANDLE_SECONDS}_bucket", kind="conversation", le="0.005") == 1
    assert value(text, f"{HANDLE_SECONDS}_bucket", kind="conversation", le="0.0025") == 0
    assert value(text, LIVE_ACTORS) == 7
    assert b"_created" not in text
    assert value(text, "process_resident_memory_bytes")


def test_a_use_with_other_labels_or_of_another_sort_is_left_out() -> None:
    metrics = PrometheusMetrics()
    metrics.count(EVENTS_TOTAL, kind="a")
    metrics.count(EVENTS_TOTAL, other="b")
    metrics.gauge(EVENTS_TOTAL, 9, kind="a")
    metrics.count(EVENTS_TOTAL, -1, kind="a")
    assert [found for found in samples(metrics.text()).items() if found[0][0] == EVENTS_TOTAL] == [
        ((EVENTS_TOTAL, frozenset({("kind", "a")})), 1)
    ]


def test_label_combinations_are_bounded() -> None:
    metrics = PrometheusMetrics()
    for number in range(SERIES_MAX + 50):
        metrics.count(EVENTS_TOTAL, kind=str(number))
    text = metrics.text()
    assert len([name for name, _ in samples(text) if name == EVENTS_TOTAL]) == SERIES_MAX + 1
    assert value(text, EVENTS_TOTAL, kind="other") == 50


def test_roles_are_merged_with_one_head_a_family() -> None:
    one, two = PrometheusMetrics(), PrometheusMetrics()
    for metrics, number in ((one, 1), (two, 2)):
        metrics.count(EVENTS_TOTAL, number, kind='odd "name"\n\\')
        metrics.observe(HANDLE_SECONDS, number, kind="k")
    text = merge([("gateway", one.text()), ("sophia", two.text())])
    heads = [line for line in text.decode().splitlines() if line.startswith("#")]
    assert len(heads) == len(set(heads))
    assert heads.count(f"# TYPE {EVENTS_TOTAL} counter") == 1
    assert heads.count(f"# TYPE {HANDLE_SECONDS} histogram") == 1
    assert value(text, EVENTS_TOTAL, kind='odd "name"\n\\', role="gateway") == 1
    assert value(text, EVENTS_TOTAL, kind='odd "name"\n\\', role="sophia") == 2
    assert value(text, f"{HANDLE_SECONDS}_count", kind="k", role="sophia") == 1


def test_the_gateway_gathers_all_roles_and_says_who_is_away() -> None:
    async def scenario() -> bytes:
        rpc = MemoryRpc(MemoryBroker())
        sophia, own = PrometheusMetrics(), PrometheusMetrics()
        sophia.count(EVENTS_TOTAL, kind="conversation")
        await sophia.serve(rpc, "sophia")
        return await gather(rpc, own, role="gateway", others=["sophia", "artemis"])

    text = asyncio.run(scenario())
    assert value(text, EVENTS_TOTAL, kind="conversation", role="sophia") == 1
    assert value(text, "diarchy_role_up", target="sophia", role="gateway") == 1
    assert value(text, "diarchy_role_up", target="artemis", role="gateway") == 0
