"""How fast a partition of 100,000 entries is searched in the keeper, and what its graph misses of an exact search.

python -m bench.search [--trial]

Texts: 1,000 of the standard library's documentation strings are embedded; an entry's vector is one of theirs plus half the
difference of two others, its words are sentences of five of them, at random. Labels and categories are spread evenly. Queries:
200 first sentences that were taken out of the texts. The filters leave 60 % of the entries (clearance) and 15 % (and a category).
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, quantiles

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters import edge_shard
from adapters.minilm import MiniLm
from adapters.qdrant_edge import EdgeVectors
from bench import results
from bench.documentation import Documented, documented
from contracts.domains import Clearance, Partition
from contracts.ids import keyed_id
from contracts.retrieval import Entry, Query
from runtime.vector_ports import Item, Vector
from tests.stack import MODELS

ENTRIES = 100_000
TEXTS = 1_000
QUERIES = 200
BATCH = 512
LIMIT = 10
PARTITION: Partition = "research_data"
CATEGORIES = ("a", "b", "c", "d")
CLEARANCE = Clearance.CONFIDENTIAL
FILTERS = (None, "b")


class Searched(Struct, frozen=True):
    times_ms: Sequence[float]
    found: Sequence[frozenset[str]]

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


async def fill(store: EdgeVectors, texts: Sequence[Documented], vectors: NDArray[np.float32]) -> float:
    """Entries stored a second."""
    draw, numbers = random.Random(1), np.random.default_rng(1)  # noqa: S311 - a sample
    levels = list(Clearance)
    seconds = 0.0
    for start in range(0, ENTRIES, BATCH):
        places = range(start, min(ENTRIES, start + BATCH))
        one, other, third = numbers.integers(0, len(vectors), (3, len(places)))
        mixed = vectors[one] + 0.5 * (vectors[other] - vectors[third])
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        items = [
            Item(
                Entry(
                    id=keyed_id("search", str(place)),
                    title=draw.choice(texts).name,
                    text=" ".join(draw.choice(texts).rest[:150] for _ in range(5)),
                    label=draw.choice(levels),
                    category=draw.choice(CATEGORIES),
                    priority=1 + place % 10,
                ),
                [row],
            )
            for place, row in zip(places, mixed.tolist(), strict=True)
        ]
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


async def run() -> tuple[Searched, Searched, float, float]:
    """Exact and by the graph, entries stored a second, seconds until the graph is in place."""
    texts = documented(TEXTS)
    vectors, queries = await embedded(texts)
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-") as folder:
        store = EdgeVectors(Path(folder), vectors.shape[1])
        await store.start()
        wanted_from, edge_shard.GRAPH_FROM = edge_shard.GRAPH_FROM, 2 * ENTRIES
        stored_per_s = await fill(store, texts, vectors)
        exact = await search(store, texts, queries)
        edge_shard.GRAPH_FROM = wanted_from
        began = time.perf_counter()
        await store.remove(PARTITION, [keyed_id("search", "0")])  # A change has graphs considered.
        await store.graphed()
        graph_s = time.perf_counter() - began
        by_graph = await search(store, texts, queries)
        await store.close()
    return exact, by_graph, stored_per_s, graph_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trial", action="store_true", help="nothing is written to RESULTS.md")
    arguments = parser.parse_args()
    exact, by_graph, stored_per_s, graph_s = asyncio.run(run())
    recall = fmean(len(a & b) / len(a) for a, b in zip(exact.found, by_graph.found, strict=True) if a)
    text = (
        f"| search of {ENTRIES:,} entries, filtered, limit {LIMIT} | p50 | p99 |\n|---|---|---|\n"
        f"| by the graph | {by_graph.p50:.1f} ms | {by_graph.p99:.1f} ms |\n"
        f"| exact, before it was built | {exact.p50:.1f} ms | {exact.p99:.1f} ms |\n\n"
        f"Recall@{LIMIT} {recall:.4f}; {stored_per_s:,.0f} entries stored a second, {BATCH} at a time; the graph was in place"
        f" {graph_s:.0f} s after it was wanted.\n"
    )
    print(text)
    if not arguments.trial:
        results.write("Search of 100,000 entries", "just bench search", text)
        raw = f"exact {exact.p50:.1f} ms, p99 {exact.p99:.1f} ms"
        results.record(
            {
                "search.p50_ms": (by_graph.p50, raw),
                "search.p99_ms": (by_graph.p99, raw),
                "search.recall": (recall, f"{len(by_graph.found)} searches"),
            }
        )


if __name__ == "__main__":
    main()
