"""Telemetry as the kernel sees it, and every span and metric name in one place.

Spans and metrics wrap the ports; logic never mentions them. A trace is one run: its id is the correlation id's 32 hex digits.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Protocol

Attributes = Mapping[str, str | int | float | bool]
NO_ATTRIBUTES: Attributes = MappingProxyType({})

# Spans: `<what> <detail>`; the role that made one is its service name.
SPAN_REQUEST = "request"  # gateway: one HTTP request; the root
SPAN_HANDLE = "handle"  # host: one message
SPAN_REACTION = "react"  # reactor: one reaction
SPAN_EFFECT = "effect"  # reactor: one effect that was really done (not one that the journal answered)
SPAN_PROJECT = "project"  # projector: the events of one trace in one batch
SPAN_EMBED = "embed"  # embedding worker
SPAN_TEXTS = (
    "embed together"  # gateway: texts of several requests, which note it as `together_in`; the root of a run of its own
)
SPAN_SEARCH = "vector search"  # embedding worker
SPAN_INDEX = "vector index"  # embedding worker
SPAN_RPC = "call"  # client side of a stateless service
SPAN_SERVE = "serve"  # server side of a stateless service; its subject follows

# Metrics: counters end in _total, histograms in _seconds, gauges in neither. Labels are bounded: kind, type, route, status …
REQUESTS_TOTAL = "diarchy_requests_total"
REQUEST_SECONDS = "diarchy_request_seconds"
MESSAGES_TOTAL = "diarchy_messages_total"
HANDLE_SECONDS = "diarchy_handle_seconds"
EVENTS_TOTAL = "diarchy_events_total"
CONFLICTS_TOTAL = "diarchy_conflicts_total"
REACTIONS_TOTAL = "diarchy_reactions_total"
REACTION_SECONDS = "diarchy_reaction_seconds"
EFFECTS_TOTAL = "diarchy_effects_total"
EFFECT_SECONDS = "diarchy_effect_seconds"
DEAD_LETTERS_TOTAL = "diarchy_dead_letters_total"
PROJECTED_TOTAL = "diarchy_projected_total"
EMBEDDINGS_TOTAL = "diarchy_embeddings_total"
EMBED_SECONDS = "diarchy_embed_seconds"
SEARCH_SECONDS = "diarchy_search_seconds"
INDEX_BUILD_RATIO = "diarchy_index_build_ratio"
CACHE_LOOKUPS_TOTAL = "diarchy_cache_lookups_total"
MODEL_TOKENS_TOTAL = "diarchy_model_tokens_total"
MODEL_COST_TOTAL = "diarchy_model_cost_total"
PROVIDER_CALLS_TOTAL = "diarchy_provider_calls_total"
PROVIDER_HEALTHY = "diarchy_provider_healthy"
LIVE_ACTORS = "diarchy_live_actors"
PACKED_ACTORS = "diarchy_packed_actors"
SNAPSHOTS_TOTAL = "diarchy_snapshots_total"
RUNNING_REACTIONS = "diarchy_running_reactions"
HEALTH_SCORE = "diarchy_health_score"
SPANS_DROPPED_TOTAL = "diarchy_spans_dropped_total"
ROLE_UP = "diarchy_role_up"


class Span(Protocol):
    """One timed piece of work. `traceparent` is what its children and outgoing messages carry."""

    @property
    def traceparent(self) -> str | None: ...

    def note(self, **attributes: str | int | float | bool) -> None: ...

    def fail(self, reason: str) -> None: ...


SpanContext = AbstractContextManager[Span]


class Telemetry(Protocol):
    """Spans and metrics. Never raises, never blocks."""

    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        run: str | None = None,
        seed: str | None = None,
        attributes: Attributes = NO_ATTRIBUTES,
    ) -> SpanContext:
        """A span under `parent` (a traceparent), else under the current one, else the root of run `run` (a correlation id).

        `seed` (an event id) fixes the span's id, so that a repeat continues the span of the first attempt.
        """
        ...

    def note(self, **attributes: str | int | float | bool) -> None:
        """On the current span, if there is one."""
        ...

    def count(self, metric: str, amount: float = 1, **labels: str) -> None: ...

    def observe(self, metric: str, seconds: float, **labels: str) -> None: ...

    def gauge(self, metric: str, value: float, **labels: str) -> None: ...


class _NoSpan:
    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    def note(self, **attributes: str | int | float | bool) -> None: ...

    def fail(self, reason: str) -> None: ...


class NoTelemetry:
    """Measures nothing; passes the parent on."""

    @contextmanager
    def span(
        self,
        name: str,  # noqa: ARG002 - the port's
        *,
        parent: str | None = None,
        run: str | None = None,  # noqa: ARG002 - the port's
        seed: str | None = None,  # noqa: ARG002 - the port's
        attributes: Attributes = NO_ATTRIBUTES,  # noqa: ARG002 - the port's
    ) -> Iterator[Span]:
        yield _NoSpan(parent)

    def note(self, **attributes: str | int | float | bool) -> None: ...

    def count(self, metric: str, amount: float = 1, **labels: str) -> None: ...

    def observe(self, metric: str, seconds: float, **labels: str) -> None: ...

    def gauge(self, metric: str, value: float, **labels: str) -> None: ...
