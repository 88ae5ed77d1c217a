"""Embeddings: texts to vectors by the model that is asked for, or that suits best, on whichever server answers."""

import asyncio
import logging
import math
import time
from array import array
from collections.abc import Callable, Sequence

from contracts.embeddings import Embedded, EmbeddingModel, EmbedTexts, ServedModel, packed
from runtime.embedding_catalogue import route, tokens_about
from runtime.errors import DiarchyError, OutcomeError, UnavailableError
from runtime.telemetry import EMBED_SECONDS, EMBEDDINGS_TOTAL, SPAN_EMBED, Attributes, Telemetry
from runtime.vector_ports import Embedder, Purpose, Vector

PROBE_EVERY_S = 30.0
PROBE_S_MAX = 5.0
PROBE = Purpose("plain")
COUNTED_CHARS_MAX = 10_000  # about 2 ms of counting

_log = logging.getLogger(__name__)


class Source:
    """A model on a server: what embeds there, how its tokens are counted, and whether it answered when it was last asked."""

    def __init__(
        self,
        server: str,
        model: EmbeddingModel,
        embedder: Embedder,
        *,
        tokens: Callable[[str], int] = tokens_about,
        probed: bool = True,
    ) -> None:
        self.server = server
        self.model = model
        self.embedder = embedder
        self.tokens = tokens
        self.probed = probed
        self.away: UnavailableError | None = None

    @property
    def available(self) -> bool:
        return self.away is None

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """Raises what the embedder does; with UnavailableError, which names the model as we do, it counts as away."""
        try:
            vectors = await self.embedder.embed(texts, purpose)
        except UnavailableError as error:
            away = UnavailableError(self.model.name, error.reason, error.retry_after_s, told=error.told)
            self._found(away if self.probed else None)
            raise away from error
        self._found(None)
        return vectors

    async def probe(self) -> None:
        """Ask for one word, to know whether it answers."""
        try:
            async with asyncio.timeout(PROBE_S_MAX):
                await self.embed(["ready"], PROBE)
        except TimeoutError:
            self._found(UnavailableError(self.model.name, f"no answer in {PROBE_S_MAX:g} s"))
        except UnavailableError:
            pass  # known by now
        except DiarchyError as error:
            self._found(UnavailableError(self.model.name, str(error)))

    def _found(self, away: UnavailableError | None) -> None:
        if (away is None) != self.available:
            why = "it answers again" if away is None else away.reason
            _log.warning("embedding model %s on %s: %s", self.model.name, self.server, why)
        self.away = away


class EmbeddingWorkers:
    """Embeddings over sources. A Runnable: while it runs, each remote source is asked every 30 s whether it answers.

    A model may have several sources; the first available one is asked, and the next when it does not answer. A routed request
    goes on to the next model then, a named one is refused. `probe_s` is for tests.
    """

    def __init__(self, sources: Sequence[Source], telemetry: Telemetry, *, probe_s: float = PROBE_EVERY_S) -> None:
        self._sources = tuple(sources)
        self._telemetry = telemetry
        self._probe_s = probe_s
        self._probing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._probing is None and any(source.probed for source in self._sources):
            self._probing = asyncio.create_task(self._probe(), name="embedding servers")

    async def stop(self) -> None:
        probing, self._probing = self._probing, None
        if probing is not None:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)

    async def models(self) -> list[ServedModel]:
        by_name: dict[str, list[Source]] = {}
        for source in self._sources:
            by_name.setdefault(source.model.name, []).append(source)
        return [_served(sources) for sources in by_name.values()]

    async def embed(self, request: EmbedTexts) -> Embedded:
        models = route(await self.models(), request.model, texts=request.texts, dimensions=request.dimensions)
        purpose = Purpose("plain", request.clearance)
        problem: UnavailableError | None = None
        for source in [source for model in models for source in self._of(model.name)]:
            attributes: Attributes = {"model": source.model.name, "server": source.server, "texts": len(request.texts)}
            began = time.perf_counter()
            try:
                with self._telemetry.span(SPAN_EMBED, attributes=attributes):
                    vectors = await source.embed(request.texts, purpose)
            except UnavailableError as error:
                problem = error
                continue
            labels = {"model": source.model.name, "kind": purpose.use}
            self._telemetry.observe(EMBED_SECONDS, time.perf_counter() - began, **labels)
            self._telemetry.count(EMBEDDINGS_TOTAL, len(request.texts), **labels)
            return _embedded(source, request, vectors, await _counted(source, request.texts))
        raise problem or UnavailableError(models[0].name, "no server of it answers")

    def _of(self, name: str) -> list[Source]:
        return [source for source in self._sources if source.model.name == name and source.available]

    async def _probe(self) -> None:
        while True:
            await asyncio.gather(*(source.probe() for source in self._sources if source.probed))
            await asyncio.sleep(self._probe_s)


def _served(sources: Sequence[Source]) -> ServedModel:
    """What is known of a model that these are sources of."""
    available = any(source.available for source in sources)
    away = [source.away for source in sources if source.away]
    return ServedModel(
        model=sources[0].model,
        servers=tuple(source.server for source in sources),
        available=available,
        reasons=tuple(source.away.reason if source.away else "" for source in sources),
        told="" if available else next((one.told for one in away if one.told), ""),
    )


async def _counted(source: Source, texts: Sequence[str]) -> tuple[int, ...]:
    """The tokens of each text; long ones are counted in a thread, so that others need not wait."""

    def count() -> tuple[int, ...]:
        return tuple(map(source.tokens, texts))

    return count() if sum(map(len, texts)) < COUNTED_CHARS_MAX else await asyncio.to_thread(count)


def _embedded(source: Source, request: EmbedTexts, vectors: Sequence[Vector], tokens: tuple[int, ...]) -> Embedded:
    dimensions = request.dimensions or source.model.dimensions
    content = b"".join(packed(array("f", _cut(vector, dimensions))) for vector in vectors)
    return Embedded(model=source.model.name, dimensions=dimensions, vectors=content, tokens=tokens)


def _cut(vector: Vector, dimensions: int) -> Vector:
    """The first numbers of a vector as a unit vector again. Raises OutcomeError for one that points elsewhere altogether."""
    if len(vector) == dimensions:
        return vector
    first = vector[:dimensions]
    norm = math.sqrt(math.fsum(number * number for number in first))
    if not norm > 0:
        raise OutcomeError(f"the first {dimensions} numbers of a vector are all 0")
    return [number / norm for number in first]
