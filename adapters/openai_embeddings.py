"""Embeddings from any server that speaks OpenAI's embeddings API (Ollama, vLLM, OpenAI itself)."""

import logging
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

import msgspec
from msgspec import Struct
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, OpenAIError

from adapters.refusals import KEY_REFUSED, detailed, retry_after_s, told
from runtime.errors import OutcomeError, UnavailableError
from runtime.vector_ports import ENTRY, Purpose, Use, Vector

REQUEST_TIMEOUT_S = 30.0
RETRIES_MAX = 2
REQUEST_TEXTS_MAX = 256
NO_KEY = "none"  # The library wants one where a server of one's own has none.
NO_PREFIXES: Mapping[Use, str] = MappingProxyType({})
RETRYABLE_STATUS = frozenset({408, 409, 429})

_logger = logging.getLogger(__name__)


class _Item(Struct):
    index: int
    embedding: list[float]


class _Answer(Struct):
    data: list[_Item]


_answer = msgspec.json.Decoder(_Answer)
"""The library takes any JSON for an answer; this does not."""


class OpenAiEmbedder:
    """An Embedder. Vectors are normalised here, since not every server does it.

    `dimensions` is what the model gives; it is checked in every answer. `prefixes`: what the model wants before a text, by its
    use. Raises UnavailableError when the server cannot be
    reached, answers 408, 409, 429 or 5xx, also after two retries; OutcomeError when it refuses or answers something else.
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
            answer = _answer.decode((await create(model=self._model, input=texts, encoding_format="float")).content)
        except APIConnectionError as error:
            raise UnavailableError(self._model, f"no answer from the embedding server: {error}") from error
        except APIStatusError as error:
            raise self._refused(error) from None  # Its own text has all that the server said.
        except (OpenAIError, msgspec.DecodeError) as error:
            raise OutcomeError(f"the embedding server's answer cannot be used: {error}") from error
        by_index = {item.index: item.embedding for item in answer.data}
        if sorted(by_index) != list(range(len(texts))):
            raise OutcomeError(f"the embedding server answered {len(by_index)} vectors for {len(texts)} texts")
        return [self._unit(by_index[index]) for index in range(len(texts))]

    def _refused(self, error: APIStatusError) -> UnavailableError | OutcomeError:
        response, status, key = error.response, error.status_code, self._key
        reason = f"the embedding server answered {told(status, response.content, key)}"
        if status in RETRYABLE_STATUS or status >= 500:
            after_s = retry_after_s(response.headers.get("retry-after"), datetime.now(UTC))
            return UnavailableError(self._model, reason, after_s)
        if status in KEY_REFUSED:
            _logger.warning(
                "%s: the embedding server answered %s", self._model, detailed(status, response.content, key)
            )
        return OutcomeError(reason)

    def _unit(self, vector: list[float]) -> Vector:
        if len(vector) != self._dimensions:
            raise OutcomeError(f"{self._model} gave {len(vector)} numbers where {self._dimensions} are configured")
        norm = math.sqrt(math.fsum(number * number for number in vector))
        if not norm > 0 or math.isinf(norm):
            raise OutcomeError(f"{self._model} gave a vector without a direction")
        return [number / norm for number in vector]
