"""Where the owner of the vector index keeps its notes: one suite for every adapter."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from adapters.memory import MemoryBroker, MemoryRpc, MemorySnapshots
from adapters.vector_admin import STATUS
from adapters.vector_shelf import BrokerNotes, FolderNotes, MemoryShelf
from runtime.errors import UnavailableError

Notes = FolderNotes | BrokerNotes | MemoryShelf


class Places:
    """The same notes as two processes see them."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self._shelf = MemoryShelf()
        self._snapshots, self.rpc = MemorySnapshots(), MemoryRpc(MemoryBroker())

    def notes(self) -> Notes:
        match self._kind:
            case "folder":
                return FolderNotes(self._folder / "vectors")
            case "broker":
                return BrokerNotes(self._snapshots, self.rpc)
            case _:
                return self._shelf

    async def serve(self) -> None:
        """As an owner does once it has started."""

        async def answer(_: bytes) -> bytes:
            return b"{}"

        await self.rpc.serve(STATUS, answer)


@pytest.fixture(params=["folder", "broker", "memory"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    return Places(request.param, tmp_path)


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_folder_that_cannot_be_written_is_unavailable_and_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        notes = FolderNotes(tmp_path / "vectors")
        await notes.take()
        (tmp_path / "vectors" / "heard.json").mkdir()  # Nothing can take its place.
        with pytest.raises(UnavailableError, match="cannot write heard into"):
            await notes.save("heard", b"more")
        await notes.release()

    play(scenario)


def test_what_was_saved_last_is_there_for_the_next_owner(places: Places) -> None:
    async def scenario() -> None:
        first = places.notes()
        await first.take()
        assert await first.load("manifest") is None
        await first.save("manifest", b"one")
        await first.save("manifest", b"two")
        await first.save("heard", bytes(3_000_000))
        await first.release()
        await first.release()
        second = places.notes()
        await second.take()
        assert await second.load("manifest") == b"two"
        assert await second.load("heard") == bytes(3_000_000)
        await second.release()

    play(scenario)


def test_there_is_one_owner_at_a_time(places: Places) -> None:
    async def scenario() -> None:
        first = places.notes()
        await first.take()
        await places.serve()
        with pytest.raises(UnavailableError, match="another process owns"):
            await places.notes().take()
        await first.release()

    play(scenario)
