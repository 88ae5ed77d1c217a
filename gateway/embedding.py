"""POST /v1/embeddings: texts to vectors, in OpenAI's form."""

import base64

from contracts.embeddings import Embedded, EmbedTexts, floats
from contracts.http import FieldProblem
from contracts.openai import CreateEmbeddings, Embedding, Embeddings, EmbeddingsUsage
from gateway.commands import Incoming
from gateway.problems import ProblemError, ValidationProblemError
from runtime.errors import InvalidError


async def create_embeddings(incoming: Incoming[CreateEmbeddings]) -> Embeddings:
    wanted = incoming.body
    request = EmbedTexts(
        model=wanted.model,
        texts=_texts(wanted.input),
        clearance=incoming.principal.clearance,
        dimensions=wanted.dimensions,
    )
    try:
        found = await incoming.services.embeddings.embed(request)
    except InvalidError as error:
        if error.field == "model":
            problem = ProblemError(404, "model-not-found", str(error))
            problem.errors = (FieldProblem(field="$.model", detail=str(error)),)
            raise problem from error
        raise ValidationProblemError(error.field or "$", str(error)) from error
    as_text, tokens = wanted.encoding_format == "base64", sum(found.tokens)
    return Embeddings(
        data=[
            Embedding(index=index, embedding=_shown(found, index, as_text=as_text))
            for index in range(len(request.texts))
        ],
        model=found.model,
        usage=EmbeddingsUsage(prompt_tokens=tokens, total_tokens=tokens),
    )


def _texts(given: str | list[str | int | list[int]]) -> tuple[str, ...]:
    """Raises ValidationProblemError for tokens, and for a text without a character."""
    texts: list[str] = []
    for index, text in enumerate([given] if isinstance(given, str) else given):
        place = "$.input" if isinstance(given, str) else f"$.input[{index}]"
        if not isinstance(text, str):
            raise ValidationProblemError(
                place, "tokens are not taken, since models differ in them: send the text itself"
            )
        if not text.strip():
            raise ValidationProblemError(place, "is empty")
        texts.append(text)
    return tuple(texts)


def _shown(found: Embedded, index: int, *, as_text: bool) -> list[float] | str:
    vector = found.vector(index)
    return base64.b64encode(vector).decode() if as_text else floats(vector).tolist()
