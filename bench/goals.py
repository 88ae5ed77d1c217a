"""The goals of the kernel's figures, and the table that says what was measured beside them.

A benchmark gives its figures by their keys (`results.record`); nothing in the table is written by hand but what is wanted.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct


class Goal(Struct, frozen=True):
    """A bound on a figure of a benchmark (`bench.<benchmark>`); `form` shows a value with its unit."""

    benchmark: str
    what: str
    bound: float
    form: str
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.form.format(self.bound)}"


class Figure(Struct, frozen=True):
    """What was measured, what stands beside it from the same run (the peer's figure or a raw limit), and when."""

    value: float
    beside: str
    taken: datetime


MS, MS_FINE, MICROS, SECONDS = "{:,.1f} ms", "{:,.2f} ms", "{:,.1f} µs", "{:,.1f} s"
PER_S, RATIO, SHARE, BYTES, MEGABYTES = "{:,.0f}/s", "{:,.1f}×", "{:.1%}", "{:,.0f} bytes", "{:,.0f} MB"
JOB = "HTTP → durable actor, one journaled effect, one state change → answer"

GOALS = {
    "job.rate": Goal("http", f"{JOB}: requests, 64 connections", 2_500, PER_S, at_least=True),
    "job.ratio": Goal("http", "the same, as a multiple of Restate", 5, RATIO, at_least=True),
    "job.p50_ms": Goal("http", "the same at one connection, p50", 4, MS),
    "kernel.rate": Goal(
        "kernel", "inbox → decide → commit → acknowledge, one worker process: messages", 15_000, PER_S, at_least=True
    ),
    "rebuild.rate": Goal(
        "projections", "rebuild of a projection into PostgreSQL: events", 40_000, PER_S, at_least=True
    ),
    "rebuild.share": Goal("projections", "the same, of a bare COPY loop", 0.8, SHARE, at_least=True),
    "load.log_ms": Goal("actors", "load an actor of 1,000 events", 15, MS),
    "load.snapshot_ms": Goal("actors", "the same with a snapshot", 2, MS_FINE),
    "activate.one_us": Goal("actors", "activate a session of one turn from a snapshot in memory", 10, MICROS),
    "activate.three_us": Goal("actors", "activate a session of three turns", 10, MICROS),
    "idle.one_bytes": Goal("actors", "an idle live session of one turn", 2_048, BYTES),
    "idle.three_bytes": Goal("actors", "an idle live session of three turns", 2_048, BYTES),
    "sessions.memory_mb": Goal("sessions", "one worker with 100,000 live sessions: its memory", 2_000, MEGABYTES),
    "sessions.slowdown": Goal("sessions", "the same: slowdown of the first row", 0.1, SHARE),
    "ask.p50_ms": Goal("crossing", "cross-domain request and reply without a model call, p50", 15, MS),
    "ask.p99_ms": Goal("crossing", "the same, p99", 60, MS),
    "failover.s": Goal("failover", "a killed worker's partitions served by another, the slowest", 3, "{:,.2f} s"),
    "index.gone_ms": Goal(
        "index", "deleted, expired, updated or re-labelled: gone from every search, or there, the slowest", 1_000, MS
    ),
    "rest.cpu": Goal("rest", "the embedded stack at rest: processor, of one core", 0.05, SHARE),
    "rest.memory_mb": Goal("rest", "the same: memory of all processes", 700, MEGABYTES),
    "rest.start_s": Goal("rest", "the same: cold start to ready on an existing folder", 6, SECONDS),
    "quality.cisi": Goal(
        "quality",
        "CISI nDCG@10, all 1,460 documents and 76 queries, built-in model",
        0.445,
        "{:.3f}",
        at_least=True,
    ),
    "quality.margin": Goal(
        "quality", "nDCG@10 above the better of vectors and words alone, on the worst set", 0, "{:+.3f}", at_least=True
    ),
    "search.p50_ms": Goal("search", "search of 100,000 vectors of 384, filtered, in the keeper, p50", 5, MS),
    "search.p99_ms": Goal("search", "the same, p99", 15, MS),
    "search.http_p50_ms": Goal("search", "the same over HTTP, the query embedded, one client, p50", 15, MS),
    "search.http_p99_ms": Goal("search", "the same over HTTP, p99", 40, MS),
    "search.recall": Goal(
        "search", "the same in the keeper: recall@10 against exact search", 0.98, SHARE, at_least=True
    ),
    "int8.share": Goal(
        "precision", "built-in model in 8 bits: nDCG@10 on CISI by vectors alone, of fp32's", 0.99, SHARE, at_least=True
    ),
    "import.share": Goal(
        "importing",
        "import of CISI until all is searchable, of a bare onnxruntime batch loop",
        0.8,
        SHARE,
        at_least=True,
    ),
    "embed.rate": Goal(
        "embeddings", "short texts embedded through the port, one worker: new texts", 450, PER_S, at_least=True
    ),
    "embed.hits": Goal("embeddings", "the same, texts in its cache", 10_000, PER_S, at_least=True),
    "embed.http_ms": Goal("embeddings", "embeddings over HTTP, 32 clients, single new texts, p50", 100, MS),
    "embed.http_share": Goal(
        "embeddings", "the same: texts, of a bare onnxruntime batch loop", 0.8, SHARE, at_least=True
    ),
}
decoder = msgspec.json.Decoder(dict[str, Figure])


def encoded(figures: Mapping[str, Figure]) -> bytes:
    """As `decoder` reads it, a line a value."""
    return msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n"


def table(figures: Mapping[str, Figure]) -> str:
    """One row a goal; a goal without a figure is not met."""
    lines = [
        "| what | goal | measured | peer or raw limit, same run | met | taken (UTC) |",
        "|---|---|---|---|---|---|",
    ]
    for key, goal in GOALS.items():
        figure = figures.get(key)
        if figure is None:
            lines.append(f"| {goal.what} | {goal} | not measured | | no | |")
        else:
            met = "yes" if goal.met(figure.value) else "**no**"
            measured = goal.form.format(figure.value)
            lines.append(
                f"| {goal.what} | {goal} | {measured} | {figure.beside} | {met} | {figure.taken:%Y-%m-%d %H:%M} |"
            )
    return "\n".join(lines)


def met(figures: Mapping[str, Figure], benchmarks: frozenset[str]) -> tuple[int, int]:
    """How many of the goals of these benchmarks are met, and how many there are."""
    asked = {key: goal for key, goal in GOALS.items() if goal.benchmark in benchmarks}
    return sum(key in figures and goal.met(figures[key].value) for key, goal in asked.items()), len(asked)
