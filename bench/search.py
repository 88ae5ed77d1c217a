"""How fast a partition of 100,000 entries is searched, in the keeper and over HTTP, and what its graph misses of an exact search.

python -m bench.search [--trial]

Texts: 1,000 of the standard library's documentation strings are embedded; an entry's vector is one of theirs plus half the
difference of two others, its words are sentences of five of them, at random. Labels and categories are spread evenly. Queries:
first sentences that were taken out of the texts, in the keeper 200 and over HTTP 400 others, which no cache has seen. The filters
leave 60 % of the entries (clearance) and 15 % (and a category). What is asked over HTTP: bench/search_served.py.
"""

import argparse
import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, quantiles

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters import edge_shard
from adapters.minilm import MiniLm
from adapters.qdrant_edge import EdgeVectors
from bench import results, search_served
from bench.documentation import Documented, documented
from contracts.domains import Clearance, Partition
from contracts.ids import keyed_id
from contracts.knowledge import Category
from contracts.retrieval import Entry, Query
from deploy.roles import collect_less
from runtime.vector_ports import Item, Vector
from tests.stack import MODELS

ENTRIES = 100_000
TEXTS = 1_000
QUERIES = 200
BATCH = 2_048
LIMIT = 10
PARTITION: Partition = "research_data"
CATEGORIES: tuple[Category, ...] = (
    "strategic_planning",
    "financial_analysis",
    "market_intelligence",
    "risk_management",
)
CLEARANCE = Clearance.CONFIDENTIAL
FILTERS = (None, CATEGORIES[1])
SERVED_QUERIES = 400


class Searched(Struct, frozen=True):
    times_ms: Sequence[float]
    found: Sequence[frozenset[str]] = ()

    @property
    def p50(self) -> float:
        return quantiles(self.times_ms, n=100)[49]

    @property
    def p99(self) -> float:
        return quantiles(self.times_ms, n=100)[98]


async def embedded(texts: Sequence[Documented]) -> tuple[NDArray[np.float32], list[Vector]]:
    """Vectors of the texts, and of the first sentences as queries."""
    model = MiniLm(MODELS)
    await model.start()
    vectors = np.array(await model.embed([one.rest for one in texts]), np.float32)
    queries = await model.embed([one.first for one in texts[:QUERIES]])
    await model.stop()
    return vectors, queries


def batches(texts: Sequence[Documented]) -> Iterator[list[Entry]]:
    """All entries, always the same."""
    draw, levels = random.Random(1), list(Clearance)  # noqa: S311 - a sample
    for start in range(0, ENTRIES, BATCH):
        yield [
            Entry(
                id=keyed_id("search", str(place)),
                title=draw.choice(texts).name,
                text=" ".join(draw.choice(texts).rest[:150] for _ in range(5)),
                label=draw.choice(levels),
                category=draw.choice(CATEGORIES),
                priority=1 + place % 10,
            )
            for place in range(start, min(ENTRIES, start + BATCH))
        ]


async def fill(store: EdgeVectors, texts: Sequence[Documented], vectors: NDArray[np.float32]) -> float:
    """Entries stored a second."""
    numbers = np.random.default_rng(1)
    seconds = 0.0
    for entries in batches(texts):
        one, other, third = numbers.integers(0, len(vectors), (3, len(entries)))
        mixed = vectors[one] + 0.5 * (vectors[other] - vectors[third])
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        items = [Item(entry, [row]) for entry, row in zip(entries, mixed.tolist(), strict=True)]
        began = time.perf_counter()
        await store.upsert(PARTITION, items)
        seconds += time.perf_counter() - began
    return ENTRIES / seconds


async def search(store: EdgeVectors, texts: Sequence[Documented], queries: Sequence[Vector]) -> Searched:
    times_ms, found = [], []
    for category in FILTERS:
        for text, vector in zip(texts, queries, strict=False):
            query = Query(
                partitions=(PARTITION,),
                text=text.first,
                clearance=CLEARANCE,
                now=datetime.now(UTC),
                category=category,
                limit=LIMIT,
            )
            began = time.perf_counter()
            hits = await store.search(query, vector)
            times_ms.append(1_000 * (time.perf_counter() - began))
            found.append(frozenset(hit.entry.id for hit in hits))
    return Searched(times_ms, found)


async def run(folder: Path, texts: Sequence[Documented]) -> tuple[Searched, Searched, float, float]:
    """Exact and by the graph, entries stored a second, seconds until the graph is in place. The store stays in the folder."""
    vectors, queries = await embedded(texts)
    store = EdgeVectors(folder, vectors.shape[1])
    await store.start()
    wanted_from, edge_shard.GRAPH_FROM = edge_shard.GRAPH_FROM, 2 * ENTRIES
    stored_per_s = await fill(store, texts, vectors)
    collect_less()  # As a role does once it is ready.
    exact = await search(store, texts, queries)
    edge_shard.GRAPH_FROM = wanted_from
    began = time.perf_counter()
    await store.remove(PARTITION, [keyed_id("search", "0")])  # A change has graphs considered.
    await store.graphed()
    graph_s = time.perf_counter() - began
    by_graph = await search(store, texts, queries)
    await store.close()
    return exact, by_graph, stored_per_s, graph_s


def asked(texts: Sequence[Documented]) -> list[dict[str, object]]:
    """Over HTTP, in turn with each filter."""
    others = texts[QUERIES : QUERIES + search_served.WARM + SERVED_QUERIES]
    filters = itertools.cycle(FILTERS)
    return [{"query": one.first, "limit": LIMIT, "category": next(filters)} for one in others]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trial", action="store_true", help="nothing is written to RESULTS.md")
    arguments = parser.parse_args()
    texts = documented(TEXTS)
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        exact, by_graph, stored_per_s, graph_s = asyncio.run(run(folder / "vectors", texts))
        search_served.serve_from(folder / "vectors", folder / "stack")
        served = Searched(search_served.times_ms(folder / "stack", batches(texts), PARTITION, asked(texts)))
    recall = fmean(len(a & b) / len(a) for a, b in zip(exact.found, by_graph.found, strict=True) if a)
    text = (
        f"| search of {ENTRIES:,} entries, filtered, limit {LIMIT} | p50 | p99 |\n|---|---|---|\n"
        f"| in the keeper, by the graph | {by_graph.p50:.1f} ms | {by_graph.p99:.1f} ms |\n"
        f"| in the keeper, exact, before it was built | {exact.p50:.1f} ms | {exact.p99:.1f} ms |\n"
        f"| over HTTP, by the graph, the query embedded | {served.p50:.1f} ms | {served.p99:.1f} ms |\n\n"
        f"Recall@{LIMIT} {recall:.4f}; {stored_per_s:,.0f} entries stored a second, {BATCH:,} at a time; the graph was in place"
        f" {graph_s:.0f} s after it was wanted.\nOver HTTP one client asks {len(served.times_ms)} queries that no cache has seen,"
        " on the whole embedded stack; the entries were put into its vector folder and its read model beforehand, not added one"
        " by one, so no log knows of them.\n"
    )
    print(text)
    if not arguments.trial:
        results.write("Search of 100,000 entries", "just bench search", text)
        raw = f"exact {exact.p50:.1f} ms, p99 {exact.p99:.1f} ms"
        keeper = f"in the keeper {by_graph.p50:.1f} ms, p99 {by_graph.p99:.1f} ms"
        results.record(
            {
                "search.p50_ms": (by_graph.p50, raw),
                "search.p99_ms": (by_graph.p99, raw),
                "search.http_p50_ms": (served.p50, keeper),
                "search.http_p99_ms": (served.p99, keeper),
                "search.recall": (recall, f"{len(by_graph.found)} searches"),
            }
        )


if __name__ == "__main__":
    main()
