"""The partition that bench/search.py filled, as a user searches it: over HTTP on the whole embedded stack.

100,000 entries are not added one by one, which would take hours: their vectors stand in the keeper's folder and their rows in the
read model before it is asked, and no log knows of them. Each search is real: HTTP, the gateway, a request to the keeper, which
embeds the text (no cache has seen one), searches and answers, then the rows of the hits from the read model.
"""

import asyncio
import http.client
import json
import shutil
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec

from adapters.vector_payload import PARTITIONS, SCHEMA
from contracts.domains import Clearance, Partition
from contracts.retrieval import Entry
from contracts.vectors import Generation, Manifest, Spec
from projections.knowledge import KnowledgeItem
from runtime.embedding_catalogue import MINILM
from runtime.generations import MANIFEST
from tests.stack import Stack

GENERATION = "bench"
ROWS = 2_000  # in one statement
WARM = 20  # searches before those that count
_INSERT = "INSERT INTO read.knowledge SELECT * FROM jsonb_populate_recordset(NULL::read.knowledge, $1::text::jsonb)"


def serve_from(vectors: Path, stack: Path) -> None:
    """Make the store in `vectors` the generation that a stack in the folder `stack` will serve."""
    place = stack / "vectors"
    place.mkdir(parents=True)
    shutil.move(vectors, place / GENERATION)
    spec = Spec(MINILM.name, MINILM.dimensions, SCHEMA)
    serving = Generation(
        name=GENERATION, spec=spec, state="serving", partitions=PARTITIONS, began=datetime.now(UTC), positions={}
    )
    (place / f"{MANIFEST}.json").write_bytes(msgspec.json.encode(Manifest((serving,))))


def times_ms(
    stack: Path, entries: Iterable[Sequence[Entry]], partition: Partition, asked: Sequence[dict[str, Any]]
) -> list[float]:
    """Of each search but the first ones, asked by one client, one after the other."""
    running = Stack(stack)
    running.start()
    try:
        asyncio.run(_store(running, entries, partition))
        return _search(running, partition, asked)
    finally:
        running.stop()


async def _store(stack: Stack, entries: Iterable[Sequence[Entry]], partition: Partition) -> None:
    connection = await asyncpg.connect(stack.settings.postgres.dsn.reveal())
    try:
        for some in entries:
            for start in range(0, len(some), ROWS):
                rows = [_row(entry, partition) for entry in some[start : start + ROWS]]
                await connection.execute(_INSERT, msgspec.json.encode(rows).decode())
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


def _row(entry: Entry, partition: Partition) -> dict[str, Any]:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        **{field: getattr(entry, field) for field in ("id", "title", "category", "source", "tags")},
        **{"content": entry.text, "confidentiality": entry.label, "strategic_priority": entry.priority},
        **{"partition": partition, "label": entry.label, "expires": None, "attachment": None},
        **{"created": now, "updated": now, "created_by": "bench", "updated_by": "bench"},
    }
    return {field: values.get(field) for field in KnowledgeItem.__struct_fields__}


def _search(stack: Stack, partition: Partition, asked: Sequence[dict[str, Any]]) -> list[float]:
    token = stack.token("ann", "admin", clearance=Clearance.CONFIDENTIAL)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    address = urlsplit(stack.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    taken: list[float] = []
    for body in asked:
        encoded = json.dumps({"partitions": [partition], **body})
        began = time.perf_counter()
        connection.request("POST", "/v1/knowledge/search", encoded, headers)
        response = connection.getresponse()
        content = response.read()
        taken.append(1_000 * (time.perf_counter() - began))
        if response.status != 200 or not json.loads(content)["hits"]:
            raise RuntimeError(f"{response.status}: {content[:500]!r}")
    connection.close()
    return taken[WARM:]
