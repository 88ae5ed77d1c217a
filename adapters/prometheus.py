"""Metrics in Prometheus' text form: one registry a process, gathered from all roles into one text."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from contracts import subjects
from runtime import telemetry
from runtime.errors import InvalidError, OutcomeError, UnavailableError
from runtime.ports import Rpc

GATHER_S_MAX = 1.0
SERIES_MAX = 500  # label combinations of one metric; more are counted together, labels all "other"
BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

_HELP = {
    telemetry.REQUESTS_TOTAL: "HTTP requests.",
    telemetry.REQUEST_SECONDS: "From the arrival of an HTTP request to its answer.",
    telemetry.MESSAGES_TOTAL: "Messages handled by actors.",
    telemetry.HANDLE_SECONDS: "From taking a message to its events being durable.",
    telemetry.EVENTS_TOTAL: "Events appended to logs.",
    telemetry.CONFLICTS_TOTAL: "Appends lost to another writer and tried again.",
    telemetry.REACTIONS_TOTAL: "Reactions run.",
    telemetry.REACTION_SECONDS: "One run of a reaction, waiting included.",
    telemetry.EFFECTS_TOTAL: "Effects really done, not answered by a journal.",
    telemetry.EFFECT_SECONDS: "One effect.",
    telemetry.DEAD_LETTERS_TOTAL: "Messages that could not be handled and were put aside.",
    telemetry.PROJECTED_TOTAL: "Events folded into read models.",
    telemetry.EMBEDDINGS_TOTAL: "Texts embedded.",
    telemetry.EMBED_SECONDS: "One batch through the embedding model.",
    telemetry.SEARCH_SECONDS: "One vector search.",
    telemetry.INDEX_BUILD_RATIO: "How much of the stage that the build of a vector index is in is done, 0 to 1.",
    telemetry.CACHE_LOOKUPS_TOTAL: "Look-ups in caches: answered by l1 (this process) or l2 (shared), or a miss.",
    telemetry.MODEL_TOKENS_TOTAL: "Tokens into and out of language models.",
    telemetry.MODEL_COST_TOTAL: "What language models have cost, in the currency of the configured prices.",
    telemetry.PROVIDER_CALLS_TOTAL: "Calls of model providers, by what became of them.",
    telemetry.PROVIDER_HEALTHY: "Whether the provider's last health check was good.",
    telemetry.LIVE_ACTORS: "Actors whose state is in memory.",
    telemetry.PACKED_ACTORS: "Idle actors that are in memory as bytes.",
    telemetry.SNAPSHOTS_TOTAL: "Snapshots, by kind and what became of them.",
    telemetry.RUNNING_REACTIONS: "Reactions running now.",
    telemetry.HEALTH_SCORE: "Overall health, 0 to 100.",
    telemetry.SPANS_DROPPED_TOTAL: "Finished spans that could not be kept.",
    telemetry.ROLE_UP: "Whether the role's process answered when its metrics were gathered.",
}

_logger = logging.getLogger(__name__)


class PrometheusMetrics:
    """The metrics of this process. A metric is made when first used, with the label names of that use.

    Never raises: a use with other label names is logged once and left out.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # They double the text and nobody asks for them.
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._metrics: dict[str, tuple[Counter | Gauge | Histogram, tuple[str, ...]]] = {}
        self._series: dict[tuple[str, tuple[tuple[str, str], ...]], Counter | Gauge | Histogram] = {}
        self._sizes: dict[str, int] = {}
        self._misused: set[str] = set()

    def count(self, metric: str, amount: float = 1, **labels: str) -> None:
        series = self._find(Counter, metric, labels)
        if isinstance(series, Counter) and amount >= 0:
            series.inc(amount)

    def observe(self, metric: str, seconds: float, **labels: str) -> None:
        series = self._find(Histogram, metric, labels)
        if isinstance(series, Histogram):
            series.observe(seconds)

    def gauge(self, metric: str, value: float, **labels: str) -> None:
        series = self._find(Gauge, metric, labels)
        if isinstance(series, Gauge):
            series.set(value)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def samples(self) -> Iterator[tuple[str, str, str, dict[str, str], float]]:
        """What we counted (nothing of the process): type, metric, part of a histogram, labels, value."""
        for metric, _ in self._metrics.values():
            for family in metric.collect():
                name = f"{family.name}_total" if family.type == "counter" else family.name
                for sample in family.samples:
                    part = sample.name.removeprefix(family.name).removeprefix("_total").lstrip("_")
                    yield family.type, name, part, sample.labels, sample.value

    async def serve(self, rpc: Rpc, role: str) -> None:
        """Answer with this process's metrics whoever gathers them."""

        async def answer(_: bytes) -> bytes:
            return self.text()

        await rpc.serve(subjects.metrics(role), answer)

    def _find(
        self, kind: type[Counter | Gauge | Histogram], name: str, labels: dict[str, str]
    ) -> Counter | Gauge | Histogram | None:
        key = (name, tuple(labels.items()))  # as the caller orders them: sorting takes as long as counting
        series = self._series.get(key)
        if series is None:
            series = self._make(kind, name, labels)
            if series is not None and self._sizes[name] <= SERIES_MAX:
                self._series[key] = series
        return series

    def _make(
        self, kind: type[Counter | Gauge | Histogram], name: str, labels: dict[str, str]
    ) -> Counter | Gauge | Histogram | None:
        names = tuple(sorted(labels))
        metric, known = self._metrics.get(name, (None, names))
        if known != names or (metric is not None and not isinstance(metric, kind)):
            if name not in self._misused:
                self._misused.add(name)
                _logger.error("metric %s has labels %s and was used as a %s with %s", name, known, kind.__name__, names)
            return None
        if metric is None:
            text = _HELP.get(name, name)
            if kind is Histogram:
                metric = Histogram(name, text, names, registry=self._registry, buckets=BUCKETS_S)
            else:
                metric = kind(name, text, names, registry=self._registry)
            self._metrics[name] = (metric, names)
        self._sizes[name] = self._sizes.get(name, 0) + 1
        if not names:
            return metric
        if self._sizes[name] > SERIES_MAX:
            return metric.labels(**dict.fromkeys(names, "other"))
        return metric.labels(**labels)


async def gather(rpc: Rpc, own: PrometheusMetrics, *, role: str, others: Sequence[str]) -> bytes:
    """The metrics of all roles as one text, each sample with the label `role`: our own (`role`) and what `others` answer.

    A role that does not answer within a second is left out; `diarchy_role_up{target=…}` says so. Never raises.
    """
    texts = await asyncio.gather(*(_ask(rpc, other) for other in others))
    for other, text in zip(others, texts, strict=True):
        own.gauge(telemetry.ROLE_UP, 0 if text is None else 1, target=other)
    found = [
        (role, own.text()),
        *((other, text) for other, text in zip(others, texts, strict=True) if text is not None),
    ]
    return await asyncio.to_thread(merge, found)


def merge(texts: Iterable[tuple[str, bytes]]) -> bytes:
    """Prometheus texts of several roles as one: a family has one HELP and TYPE, a sample its role as a label."""
    families: dict[str, Metric] = {}
    for role, text in texts:
        for family in text_string_to_metric_families(text.decode()):
            merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                merged.samples.append(sample._replace(labels={**sample.labels, "role": role}))
    return generate_latest(_Families(families.values()))


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


async def _ask(rpc: Rpc, role: str) -> bytes | None:
    try:
        return await rpc.call(subjects.metrics(role), b"", timeout_s=GATHER_S_MAX)
    except (UnavailableError, InvalidError, OutcomeError) as error:
        _logger.debug("no metrics from %s: %s", role, error)
        return None
