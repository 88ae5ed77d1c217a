"""Where the generations of the vector index stand: notes in a folder, the vectors there or in a server. And one in memory."""

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from adapters.memory_vectors import MemoryVectors
from adapters.retrieval import LocalRetrieval
from adapters.vector_admin import STATUS
from contracts.domains import Domain
from contracts.subjects import ActorRef
from contracts.vectors import Generation
from runtime.errors import InvalidError, UnavailableError
from runtime.ports import Rpc, Snapshots
from runtime.telemetry import NoTelemetry
from runtime.vector_ports import Embedder, Shelved, VectorStore

INDEX = "vector index"
LOCK = "owner.lock"
OWNER_ANSWERS_S = 2.0

Open = Callable[[Generation], Awaitable[Shelved]]
Drop = Callable[[str | None], Awaitable[None]]
"""Deletes the vectors of a generation, by its name; None: those from before there were generations."""


class OpenGeneration:
    """A Shelved: a retrieval over its store, and what closes both."""

    def __init__(self, retrieval: LocalRetrieval, store: VectorStore, close: Callable[[], Awaitable[None]]) -> None:
        self.retrieval = retrieval
        self.store = store
        self._close = close

    async def close(self) -> None:
        await self._close()


class FolderNotes:
    """Notes and the lock as files of a folder: for vectors that stand there, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None

    async def take(self) -> None:
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise UnavailableError(INDEX, f"another process owns {self._folder}") from None
        self._lock = lock

    async def release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    async def load(self, note: str) -> bytes | None:
        path = self._folder / f"{note}.json"
        return await asyncio.to_thread(path.read_bytes) if path.exists() else None

    async def save(self, note: str, content: bytes) -> None:
        try:
            await asyncio.to_thread(_replace, self._folder / f"{note}.json", content)
        except OSError as error:
            raise UnavailableError(INDEX, f"cannot write {note} into {self._folder}: {error.strerror}") from error


class BrokerNotes:
    """Notes in the broker, where the owner has no folder that outlives it: for vectors in a server.

    There is no lock: two owners that start in the same moment do not see each other.
    """

    def __init__(self, snapshots: Snapshots, rpc: Rpc) -> None:
        self._snapshots = snapshots
        self._rpc = rpc

    async def take(self) -> None:
        try:
            await self._rpc.call(STATUS, b"", timeout_s=OWNER_ANSWERS_S)
        except UnavailableError:
            return  # Nobody is there.
        raise UnavailableError(INDEX, "another process owns it")

    async def release(self) -> None:
        """Nothing is held."""

    async def load(self, note: str) -> bytes | None:
        return await self._snapshots.load(_place(note))

    async def save(self, note: str, content: bytes) -> None:
        await self._snapshots.save(_place(note), content)


class NotedShelf:
    """A Shelf of these notes; `open_` and `drop` know where the vectors are."""

    def __init__(self, notes: FolderNotes | BrokerNotes, open_: Open, drop: Drop) -> None:
        self._notes = notes
        self._open = open_
        self._drop = drop

    async def take(self) -> None:
        await self._notes.take()

    async def release(self) -> None:
        await self._notes.release()

    async def load(self, note: str) -> bytes | None:
        return await self._notes.load(note)

    async def save(self, note: str, content: bytes) -> None:
        await self._notes.save(note, content)

    async def open(self, generation: Generation) -> Shelved:
        return await self._open(generation)

    async def drop(self, generation: str) -> None:
        await self._drop(generation)

    async def drop_unnamed(self) -> None:
        await self._drop(None)


class MemoryShelf:
    """A Shelf that lasts as long as the object; `embedders` by the model's name are those that can be had."""

    def __init__(self, *embedders: Embedder, schema: int = 1) -> None:
        self.embedders = {embedder.model: embedder for embedder in embedders}
        self.schema = schema
        self.notes: dict[str, bytes] = {}
        self.stores: dict[str, MemoryVectors] = {}
        self.taken = False

    async def take(self) -> None:
        if self.taken:
            raise UnavailableError(INDEX, "another process owns it")
        self.taken = True

    async def release(self) -> None:
        self.taken = False

    async def load(self, note: str) -> bytes | None:
        return self.notes.get(note)

    async def save(self, note: str, content: bytes) -> None:
        self.notes[note] = content

    async def open(self, generation: Generation) -> Shelved:
        spec = generation.spec
        embedder = self.embedders.get(spec.model)
        if embedder is None:
            raise InvalidError(f"the model {spec.model} is not to be had")
        if spec.schema != self.schema:
            raise InvalidError(f"its layout is {spec.schema}, not {self.schema}")
        store = self.stores.setdefault(generation.name, MemoryVectors(spec.dimensions))
        return OpenGeneration(LocalRetrieval(embedder, store, NoTelemetry()), store, store.close)

    async def drop(self, generation: str) -> None:
        self.stores.pop(generation, None)

    async def drop_unnamed(self) -> None:
        """There are none."""


def _place(note: str) -> ActorRef:
    """Where the broker keeps a note."""
    return ActorRef(Domain.EMBEDDING, "vector_index", note)


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
