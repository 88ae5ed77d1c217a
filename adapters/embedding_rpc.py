"""Embeddings over request and reply: what the embedding role answers, and who asks it."""

import msgspec

from contracts import subjects
from contracts.domains import Domain
from contracts.embeddings import Embedded, EmbedTexts, ServedModel
from runtime.embedding_catalogue import tokens_about
from runtime.errors import InvalidError
from runtime.ports import Rpc
from runtime.vector_ports import Embeddings

EMBED = subjects.service(Domain.EMBEDDING, "embed")
MODELS = subjects.service(Domain.EMBEDDING, "models")
EMBED_S_MAX = 30.0
MODELS_S_MAX = 5.0
REQUEST_TEXTS_MAX = 128
"""More texts are several requests, one after the other: a request ends in time, and its reply fits the broker."""

_request = msgspec.msgpack.Decoder(EmbedTexts)
_embedded = msgspec.msgpack.Decoder(Embedded)
_models = msgspec.msgpack.Decoder(list[ServedModel])


class RemoteEmbeddings:
    """An Embeddings that asks the embedding role."""

    def __init__(self, rpc: Rpc, *, embed_s_max: float = EMBED_S_MAX) -> None:
        self._rpc = rpc
        self._embed_s_max = embed_s_max

    async def embed(self, request: EmbedTexts) -> Embedded:
        """The longest text goes first: what is routed by length is by it, and the rest goes to the same model."""
        texts = request.texts
        if len(texts) <= REQUEST_TEXTS_MAX:
            return await self._embed(request)
        order = sorted(range(len(texts)), key=lambda index: -tokens_about(texts[index]))
        vectors, tokens = [b""] * len(texts), [0] * len(texts)
        model, dimensions = request.model, request.dimensions
        for start in range(0, len(order), REQUEST_TEXTS_MAX):
            part = order[start : start + REQUEST_TEXTS_MAX]
            asked = EmbedTexts(
                model=model,
                texts=tuple(texts[index] for index in part),
                clearance=request.clearance,
                dimensions=dimensions,
            )
            found = await self._embed(asked)
            for place, index in enumerate(part):
                vectors[index], tokens[index] = found.vector(place), found.tokens[place]
            model, dimensions = found.model, found.dimensions
        return Embedded(model=model, dimensions=dimensions or 0, vectors=b"".join(vectors), tokens=tuple(tokens))

    async def models(self) -> list[ServedModel]:
        return _models.decode(await self._rpc.call(MODELS, b"", timeout_s=MODELS_S_MAX))

    async def _embed(self, request: EmbedTexts) -> Embedded:
        body = msgspec.msgpack.encode(request)
        return _embedded.decode(await self._rpc.call(EMBED, body, timeout_s=self._embed_s_max))


async def serve_embeddings(rpc: Rpc, embeddings: Embeddings) -> None:
    """Answer what `RemoteEmbeddings` asks, until the connection closes."""

    async def embed(body: bytes) -> bytes:
        try:
            request = _request.decode(body)
        except msgspec.DecodeError as error:
            raise InvalidError(str(error)) from error
        return msgspec.msgpack.encode(await embeddings.embed(request))

    async def models(_body: bytes) -> bytes:
        return msgspec.msgpack.encode(await embeddings.models())

    await rpc.serve(EMBED, embed)
    await rpc.serve(MODELS, models)
