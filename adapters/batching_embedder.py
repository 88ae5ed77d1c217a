"""Concurrent embedding calls merged into batches of like length, searches before imports."""

import asyncio
from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from runtime.errors import OutcomeError, UnavailableError
from runtime.vector_ports import ENTRY, Embedder, Purpose, Vector

CALLS_WAITING_MAX = 256
WORKERS = 2
PASSED_OVER_MAX = 4
"""Batches of others that go before entries which wait; then it is the entries' turn, so that searches cannot stop an import."""


class Bounds(Struct, frozen=True, kw_only=True):
    """Of a batch: how many texts, and how many characters together. One text may have more, and is a batch by itself.

    Of a text not more than `text_chars_max` count: the model reads no further. The defaults are the built-in model's, whose
    256 tokens are about 1,400 characters of English: larger batches are no faster there (`adapters/minilm.py`), and who comes
    next waits for them.
    """

    texts_max: int = 32
    chars_max: int = 1_400
    text_chars_max: int = 1_400

    def hold(self, texts: int, chars: int) -> bool:
        return texts <= self.texts_max and (chars <= self.chars_max or texts == 1)

    def length(self, text: str) -> int:
        return min(len(text), self.text_chars_max)


class _Call:
    """At most a batch of texts of one caller, their lengths, and where their vectors go."""

    def __init__(self, texts: Sequence[str], lengths: Sequence[int], purpose: Purpose) -> None:
        self.texts = texts
        self.chars = sum(lengths)
        self.longest = max(lengths)
        self.purpose = purpose
        self.vectors: asyncio.Future[list[Vector]] = asyncio.get_running_loop().create_future()


class BatchingEmbedder:
    """An Embedder over another one, which it asks for `workers` batches at a time.

    A call that finds a free worker runs at once. Those that wait are merged, each batch around the one that waits longest.
    Entries and other texts wait apart, so that a search does not wait behind an import. A caller with many texts has a batch
    of them a worker in the queue at a time, so he does not hold up the others. When its queue is full, `embed` raises
    UnavailableError. A batch that is refused (OutcomeError) is tried by halves, until it is known whose text it is. `stop` ends
    this embedder, not the one under it.
    """

    def __init__(
        self,
        embedder: Embedder,
        bounds: Bounds | None = None,
        *,
        waiting_max: int = CALLS_WAITING_MAX,
        workers: int = WORKERS,
    ) -> None:
        self._embedder = embedder
        self._bounds = bounds or Bounds()
        self._waiting_max = waiting_max
        self._workers_max = workers
        self._entries: deque[_Call] = deque()
        self._others: deque[_Call] = deque()
        self._passed_over = 0
        self._changed = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    async def start(self) -> None:
        if not self._workers:
            self._workers = [
                asyncio.create_task(self._work(), name=f"batching-embedder-{number}")
                for number in range(self._workers_max)
            ]

    async def stop(self) -> None:
        """Embed what waits already, entries left out (who indexes tries again), then end. Idempotent."""
        workers, self._workers = self._workers, []
        while self._entries:
            call = self._entries.popleft()
            if not call.vectors.done():
                call.vectors.set_exception(UnavailableError(self.model, "the embedder is stopped"))
        self._changed.set()
        await asyncio.gather(*workers)

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:
        vectors: list[Vector] = [()] * len(texts)
        parts = iter(self._parts(texts))

        async def ask() -> None:
            for part in parts:
                found = await self._ask([texts[index] for index in part], purpose)
                for index, vector in zip(part, found, strict=True):
                    vectors[index] = vector

        if len(texts) == 1:
            await ask()
            return vectors
        try:
            async with asyncio.TaskGroup() as callers:
                for _ in range(self._workers_max):
                    callers.create_task(ask())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        return vectors

    def _parts(self, texts: Sequence[str]) -> list[list[int]]:
        """The texts' numbers, a batch a list: neighbours in length, so that little is padded."""
        lengths = [self._bounds.length(text) for text in texts]
        parts: list[list[int]] = []
        chars = 0
        for index in sorted(range(len(texts)), key=lengths.__getitem__):
            chars += lengths[index]
            if not parts or not self._bounds.hold(len(parts[-1]) + 1, chars):
                parts.append([])
                chars = lengths[index]
            parts[-1].append(index)
        return parts

    async def _ask(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        if not self._workers:
            raise UnavailableError(self.model, "the embedder is stopped")
        queue = self._entries if purpose.use == "entry" else self._others
        if len(queue) >= self._waiting_max:
            raise UnavailableError(self.model, f"{self._waiting_max} calls are waiting", retry_after_s=1)
        call = _Call(texts, [*map(self._bounds.length, texts)], purpose)
        queue.append(call)
        self._changed.set()
        return await call.vectors

    async def _work(self) -> None:
        while True:
            while not (self._entries or self._others):
                if not self._workers:
                    return
                self._changed.clear()
                await self._changed.wait()
            await self._embed(self._merged(self._next_queue()))

    def _next_queue(self) -> deque[_Call]:
        if not self._others or (self._entries and self._passed_over >= PASSED_OVER_MAX):
            self._passed_over = 0
            return self._entries
        self._passed_over += bool(self._entries)
        return self._others

    def _merged(self, queue: deque[_Call]) -> list[_Call]:
        """The call that waits longest, and of those with its purpose's use that fit the ones nearest to it in length."""
        first = queue.popleft()
        batch, texts, chars = [first], len(first.texts), first.chars
        alike = (call for call in queue if call.purpose.use == first.purpose.use)
        for call in sorted(alike, key=lambda call: abs(call.longest - first.longest)):
            texts, chars = texts + len(call.texts), chars + call.chars
            if not self._bounds.hold(texts, chars):
                break
            batch.append(call)
        for call in batch[1:]:
            queue.remove(call)
        return batch

    async def _embed(self, batch: list[_Call]) -> None:
        wanted = [call for call in batch if not call.vectors.done()]
        try:
            texts = [text for call in wanted for text in call.texts]
            vectors = await self._embedder.embed(texts, batch[0].purpose) if wanted else []
        except Exception as error:  # noqa: BLE001 - whatever went wrong is for the callers to handle
            if isinstance(error, OutcomeError) and len(wanted) > 1:
                middle = len(wanted) // 2
                await self._embed(wanted[:middle])
                await self._embed(wanted[middle:])
                return
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
