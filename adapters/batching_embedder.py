"""Concurrent embedding calls merged into batches: a model does 32 texts in much less than 32 times the time of one."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from runtime.errors import UnavailableError
from runtime.vector_ports import Embedder, Vector

BATCH_TEXTS_MAX = 32
CALLS_WAITING_MAX = 256
WAIT_S_MAX = 0.003


class _Call:
    """At most a batch of texts of one caller, and where their vectors go."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.vectors: asyncio.Future[list[Vector]] = asyncio.get_running_loop().create_future()


class BatchingEmbedder:
    """An Embedder over another one.

    A call that finds nobody else waiting runs at once; while calls overlap, a batch waits up to 3 ms for more of them. A
    caller with many texts has one batch of them in the queue at a time, so he does not hold up the others. When the queue is
    full, `embed` raises UnavailableError. `stop` ends this embedder, not the one under it.
    """

    def __init__(
        self, embedder: Embedder, *, texts_max: int = BATCH_TEXTS_MAX, waiting_max: int = CALLS_WAITING_MAX
    ) -> None:
        self._embedder = embedder
        self._texts_max = texts_max
        self._calls: asyncio.Queue[_Call | None] = asyncio.Queue(waiting_max)
        self._held: deque[_Call | None] = deque()  # at most one
        self._worker: asyncio.Task[None] | None = None

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    async def start(self) -> None:
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="batching-embedder")

    async def stop(self) -> None:
        """Embed what waits already, then end. Idempotent."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await self._calls.put(None)
            await worker

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # Batches of like length pad little.
        vectors: list[Vector] = [()] * len(texts)
        for start in range(0, len(order), self._texts_max):
            batch = order[start : start + self._texts_max]
            found = await self._ask([texts[index] for index in batch])
            for index, vector in zip(batch, found, strict=True):
                vectors[index] = vector
        return vectors

    async def _ask(self, texts: Sequence[str]) -> list[Vector]:
        if self._worker is None:
            raise UnavailableError(self.model, "the embedder is stopped")
        call = _Call(texts)
        try:
            self._calls.put_nowait(call)
        except asyncio.QueueFull:
            raise UnavailableError(self.model, f"{self._calls.maxsize} calls are waiting", retry_after_s=1) from None
        return await call.vectors

    async def _work(self) -> None:
        crowded = False
        while (first := await self._take()) is not None:
            batch = await self._merge(first, WAIT_S_MAX if crowded else 0)
            crowded = len(batch) > 1
            await self._embed(batch)

    async def _take(self) -> _Call | None:
        return self._held.popleft() if self._held else await self._calls.get()

    async def _merge(self, first: _Call, wait_s: float) -> list[_Call]:
        """`first` and what else waits or comes within `wait_s` and fits; the one that does not fit is held for the next batch."""
        batch = [first]
        room = self._texts_max - len(first.texts)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while room > 0:
                    call = await self._calls.get()
                    if call is None or len(call.texts) > room:
                        self._held.append(call)
                        break
                    batch.append(call)
                    room -= len(call.texts)
        return batch

    async def _embed(self, batch: list[_Call]) -> None:
        wanted = [call for call in batch if not call.vectors.cancelled()]
        try:
            vectors = await self._embedder.embed([text for call in wanted for text in call.texts]) if wanted else []
        except Exception as error:  # noqa: BLE001 - whatever went wrong is for the callers to handle
            for call in wanted:
                if not call.vectors.done():
                    call.vectors.set_exception(error)
            return
        start = 0
        for call in wanted:
            end = start + len(call.texts)
            if not call.vectors.done():
                call.vectors.set_result(vectors[start:end])
            start = end
