"""What 8 bits cost: nDCG@10 over CISI by the vectors alone, of the built-in model and of its fp32 weights, by exact search.

python -m bench.precision [--trial]
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from msgspec import Struct

from adapters.batching_embedder import BatchingEmbedder
from adapters.minilm import THREADS, MiniLm, Precision
from bench import results
from bench.ndcg import ndcg
from runtime.vector_ports import ENTRY, Purpose
from tests.data import shared_data
from tests.stack import MODELS

DEPTH = 10
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")


class Figure(Struct):
    precision: Precision
    ndcg: float
    documents_per_s: float


async def measure(precision: Precision) -> Figure:
    documents, queries = (
        [json.loads(line) for line in shared_data(name).read_text().splitlines()]
        for name in ("cisi-documents.jsonl", "cisi-queries.jsonl")
    )
    queries = [query for query in queries if query["relevant"]]
    model = MiniLm(MODELS, precision)
    batching = BatchingEmbedder(model, workers=THREADS)
    await model.start()
    await batching.start()
    began = time.perf_counter()
    entries = np.array(await batching.embed([f"{one['title']}. {one['text']}" for one in documents], ENTRY), np.float32)
    seconds = time.perf_counter() - began
    asked = np.array([(await batching.embed([one["text"]], Purpose("query")))[0] for one in queries], np.float32)
    await batching.stop()
    await model.stop()
    best = np.argsort(-(asked @ entries.T), axis=1)[:, :DEPTH]
    scores = [
        ndcg([documents[place]["id"] for place in row], set(query["relevant"]))
        for row, query in zip(best, queries, strict=True)
    ]
    return Figure(precision, fmean(scores), len(documents) / seconds)


def table(found: Sequence[Figure]) -> str:
    lines = [f"| weights | nDCG@{DEPTH} by vectors alone | documents/s |", "|---|---|---|"]
    lines += [f"| {one.precision} | {one.ndcg:.4f} | {one.documents_per_s:.0f} |" for one in found]
    return (
        "\n".join(lines)
        + "\n\nOf a document its beginning, 256 tokens; the whole entries are in `just bench retrieval`.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trial", action="store_true", help="nothing is written to RESULTS.md")
    arguments = parser.parse_args()
    found = [asyncio.run(measure(precision)) for precision in PRECISIONS]
    fp32, int8 = (one.ndcg for one in found)
    print(table(found))
    if not arguments.trial:
        results.write("Eight bits (CISI)", "just bench precision", table(found))
        results.record({"int8.share": (int8 / fp32, f"nDCG@{DEPTH} int8 {int8:.4f}, fp32 {fp32:.4f}")})


if __name__ == "__main__":
    main()
