"""Single texts that many ask for at the same time, asked for together: one message there and one back for all of them."""

import asyncio
from contextvars import Context, copy_context

from msgspec import Struct

from contracts.domains import Clearance
from contracts.embeddings import ROUTINGS, Embedded, EmbedTexts, ServedModel
from contracts.ids import new_id
from runtime.errors import InvalidError, UnavailableError
from runtime.telemetry import SPAN_TEXTS, Telemetry
from runtime.vector_ports import Embeddings

TEXTS_MAX = 16
CHARS_MAX = 1_400
"""Of a request: about a batch of the built-in model. A text of more than half of it goes alone: others would wait for it."""

UNDER_WAY_MAX = 2
"""Requests of one kind, as many as the built-in model runs batches at a time. While there are so many, texts wait for more of
them; a full request leaves at once."""

PATIENCE_S = 0.0006
"""A text just answered, for which as many are waited for: who asks for one after the other is back by then."""

TICK_S = 0.001
"""What timers may ring too early: uvloop counts in whole milliseconds."""


class Kind(Struct, frozen=True):
    """What texts of one request have in common."""

    model: str
    dimensions: int | None
    clearance: Clearance


class _Text:
    """A text, where its vector goes with the run it was made in, and the context (with its span) in which it is asked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.answer: asyncio.Future[tuple[Embedded, str]] = asyncio.get_running_loop().create_future()
        self.context = copy_context()


class _Line:
    """The texts that wait for a request, requests and texts that are under way, and texts that are expected in place of others
    which were just answered."""

    def __init__(self) -> None:
        self.waiting: list[_Text] = []
        self.chars = 0
        self.under_way = 0
        self.texts_under_way = 0
        self.expected = 0
        self.patient_until = 0.0
        self.timer: asyncio.TimerHandle | None = None


class MergedEmbeddings:
    """An Embeddings over another one, which is asked for texts of many callers at once. A Runnable.

    Texts are merged that are asked for one by one, by a model's name (where routing leads depends on the texts), in the same
    dimensions and under the same clearance. A request leaves when it has its share of all texts that wait, are under way or
    expected, so who is alone does not wait for company, and many are divided among UNDER_WAY_MAX requests. What waits is less
    than a full request, so it waits for one that is under way at the most.

    When texts of several callers fail together, each is asked for alone; that a model is away or unknown is true for all. A
    caller who gives up is left out.
    """

    def __init__(self, embeddings: Embeddings, telemetry: Telemetry, *, patience_s: float = PATIENCE_S) -> None:
        self._embeddings = embeddings
        self._telemetry = telemetry
        self._patience_s = patience_s
        self._lines: dict[Kind, _Line] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def start(self) -> None:
        """Nothing: tasks begin with the texts."""

    async def stop(self) -> None:
        """Whoever still waits gets UnavailableError. Idempotent."""
        self._stopped = True
        lines, self._lines = self._lines, {}
        for line in lines.values():
            if line.timer is not None:
                line.timer.cancel()
            for one in line.waiting:
                _fail(one, _stopped())
        asking = list(self._asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def models(self) -> list[ServedModel]:
        return await self._embeddings.models()

    async def embed(self, request: EmbedTexts) -> Embedded:
        if len(request.texts) != 1 or len(request.texts[0]) > CHARS_MAX // 2 or request.model in ROUTINGS:
            return await self._embeddings.embed(request)
        if self._stopped:
            raise _stopped()
        one = _Text(request.texts[0])
        self._add(Kind(request.model, request.dimensions, request.clearance), one)
        found, run = await one.answer
        if run:
            self._telemetry.note(together_in=run)
        return found

    def _add(self, kind: Kind, one: _Text) -> None:
        line = self._lines.setdefault(kind, _Line())
        if line.chars + len(one.text) > CHARS_MAX:
            self._send(kind, line)
        line.waiting.append(one)
        line.chars += len(one.text)
        line.expected = max(line.expected - 1, 0)
        self._consider(kind, line)

    def _consider(self, kind: Kind, line: _Line) -> None:
        """Send what waits if it is enough, else see to it that it is sent in time."""
        room = line.under_way < UNDER_WAY_MAX
        texts = len(line.waiting) + line.texts_under_way + line.expected
        share = min(TEXTS_MAX, -(-texts // UNDER_WAY_MAX)) if room else TEXTS_MAX
        if line.waiting and len(line.waiting) >= share:
            self._send(kind, line)
        elif room and line.timer is None:
            loop = asyncio.get_running_loop()
            line.timer = loop.call_at(line.patient_until, self._end_patience, kind, line)

    def _end_patience(self, kind: Kind, line: _Line) -> None:
        line.timer = None
        if asyncio.get_running_loop().time() + TICK_S < line.patient_until:
            self._consider(kind, line)
            return
        line.expected = 0
        if line.waiting and line.under_way < UNDER_WAY_MAX:
            self._send(kind, line)
        elif not line.waiting and not line.under_way:
            del self._lines[kind]

    def _send(self, kind: Kind, line: _Line) -> None:
        waiting, line.waiting, line.chars = line.waiting, [], 0
        wanted = [one for one in waiting if not one.answer.done()]
        line.under_way += 1
        line.texts_under_way += len(wanted)
        context = wanted[0].context if len(wanted) == 1 else Context()
        task = asyncio.get_running_loop().create_task(self._answer(kind, line, wanted), context=context)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _answer(self, kind: Kind, line: _Line, wanted: list[_Text]) -> None:
        try:
            if wanted:
                await self._ask(kind, wanted)
        except asyncio.CancelledError:
            for one in wanted:
                _fail(one, _stopped())
            raise
        finally:
            line.under_way -= 1
            line.texts_under_way -= len(wanted)
            line.expected += len(wanted)
            patient_until = asyncio.get_running_loop().time() + self._patience_s * len(wanted)
            line.patient_until = max(line.patient_until, patient_until)
            if not self._stopped:
                self._consider(kind, line)

    async def _ask(self, kind: Kind, wanted: list[_Text]) -> None:
        texts = tuple(one.text for one in wanted)
        request = EmbedTexts(model=kind.model, texts=texts, clearance=kind.clearance, dimensions=kind.dimensions)
        run = new_id() if len(wanted) > 1 else ""
        try:
            if run:
                with self._telemetry.span(SPAN_TEXTS, run=run, attributes={"texts": len(wanted)}):
                    found = await self._embeddings.embed(request)
            else:
                found = await self._embeddings.embed(request)
        except Exception as error:  # noqa: BLE001 - whatever went wrong is for the callers to handle
            if run and not isinstance(error, UnavailableError | InvalidError):
                await asyncio.gather(*(self._ask(kind, [one]) for one in wanted if not one.answer.done()))
                return
            for one in wanted:
                _fail(one, error)
            return
        for index, one in enumerate(wanted):
            if not one.answer.done():
                one.answer.set_result((found.only(index), run))


def _fail(one: _Text, error: Exception) -> None:
    if not one.answer.done():
        one.answer.set_exception(error)


def _stopped() -> UnavailableError:
    return UnavailableError("embedding", "this gateway is being stopped")
