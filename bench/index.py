"""How soon what was deleted, has expired, was updated or raised above a reader is gone from search, how soon what was lowered to
him is there, and what a rebuild of the index costs.

Over HTTP on the whole embedded stack: from the answer to the change (of what expires, from that moment) until a search, and the
index alone as agents ask it, no longer have what was there. The rebuild is of some documents of CISI, with a search at a time
meanwhile.

python -m bench.index [--items 60] [--documents 300]
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from adapters.jetstream_rpc import NatsRpc
from adapters.retrieval import RemoteRetrieval
from adapters.vector_admin import RemoteVectors
from bench import results
from contracts.domains import Clearance, Partition
from contracts.retrieval import Query
from deploy.stack import broker
from runtime.ports import Retrieval
from runtime.telemetry import NoTelemetry
from tests.data import shared_data
from tests.stack import ROOT, Stack, ok

PARTITION: Partition = "research_data"
READER = Clearance.INTERNAL
CHANGES = ("delete", "expire", "update", "raise", "lower")
EXPIRES_S = 1.0
ABOVE = Clearance.RESTRICTED


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--documents", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="diarchy-bench-", ignore_cleanup_errors=True) as folder:
        stack = Stack(Path(folder) / "stack")
        stack.start()
        try:
            _import(stack, Path(folder), arguments.documents)
            gone = asyncio.run(_gone(stack, arguments.items))
            searches_ms, rebuild_ms, seconds, entries = asyncio.run(_rebuilt(stack))
        finally:
            stack.stop()
    whole = [ms for times in gone.values() for ms in times]
    lines = [
        f"| {what}: {'there' if what == 'lower' else 'gone'} after, median / slowest | {median(ms):.0f} / {max(ms):.0f} ms |"
        for what, ms in gone.items()
    ]
    lines += [
        f"| rebuild of {entries} entries | {seconds:.1f} s: {entries / seconds:.0f} entries/s |",
        f"| a search before / during it, median | {median(searches_ms):.1f} / {median(rebuild_ms):.1f} ms |",
        f"| slowest search during it | {max(rebuild_ms):.0f} ms of {len(rebuild_ms)} |",
    ]
    results.write(
        "Vector index: gone, rebuilt", "just bench index", "\n".join(["| what | figure |", "|---|---|", *lines])
    )
    results.record({"index.gone_ms": (max(whole), f"median {median(whole):.0f} ms of {len(whole)} changes")})
    print("\n".join(lines))


def _import(stack: Stack, folder: Path, number: int) -> None:
    path = folder / "documents.jsonl"
    path.write_text("\n".join(shared_data("cisi-documents.jsonl").read_text().splitlines()[:number]))
    command = [
        sys.executable,
        "-m",
        "deploy",
        "import",
        str(path),
        "--partition",
        PARTITION,
        "--data",
        str(stack.folder),
    ]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program


async def _gone(stack: Stack, number: int) -> dict[str, list[float]]:
    """Milliseconds of each change, from its answer until what people and agents find is as it is to be."""
    times: dict[str, list[float]] = {change: [] for change in CHANGES}
    async with broker(stack.settings) as connection:
        agents = RemoteRetrieval(NatsRpc(connection), NoTelemetry())
        with stack.client() as admin, stack.client("rea", "sophia_user", clearance=READER) as reader:
            for place in range(number):
                change = CHANGES[place % len(CHANGES)]
                body = _item(place)
                cleared = (admin, ABOVE) if change == "lower" else (reader, READER)
                body["confidentiality"] = cleared[1].value
                id_ = str(ok(await asyncio.to_thread(admin.post, "/v1/knowledge", json=body))["id"])
                while await _found(*cleared, agents, id_, place) != {body["content"]}:
                    pass
                began = await _changed(admin, change, id_, body)
                wanted = {body["content"]} if change == "lower" else {"It stays."} if change == "update" else {None}
                while await _found(reader, READER, agents, id_, place) != wanted:
                    pass
                times[change].append(1_000 * (time.perf_counter() - began))
    return times


async def _changed(admin: httpx.Client, change: str, id_: str, body: dict[str, Any]) -> float:
    """Change the item; when that was answered, of what expires when it does."""
    expires = datetime.now(UTC) + timedelta(seconds=EXPIRES_S)
    lowered = {"confidentiality": READER.value, "reason": "measured"}
    method, path, sent = {
        "delete": ("DELETE", "", None),
        "expire": ("PUT", "", body | {"expires": expires.isoformat()}),
        "update": ("PUT", "", body | {"content": "It stays."}),
        "raise": ("PUT", "", body | {"confidentiality": ABOVE.value}),
        "lower": ("POST", "/declassify", lowered),
    }[change]
    response = await asyncio.to_thread(admin.request, method, f"/v1/knowledge/{id_}{path}", json=sent)
    response.raise_for_status()
    if change == "expire":
        await asyncio.sleep(max(0.0, (expires - datetime.now(UTC)).total_seconds()))
    return time.perf_counter()


def _item(place: int) -> dict[str, Any]:
    return {
        "title": f"Harbour number {place}",
        "content": f"The crane of harbour {place} is repaired in spring.",
        "category": "strategic_planning",
        "partition": PARTITION,
    }


async def _found(
    reader: httpx.Client, clearance: Clearance, agents: Retrieval, id_: str, place: int
) -> set[str | None]:
    """What a person and an agent find of the item; None: nothing."""
    text = f"When is the crane of harbour {place} repaired?"
    search = {"query": text, "partitions": [PARTITION], "limit": 20}
    hits = ok(await asyncio.to_thread(reader.post, "/v1/knowledge/search", json=search))["hits"]
    query = Query(partitions=(PARTITION,), text=text, clearance=clearance, now=datetime.now(UTC), limit=20)
    alone = await agents.search(query)
    return {
        next((str(hit["knowledge"]["content"]) for hit in hits if hit["id"] == id_), None),
        next((hit.entry.text for hit in alone if hit.entry.id == id_), None),
    }


async def _rebuilt(stack: Stack) -> tuple[list[float], list[float], float, int]:
    """Milliseconds of searches before and during a rebuild, its seconds, and how many entries it embedded."""
    async with broker(stack.settings) as connection:
        rpc = NatsRpc(connection)
        agents, owner = RemoteRetrieval(rpc, NoTelemetry()), RemoteVectors(rpc)
        number = 0

        async def search() -> float:
            nonlocal number
            number += 1
            text = f"How are libraries of kind {number} catalogued?"  # Each one new: no cache has it.
            query = Query(partitions=(PARTITION,), text=text, clearance=READER, now=datetime.now(UTC), limit=10)
            began = time.perf_counter()
            await agents.search(query)
            return 1_000 * (time.perf_counter() - began)

        before = [await search() for _ in range(50)]
        name = await owner.rebuild()
        during = []
        while True:
            during.append(await search())
            last = (await owner.status()).last
            if last is not None and last.generation == name:
                return before, during, last.seconds, last.entries


if __name__ == "__main__":
    main()
