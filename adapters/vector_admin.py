"""What operators ask of the vector index: its state, what it keeps, a rebuild, a roll-back; over request and reply."""

from typing import TypeVar

import msgspec
from msgspec import Struct

from contracts import subjects
from contracts.domains import Domain, Partition
from contracts.retrieval import Kept
from contracts.vectors import VectorsStatus
from runtime.errors import InvalidError
from runtime.generations import Generations
from runtime.ports import Rpc

T = TypeVar("T")

TIMEOUT_S = 10.0
STATUS = subjects.service(Domain.EMBEDDING, "vectors_status")
LISTED = subjects.service(Domain.EMBEDDING, "vectors_listed")
REBUILD = subjects.service(Domain.EMBEDDING, "vectors_rebuild")
ROLL_BACK = subjects.service(Domain.EMBEDDING, "vectors_roll_back")


class ListedRequest(Struct, frozen=True):
    """The body of a `listed` call."""

    partition: Partition
    after: str | None
    limit: int


class RebuildRequest(Struct, frozen=True):
    """The body of a `rebuild` call."""

    partitions: tuple[Partition, ...]


class RemoteVectors:
    """The owner's `status`, `listed`, `rebuild` and `roll_back`, from another process. All raise UnavailableError."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def status(self) -> VectorsStatus:
        return msgspec.json.decode(await self._rpc.call(STATUS, b"", timeout_s=TIMEOUT_S), type=VectorsStatus)

    async def listed(self, partition: Partition, *, after: str | None, limit: int) -> list[Kept]:
        request = msgspec.json.encode(ListedRequest(partition, after, limit))
        return msgspec.json.decode(await self._rpc.call(LISTED, request, timeout_s=TIMEOUT_S), type=list[Kept])

    async def rebuild(self, partitions: tuple[Partition, ...] = ()) -> str:
        """Raises OutcomeError while a generation is built."""
        request = msgspec.json.encode(RebuildRequest(partitions))
        return (await self._rpc.call(REBUILD, request, timeout_s=TIMEOUT_S)).decode()

    async def roll_back(self) -> str:
        """Raises OutcomeError where there is nothing to roll back to."""
        return (await self._rpc.call(ROLL_BACK, b"", timeout_s=TIMEOUT_S)).decode()


def ailment(status: VectorsStatus) -> str:
    """Why the index does not become what it is to be, or cannot be searched; empty: it is that, or is being built."""
    if status.trouble:
        return status.trouble
    made = {
        part
        for one in status.generations
        if one.state == "serving" and one.spec == status.wanted
        for part in one.partitions
    }
    served = {part for one in status.generations if one.state == "serving" for part in one.partitions}
    if status.last is not None and status.last.trouble and made != served:
        return f"generation {status.last.generation} was not swapped in: {status.last.trouble}"
    return ""


def described(status: VectorsStatus) -> str:
    """One line for people: what is served, and what is being built."""
    entries = sum(status.counts.values())
    models = sorted({one.spec.model for one in status.generations if one.state == "serving"})
    said = f"{entries:,} entries with {' and '.join(models)}" if status.counts else "nothing is served"
    if (building := status.building) is not None:
        done = f"{building.stage} {building.done:,} of {building.total:,}"
        said += f"; generation {building.generation} is being built with {building.spec.model}: {done}"
    return f"{said}; {status.trouble}" if status.trouble else said


async def serve_vectors(rpc: Rpc, owner: Generations) -> None:
    """Answer what `RemoteVectors` asks, until the connection closes."""

    async def status(_: bytes) -> bytes:
        return msgspec.json.encode(await owner.status())

    async def listed(body: bytes) -> bytes:
        request = _decoded(body, ListedRequest)
        return msgspec.json.encode(await owner.listed(request.partition, after=request.after, limit=request.limit))

    async def rebuild(body: bytes) -> bytes:
        return (await owner.rebuild(_decoded(body, RebuildRequest).partitions)).encode()

    async def roll_back(_: bytes) -> bytes:
        return (await owner.roll_back()).encode()

    await rpc.serve(STATUS, status)
    await rpc.serve(LISTED, listed)
    await rpc.serve(REBUILD, rebuild)
    await rpc.serve(ROLL_BACK, roll_back)


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise InvalidError(str(error)) from error
