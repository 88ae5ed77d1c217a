"""How well and how fast entries are found: nDCG@10 over CISI, fp32 against int8, through LocalRetrieval and the edge store.

    python -m bench.retrieval_quality [--data FOLDER] [--cache FOLDER]

Prints one line of JSON a precision: documents embedded and stored a second, searches' median and 95th percentile in ms (the
query's embedding included), mean nDCG@10, and the mean and least cosine of the documents' vectors to those of fp32.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from adapters.minilm import MiniLm, Precision
from adapters.qdrant_edge import EdgeVectors
from adapters.retrieval import LocalRetrieval
from bench.ndcg import ndcg
from contracts.domains import Clearance
from contracts.ids import keyed_id
from contracts.retrieval import Entry, Query
from runtime.telemetry import NoTelemetry
from runtime.vector_ports import ENTRY, Purpose, Vector

DATA = Path(__file__).parents[2] / "shared" / "data"
T = TypeVar("T")
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")


class Document(Struct):
    id: str
    title: str
    text: str


class Question(Struct):
    id: str
    text: str
    relevant: frozenset[str]


class Figures(Struct):
    precision: Precision
    documents_per_s: float
    search_ms_median: float
    search_ms_p95: float
    ndcg_at_10: float
    cosine_mean: float
    cosine_least: float


class _Keeping:
    """An Embedder that keeps the vectors another one made, so that they can be compared."""

    def __init__(self, embedder: MiniLm) -> None:
        self._embedder = embedder
        self.kept: list[Vector] = []

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:
        vectors = await self._embedder.embed(texts, purpose)
        self.kept += vectors
        return vectors


async def measure(
    precision: Precision, cache: Path, documents: Sequence[Document], questions: Sequence[Question]
) -> tuple[Figures, list[Vector]]:
    """The figures of one precision (cosines left at 1) and the documents' vectors."""
    model = MiniLm(cache, precision)
    await model.start()
    embedder = _Keeping(model)
    with tempfile.TemporaryDirectory() as folder:
        store = EdgeVectors(Path(folder), model.dimensions)
        await store.start()
        retrieval = LocalRetrieval(embedder, store, NoTelemetry())
        entries = {keyed_id("cisi", document.id): document for document in documents}
        started = time.perf_counter()
        await retrieval.index(
            "research_data",
            [
                Entry(id=key, title=document.title, text=document.text, label=Clearance.PUBLIC)
                for key, document in entries.items()
            ],
        )
        indexed_s = time.perf_counter() - started
        vectors = embedder.kept[:]
        scores: list[float] = []
        times_ms: list[float] = []
        for question in questions:
            started = time.perf_counter()
            hits = await retrieval.search(
                Query(
                    partitions=("research_data",),
                    text=question.text,
                    clearance=Clearance.PUBLIC,
                    now=datetime.now(UTC),
                )
            )
            times_ms.append((time.perf_counter() - started) * 1_000)
            scores.append(ndcg([entries[hit.entry.id].id for hit in hits], question.relevant))
        await store.close()
    await model.stop()
    median, p95 = statistics.median(times_ms), statistics.quantiles(times_ms, n=20)[-1]
    return Figures(precision, len(documents) / indexed_s, median, p95, statistics.fmean(scores), 1, 1), vectors


async def run(data: Path, cache: Path) -> list[Figures]:
    documents = _read(data / "cisi-documents.jsonl", Document)
    questions = [question for question in _read(data / "cisi-queries.jsonl", Question) if question.relevant]
    results: list[Figures] = []
    reference: list[Vector] = []
    for precision in PRECISIONS:
        figures, vectors = await measure(precision, cache, documents, questions)
        reference = reference or vectors
        cosines = [
            sum(a * b for a, b in zip(one, other, strict=True)) for one, other in zip(reference, vectors, strict=True)
        ]
        figures.cosine_mean, figures.cosine_least = statistics.fmean(cosines), min(cosines)
        results.append(figures)
        print(msgspec.json.encode(figures).decode(), flush=True)
    return results


def _read(file: Path, kind: type[T]) -> list[T]:
    return [msgspec.json.decode(line, type=kind) for line in file.read_bytes().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "diarchy-models")
    arguments = parser.parse_args()
    if not (arguments.data / "cisi-documents.jsonl").exists():
        parser.error(f"no CISI collection in {arguments.data}: give its folder with --data")
    asyncio.run(run(arguments.data, arguments.cache))


if __name__ == "__main__":
    main()
