"""How well `/v1/knowledge/search` finds, and how fast documents are imported: CISI over HTTP on the whole embedded stack.

python -m bench.retrieval
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median, quantiles
from typing import Any

from bench import results
from bench.ndcg import ndcg
from contracts.domains import Clearance
from tests.data import shared_data
from tests.stack import ROOT, Stack, ok

DEPTH = 10


def main() -> None:
    documents, queries = shared_data("cisi-documents.jsonl"), shared_data("cisi-queries.jsonl")
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder))
        stack.start()
        try:
            imported = load(stack, documents)
            scores, times_ms = search(stack, queries)
        finally:
            stack.stop()
    text = (
        "| what | figure |\n|---|---|\n"
        f"| documents imported | {imported['documents']} in {imported['seconds']:.1f} s: "
        f"{imported['documents_per_second']:.0f} documents/s (each an event, acknowledged with fsync) |\n"
        f"| all searchable | {imported['searchable_after_seconds']:.1f} s after the start: "
        f"{imported['documents'] / imported['searchable_after_seconds']:.0f} documents/s end to end |\n"
        f"| nDCG@{DEPTH} over {len(scores)} queries | {fmean(scores):.4f} (bare fp32 model: 0.427) |\n"
        f"| a search over HTTP, p50 / p95 | {median(times_ms):.1f} / {quantiles(times_ms, n=20)[-1]:.1f} ms |\n"
    )
    results.write("Retrieval over HTTP (CISI)", "just bench retrieval", text)
    print(text)


def load(stack: Stack, documents: Path) -> dict[str, Any]:
    """What `diarchy import --json` says of importing the collection, shown with its progress bar."""
    command = [sys.executable, "-m", "deploy", "import", str(documents), "--confidentiality", "public", "--json"]
    command += ["--partition", "research_data", "--data", str(stack.folder)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)  # noqa: S603 - our own program
    summary: dict[str, Any] = json.loads(run.stdout)
    return summary


def search(stack: Stack, queries: Path) -> tuple[list[float], list[float]]:
    """nDCG and milliseconds of every query that has relevant documents."""
    scores, times_ms = [], []
    with stack.client(clearance=Clearance.PUBLIC) as client:
        for query in map(json.loads, queries.read_text().splitlines()):
            if not query["relevant"]:
                continue
            body = {"query": query["text"], "partitions": ["research_data"], "limit": DEPTH}
            began = time.perf_counter()
            hits = ok(client.post("/v1/knowledge/search", json=body))["hits"]
            times_ms.append(1_000 * (time.perf_counter() - began))
            scores.append(ndcg([identity(hit) for hit in hits], set(query["relevant"])))
    return scores, times_ms


def identity(hit: dict[str, Any]) -> str:
    """The collection's id of a hit: the import keeps it as the last part of the item's source."""
    return str(hit["knowledge"]["source"]).rpartition("#")[2]


if __name__ == "__main__":
    main()
