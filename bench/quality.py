"""How well entries are found: nDCG@10 through LocalRetrieval and the edge store, beside vectors alone and words alone.

python -m bench.quality [--trial]

Five sets: CISI (questions in whole sentences, judged by people); and of the standard library's documentation, each document being
what one query wants: by a first sentence that was taken out of it, by its name, and by a code that stands in its title while
three others mention it; by first sentences also where half of the texts are documents of their own and the others stand in long
ones, 100 in each.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adapters import words
from adapters.minilm import MiniLm
from adapters.passages import passages
from adapters.qdrant_edge import EdgeVectors
from adapters.ranking import WORDS_SHARE
from adapters.retrieval import LocalRetrieval
from bench import results
from bench.documentation import Documented, documented
from bench.ndcg import ndcg
from contracts.domains import Clearance
from contracts.ids import keyed_id
from contracts.knowledge import CANDIDATES_MAX, Rank, best_first
from contracts.retrieval import Entry, Query
from runtime.telemetry import NoTelemetry
from runtime.vector_ports import ENTRY, Item, Purpose, Vector
from tests.data import shared_data
from tests.stack import MODELS

DEPTH = 10
DOCUMENTS = 500
TOGETHER = 100  # texts in a long document
PRIORITIES_SEED = 7
SHARES = (0.4, 0.5, 0.6, 0.7, 0.8, 1.0)


class Task(Struct, frozen=True):
    """Documents and, for each query, which of them (by place) are wanted."""

    name: str
    entries: Sequence[Entry]
    queries: Sequence[tuple[str, frozenset[int]]]


class Found(Struct, frozen=True):
    """nDCG@10 of each query: as Diarchy ranks, as a knowledge search shows items of random strategic priority, by vectors alone,
    by words alone (BM25 as it is), and by other shares of the words."""

    hybrid: Sequence[float]
    prioritised: Sequence[float]
    vectors: Sequence[float]
    words: Sequence[float]
    shares: Mapping[float, Sequence[float]]


class Remembering:
    """An Embedder that embeds a text once."""

    def __init__(self, embedder: MiniLm) -> None:
        self._embedder = embedder
        self._kept: dict[str, Vector] = {}

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:
        new = [text for text in dict.fromkeys(texts) if text not in self._kept]
        if new:
            self._kept |= zip(new, await self._embedder.embed(new, purpose), strict=True)
        return [self._kept[text] for text in texts]


def tasks() -> list[Task]:
    documents, queries = (
        [json.loads(line) for line in shared_data(name).read_text().splitlines()]
        for name in ("cisi-documents.jsonl", "cisi-queries.jsonl")
    )
    places = {one["id"]: place for place, one in enumerate(documents)}
    cisi = [_entry(f"cisi {one['id']}", one["title"], one["text"]) for one in documents]
    asked = [(one["text"], frozenset(places[id_] for id_ in one["relevant"])) for one in queries if one["relevant"]]
    texts = documented(DOCUMENTS)
    codes = [f"E{1_000 + 7 * place % 9_000}" for place in range(len(texts))]
    mentioning = [
        f"{one.first} {one.rest} See also {', '.join(codes[(place + step) % len(codes)] for step in (1, 17, 91))}."
        for place, one in enumerate(texts)
    ]
    return [
        Task("CISI", cisi, asked),
        _known("first sentences", [("", one.rest) for one in texts], [one.first for one in texts]),
        _known("names", [("", f"{one.name}: {one.first} {one.rest}") for one in texts], [one.name for one in texts]),
        _known("codes", list(zip(codes, mentioning, strict=True)), [f"error {code}" for code in codes]),
        _mixed(documented(3 * DOCUMENTS)),
    ]


def _mixed(texts: Sequence[Documented]) -> Task:
    """Half of the texts alone, the others in long documents; a third of the first sentences are asked for."""
    half = len(texts) // 2
    alone, others = texts[:half], texts[half:]
    long = [others[start : start + TOGETHER] for start in range(0, len(others), TOGETHER)]
    bodies = ["\n\n".join(f"{one.name}: {one.rest}" for one in group) for group in (*([one] for one in alone), *long)]
    places = [place if place < half else half + (place - half) // TOGETHER for place in range(len(texts))]
    entries = [_entry(f"mixed {place}", "", body) for place, body in enumerate(bodies)]
    queries = [(one.first, frozenset((place,))) for one, place in zip(texts, places, strict=True)]
    return Task("long and short", entries, queries[::3])


def _known(name: str, documents: Sequence[tuple[str, str]], queries: Sequence[str]) -> Task:
    entries = [_entry(f"{name} {place}", title, text) for place, (title, text) in enumerate(documents)]
    return Task(name, entries, [(query, frozenset((place,))) for place, query in enumerate(queries)])


def _entry(key: str, title: str, text: str) -> Entry:
    return Entry(id=keyed_id("quality", key), title=title, text=text, label=Clearance.PUBLIC)


async def measure(task: Task, embedder: Remembering) -> Found:
    cosines, matching, plain = await _alone(task, embedder)
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-") as folder:
        store = EdgeVectors(Path(folder), embedder.dimensions)
        await store.start()
        retrieval = LocalRetrieval(embedder, store, NoTelemetry())
        await retrieval.index("research_data", task.entries)
        places = {entry.id: place for place, entry in enumerate(task.entries)}
        hybrid = []
        for text, wanted in task.queries:
            query = Query(
                partitions=("research_data",),
                text=text,
                clearance=Clearance.PUBLIC,
                now=datetime.now(UTC),
                limit=DEPTH,
            )
            hits = await retrieval.search(query)
            hybrid.append(_ndcg([places[hit.entry.id] for hit in hits], wanted))
        await store.close()
    shares = {share: _ranked(task, cosines + share * matching) for share in SHARES}
    prioritised = _prioritised(task, cosines + WORDS_SHARE * matching)
    return Found(hybrid, prioritised, _ranked(task, cosines), _ranked(task, plain), shares)


async def _alone(task: Task, embedder: Remembering) -> list[NDArray[np.float32]]:
    """Query by document: the cosine of the nearest passage, how well the words match, and how well by BM25 as it is, in which a
    code is a word as any other."""
    owners, texts = [], []
    for place, entry in enumerate(task.entries):
        for span in passages(entry.title, entry.text):
            owners.append(place)
            texts.append(f"{entry.title}. {entry.text[span.start : span.end]}")
    vectors = np.array(await embedder.embed(texts), np.float32)
    asked = np.array([(await embedder.embed([text], Purpose("query")))[0] for text, _ in task.queries], np.float32)
    cosines = np.full((len(task.queries), len(task.entries)), -1.0, np.float32)
    for column, owner in zip((asked @ vectors.T).T, owners, strict=True):
        cosines[:, owner] = np.maximum(cosines[:, owner], column)
    counts = words.Counts()
    sparse = [words.of_item(Item(entry, [], passages(entry.title, entry.text))).pairs() for entry in task.entries]
    for one in sparse:
        counts.add(0, one)
    matching, plain = np.zeros_like(cosines), np.zeros_like(cosines)
    for row, (text, _) in enumerate(task.queries):
        for scores, weighted in (
            (matching, words.weighted(text, 0, [counts])),
            (plain, words.weighted(text, 0, [counts], code_times=0)),
        ):
            sought = weighted.pairs()
            scores[row] = [words.matching(sought, one) for one in sparse]
    return [cosines, matching, plain]


def _ranked(task: Task, scores: NDArray[np.float32]) -> list[float]:
    best = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
    return [_ndcg(row.tolist(), wanted) for row, (_, wanted) in zip(best, task.queries, strict=True)]


def _prioritised(task: Task, scores: NDArray[np.float32]) -> list[float]:
    priorities = np.random.default_rng(PRIORITIES_SEED).integers(1, 11, len(task.entries)).tolist()
    candidates = np.argsort(-scores, axis=1, kind="stable")[:, :CANDIDATES_MAX]
    values = []
    for found, relevance, (_, wanted) in zip(candidates.tolist(), scores.tolist(), task.queries, strict=True):
        ranks = [Rank(priorities[place], relevance[place], str(place)) for place in found]
        values.append(ndcg([one.id for one in best_first(ranks, lambda one: one)], {str(one) for one in wanted}, DEPTH))
    return values


def _ndcg(ranked: Sequence[int], wanted: frozenset[int]) -> float:
    return ndcg([str(place) for place in ranked], {str(place) for place in wanted}, DEPTH)


def crossed(found: Found) -> float:
    """nDCG when the share of the words is chosen by one half of the queries and measured on the other, both ways."""
    halves = [slice(0, None, 2), slice(1, None, 2)]
    values: list[float] = []
    for learnt, tried in (halves, halves[::-1]):
        share = max(SHARES, key=lambda one: fmean(found.shares[one][learnt]))
        values += found.shares[share][tried]
    return fmean(values)


def table(found: Mapping[str, Found]) -> str:
    shares = " | ".join(f"share {share}" for share in SHARES)
    lines = [
        f"| nDCG@{DEPTH} | Diarchy | random priorities | vectors alone | words alone | {shares} | share by the other half |",
        f"|---|---|---|---|---|{'---|' * len(SHARES)}---|",
    ]
    for name, one in found.items():
        measured = (one.hybrid, one.prioritised, one.vectors, one.words, *(one.shares[share] for share in SHARES))
        figures = " | ".join(f"{fmean(values):.4f}" for values in measured)
        lines.append(f"| {name}, {len(one.hybrid)} queries | {figures} | {crossed(one):.4f} |")
    return "\n".join(lines)


async def run() -> dict[str, Found]:
    model = MiniLm(MODELS)
    await model.start()
    embedder = Remembering(model)
    found = {task.name: await measure(task, embedder) for task in tasks()}
    await model.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trial", action="store_true", help="nothing is written to RESULTS.md")
    arguments = parser.parse_args()
    found = asyncio.run(run())
    text = table(found)
    print(text)
    if arguments.trial:
        return
    margins = {name: fmean(one.hybrid) - max(fmean(one.vectors), fmean(one.words)) for name, one in found.items()}
    least = min(margins, key=margins.__getitem__)
    cisi = found["CISI"]
    results.write("Retrieval quality", "just bench quality", text)
    beside = f"vectors alone {fmean(cisi.vectors):.4f}, words alone {fmean(cisi.words):.4f}"
    results.record(
        {
            "quality.cisi": (fmean(cisi.hybrid), beside),
            "quality.margin": (margins[least], f"of {len(found)} sets; least on {least}"),
        }
    )


if __name__ == "__main__":
    main()
