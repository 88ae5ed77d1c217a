"""Blobs on a JetStream stream: one message a chunk, its subject named by the content's hash.

A stream of our own rather than the object store, because a chunk stored by compare-and-set on sequence 0 makes a repeated
or interrupted `put` harmless, and the stream can deny deletes as the logs that refer to it do.
"""

import asyncio
import hashlib

import msgspec
from msgspec import Struct

from adapters.jetstream import Broker, RefusedError
from adapters.jetstream_log import CONFLICTS
from contracts import subjects
from runtime.errors import InvalidError, OutcomeError, UnavailableError

BLOB_BYTES_MAX = 32 << 20
CHUNK_BYTES = 1 << 20
CHUNKS_AT_ONCE = 4
CHUNKS_HEADER = "Diarchy-Chunks"


class _Get(Struct):
    seq: int
    next_by_subj: str
    batch: int


class JetStreamBlobs:
    """Blobs of at most BLOB_BYTES_MAX."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def put(self, content: bytes) -> str:
        """See Blobs.put. Raises InvalidError when too large, UnavailableError: put it again then."""
        if len(content) > BLOB_BYTES_MAX:
            raise InvalidError(f"{len(content)} bytes are more than a blob may have ({BLOB_BYTES_MAX})")
        digest = hashlib.sha256(content).hexdigest()
        chunks = [content[start : start + CHUNK_BYTES] for start in range(0, len(content), CHUNK_BYTES)] or [b""]
        free = asyncio.Semaphore(CHUNKS_AT_ONCE)

        async def put_chunk(number: int, chunk: bytes) -> None:
            headers = {"Nats-Expected-Last-Subject-Sequence": "0", CHUNKS_HEADER: str(len(chunks))}
            async with free:
                try:
                    await self._broker.store(subjects.blob(digest, number), chunk, headers)
                except RefusedError as error:
                    if error.code not in CONFLICTS:
                        raise
                    # The chunk is there already.

        if len(chunks) == 1 or await self._chunks(digest) is None:
            await asyncio.gather(*(put_chunk(number, chunk) for number, chunk in enumerate(chunks)))
        return digest

    async def get(self, digest: str) -> bytes:
        chunks = await self._chunks(digest)
        if chunks is None:
            raise OutcomeError(f"no blob {digest[:64]!r}")
        content = b"".join(chunks)
        if hashlib.sha256(content).hexdigest() != digest:
            raise OutcomeError(f"blob {digest} is damaged")
        return content

    async def _chunks(self, digest: str) -> list[bytes] | None:
        """All chunks in order; None unless complete."""
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            return None
        found: dict[int, bytes] = {}
        wanted, sequence, more = 1, 0, True
        while more:
            get = _Get(sequence + 1, subjects.blob(digest, "*"), CHUNKS_AT_ONCE)
            *parts, end = await self._broker.collect(
                f"$JS.API.DIRECT.GET.{subjects.BLOBS_STREAM}", msgspec.json.encode(get)
            )
            for part in parts:
                headers = part.headers or {}
                sequence, wanted = int(headers["Nats-Sequence"]), int(headers[CHUNKS_HEADER])
                found[int(headers["Nats-Subject"].rpartition(".")[2])] = part.data
            status = end.headers or {}
            if status.get("Status") not in ("204", "404"):
                raise UnavailableError("broker", f"reading blob {digest}: {status.get('Description')}")
            more = status.get("Status") == "204" and int(status.get("Nats-Num-Pending", "0")) > 0
        return [found[number] for number in range(wanted)] if found.keys() >= set(range(wanted)) else None
