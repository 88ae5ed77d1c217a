"""Embeddings from any server that speaks OpenAI's embeddings API (Ollama, vLLM, OpenAI itself)."""

import logging
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

import msgspec
from msgspec import Struct
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, OpenAIError

from adapters.refusals import KEY_REFUSED, detailed, retry_after_s, said
from runtime.errors import OutcomeError, UnavailableError
from runtime.vector_ports import ENTRY, Purpose, Use, Vector

REQUEST_TIMEOUT_S = 30.0
RETRIES_MAX = 2
REQUEST_TEXTS_MAX = 256
NO_KEY = "none"  # The library wants one where a server of one's own has none.
NO_PREFIXES: Mapping[Use, str] = MappingProxyType({})
TEXTS_REFUSED = frozenset({400, 413, 422})  # which may be said of what was sent; nothing else is a text's fault
NOT_FOUND = 404

_logger = logging.getLogger(__name__)


class _Item(Struct):
    index: int
    embedding: list[float | None] | None


class _Answer(Struct):
    data: list[_Item]


_answer = msgspec.json.Decoder(_Answer)
"""The library takes any JSON for an answer; this does not."""


class OpenAiEmbedder:
    """An Embedder. Vectors are normalised here, since not every server does it.

    `dimensions` is what the model gives; it is checked in every answer. `prefixes`: what the model wants before a text, by its
    use.

    Raises OutcomeError for what may be a text's fault: 400, 413, 422, and embeddings without a vector for each text. Who sent
    several texts can find the one by halves.

    Raises UnavailableError for whatever else goes wrong, also after two retries: what was accepted waits until the server is
    well again, and is found then. That is so for a key that is refused, a page of a proxy, and also for vectors of another
    size, which last until an operator puts the server or the settings right: no text is at fault, and every one that is given
    up meanwhile would be missing from the index.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        model: str,
        dimensions: int,
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
        prefixes: Mapping[Use, str] = NO_PREFIXES,
    ) -> None:
        self._client = AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or NO_KEY,
            timeout=timeout_s,
            max_retries=RETRIES_MAX,
        )
        self._key = api_key
        self._key_refused = False
        self._model = model
        self._dimensions = dimensions
        self._prefixes = prefixes

    @property
    def model(self) -> str:
        return self._model

    @property
    def dimensions(self) -> int:
        return self._dimensions

    async def embed(self, texts: Sequence[str], purpose: Purpose = ENTRY) -> list[Vector]:
        vectors: list[Vector] = []
        prefix = self._prefixes.get(purpose.use, "")
        for start in range(0, len(texts), REQUEST_TEXTS_MAX):
            part = [prefix + text for text in texts[start : start + REQUEST_TEXTS_MAX]]
            vectors += await self._request(part)
        return vectors

    async def close(self) -> None:
        await self._client.close()

    async def _request(self, texts: list[str]) -> list[Vector]:
        try:
            create = self._client.embeddings.with_raw_response.create
            content = (await create(model=self._model, input=texts, encoding_format="float")).content
        except APIConnectionError as error:
            raise UnavailableError(self._model, f"no answer from the embedding server: {error}") from error
        except APIStatusError as error:
            raise self._refused(error) from None  # Its own text has all that the server said.
        except OpenAIError as error:
            raise UnavailableError(self._model, f"it answered no embeddings ({error})") from error
        self._key_refused = False
        by_index = {item.index: item.embedding for item in self._decoded(content)}
        if sorted(by_index) != list(range(len(texts))):
            raise OutcomeError(f"the embedding server answered {len(by_index)} vectors for {len(texts)} texts")
        return [self._unit(by_index[index]) for index in range(len(texts))]

    def _decoded(self, content: bytes) -> list[_Item]:
        try:
            return _answer.decode(content).data
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            reason = f"it answered no embeddings ({error}): {said(content, self._key)}"
            raise UnavailableError(self._model, reason) from error

    def _refused(self, error: APIStatusError) -> UnavailableError | OutcomeError:
        response, status = error.response, error.status_code
        reason = f"the embedding server answered {detailed(status, response.content, self._key)}"
        if status in TEXTS_REFUSED:
            return OutcomeError(reason)
        if status in KEY_REFUSED:
            if not self._key_refused:
                self._key_refused = True
                _logger.warning("%s: %s", self._model, reason)
            reason = f"its key is refused (HTTP {status}): check api_key"
        elif status == NOT_FOUND:
            reason = f"{reason}: check its address and the model's name"
        after_s = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
        return UnavailableError(self._model, reason, after_s)

    def _unit(self, vector: list[float | None] | None) -> Vector:
        numbers = [number for number in vector or () if number is not None]
        if not vector or len(numbers) < len(vector):
            raise OutcomeError(f"{self._model} gave no vector for a text")
        if len(numbers) != self._dimensions:
            told = f"its server gives {len(numbers):,} numbers where {self._dimensions:,} are expected"
            raise UnavailableError(self._model, told, told=told)
        norm = math.sqrt(math.fsum(number * number for number in numbers))
        if not norm > 0 or math.isinf(norm):
            raise OutcomeError(f"{self._model} gave a vector without a direction")
        return [number / norm for number in numbers]
