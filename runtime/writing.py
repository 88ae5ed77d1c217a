"""Writing: what a model writes, announced while it writes, to whoever listens; what counts is what is recorded afterwards."""

import asyncio
from collections import deque
from types import TracebackType

import msgspec
from msgspec.structs import replace

from contracts import subjects
from contracts.chat import Delta, Written
from contracts.domains import Domain
from contracts.ids import new_id
from runtime.model_ports import ANEW
from runtime.outside import Announce

MERGED_CHARS_MAX = 16_384  # of text that piled up, in one announcement
FLUSH_S_MAX = 1.0  # what the end of an answer waits for its last announcements


class Writing:
    """An OnDelta whose pieces are announced in order; text that comes faster than it is announced is merged.

    Use it as a context manager: on an orderly end all that was told is announced before it returns, for `FLUSH_S_MAX` at most.
    `first` says what all announcements have in common; their attempt is a new one when the answer is begun anew.
    """

    def __init__(self, announce: Announce, domain: Domain, first: Written) -> None:
        self._announce = announce
        self._subject = subjects.written(domain, first.run)
        self._next = first
        self._waiting: deque[Delta] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self._task: asyncio.Task[None] | None = None

    def __call__(self, delta: Delta) -> None:
        self._waiting.append(delta)
        self._news.set()
        if self._task is None and subjects.is_token(self._next.run):  # Else nobody can listen to it.
            self._task = asyncio.create_task(self._announce_all(), name=f"writing {self._subject}")

    async def __aenter__(self) -> "Writing":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        if task is None:
            return
        self._ended = True
        self._news.set()
        try:
            if error is None:
                await asyncio.wait({task}, timeout=FLUSH_S_MAX)
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _announce_all(self) -> None:
        while not self._ended or self._waiting:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                delta = self._merged()
                if delta == ANEW:
                    self._next = replace(self._next, attempt=new_id(), number=0)
                    continue
                written = replace(self._next, delta=delta)
                self._next = replace(written, number=written.number + 1)
                await self._announce(self._subject, msgspec.json.encode(written))

    def _merged(self) -> Delta:
        first = self._waiting.popleft()
        if not first.text:
            return first
        texts, size = [first.text], len(first.text)
        while self._waiting and self._waiting[0].text and size < MERGED_CHARS_MAX:
            texts.append(self._waiting.popleft().text)
            size += len(texts[-1])
        return Delta(text="".join(texts))
