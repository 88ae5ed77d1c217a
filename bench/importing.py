"""How fast documents become searchable: CISI through `diarchy import` on the whole embedded stack, beside bare embedding loops.

python -m bench.importing [--documents 1460] [--trial]

The loops embed the same passages (adapters/passages.py) of a sample of the documents, before and after, while the stack rests.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import fmean

from msgspec import Struct

from adapters.minilm import BATCH_TOKENS_MAX, THREADS
from adapters.passages import passages
from bench import results
from bench.embeddings import BATCH_TEXTS, Bare
from bench.retrieval import load
from tests.data import shared_data
from tests.stack import Stack

SAMPLE = 10
"""Every tenth document is embedded by the loops."""


class Figures(Struct):
    """Documents a second: of the loops each time, of the import until all were posted, and until all were searchable."""

    bare: list[float] = []
    divided: list[float] = []
    posted: float = 0.0
    searchable: float = 0.0
    documents: int = 0


def measure(documents: int) -> Figures:
    found = Figures()
    lines = shared_data("cisi-documents.jsonl").read_text().splitlines()[:documents]
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "cisi.jsonl"
        file.write_text("\n".join(lines))
        stack = Stack(Path(folder) / "stack")
        stack.start()
        try:
            loops(found, lines[::SAMPLE])
            summary = load(stack, file)
            loops(found, lines[::SAMPLE])
        finally:
            stack.stop()
    found.documents = summary["documents"]
    found.posted = summary["documents_per_second"]
    found.searchable = found.documents / summary["searchable_after_seconds"]
    return found


def loops(found: Figures, lines: list[str]) -> None:
    """Both loops over the passages as the index embeds them."""
    texts = []
    for document in map(json.loads, lines):
        title, text = document["title"], document["text"]
        texts += [f"{title}. {text[span.start : span.end]}" for span in passages(title, text)]
    documents = len(lines) / len(texts)
    found.bare.append(documents * Bare(THREADS).per_s(texts, lambda count, _: count <= BATCH_TEXTS, 1))
    held = documents * Bare(1).per_s(texts, lambda count, longest: count * longest <= BATCH_TOKENS_MAX, THREADS)
    found.divided.append(held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, default=1_460)
    parser.add_argument("--trial", action="store_true", help="nothing is written to RESULTS.md")
    arguments = parser.parse_args()
    found = measure(arguments.documents)
    bare, divided = fmean(found.bare), fmean(found.divided)
    text = (
        "| what | documents/s |\n|---|---|\n"
        f"| bare onnxruntime loop, batches of {BATCH_TEXTS} on {THREADS} threads, before and after | "
        f"{', '.join(f'{value:.1f}' for value in found.bare)} |\n"
        f"| bare loop, {THREADS} batches of {BATCH_TOKENS_MAX} tokens at a time | "
        f"{', '.join(f'{value:.1f}' for value in found.divided)} |\n"
        f"| posted: {found.documents} documents, each an event, acknowledged with fsync | {found.posted:.1f} |\n"
        f"| searchable: from the start to the last one, the command's own start included | {found.searchable:.1f} |\n"
        f"\n{found.searchable / bare:.0%} of the first loop, {found.searchable / divided:.0%} of the second. The loops have both "
        "cores; the import shares them with gateway, broker, database, projector and keeper.\n"
    )
    print(text)
    if not arguments.trial:
        results.write("Import (CISI)", "just bench importing", text)
        beside = f"bare loop: {bare:.0f}/s (batches as the worker's: {divided:.0f}/s)"
        results.record({"import.share": (found.searchable / bare, f"{found.searchable:.0f}/s; {beside}")})


if __name__ == "__main__":
    main()
