"""Blobs: one suite for every adapter."""

import asyncio
import hashlib
import random

import pytest

from runtime.errors import InvalidError, OutcomeError
from tests.contract.conftest import Run, World

MIB = 1 << 20


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 5 * MIB + 7, 32 * MIB])
def test_what_is_put_is_got(run: Run, size: int) -> None:
    async def scenario(world: World) -> None:
        content = random.Random(size).randbytes(size)  # noqa: S311 - test data
        digest = await world.blobs.put(content)
        assert digest == hashlib.sha256(content).hexdigest()
        assert await world.blobs.get(digest) == content

    run(scenario)


def test_putting_again_changes_nothing(run: Run) -> None:
    async def scenario(world: World) -> None:
        content = bytes(3 * MIB)
        digests = await asyncio.gather(*(world.blobs.put(content) for _ in range(4)))
        digests += [await world.blobs.put(content), await world.blobs.put(b"small"), await world.blobs.put(b"small")]
        assert len(set(digests)) == 2
        assert await world.blobs.get(digests[0]) == content
        assert await world.blobs.get(digests[-1]) == b"small"

    run(scenario)


@pytest.mark.parametrize("digest", ["0" * 64, "", "*", "no.such.digest", "F" * 64])
def test_an_unknown_blob_is_an_outcome(run: Run, digest: str) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(OutcomeError):
            await world.blobs.get(digest)

    run(scenario)


def test_a_blob_has_a_limit(run: Run) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(InvalidError):
            await world.blobs.put(bytes(32 * MIB + 1))

    run(scenario)
