"""Shapes of OpenAI's API that we answer with, so that its clients need not know whom they ask."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from contracts.http import Body

INPUTS_MAX = 2_048
MODEL_CHARS_MAX = 128


class OpenAiErrorDetail(Struct, frozen=True, kw_only=True):
    """What is wrong, for a person; its kind, the parameter it is about and a code, for a program."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class OpenAiError(Struct, frozen=True, kw_only=True):
    """How OpenAI's API tells of an error."""

    error: OpenAiErrorDetail


class CreateEmbeddings(Body, frozen=True, kw_only=True):
    """`model`: a model's name, `auto` (by the texts' length), `diarchy-quality` or `diarchy-latency`.

    `input`: a text or a list of texts; tokens are refused: whose they are cannot be known. `dimensions`: shorter vectors, of
    models that were trained for it. `base64`: little-endian 32-bit floats.
    """

    input: str | Annotated[list[str | int | list[int]], Meta(min_length=1, max_length=INPUTS_MAX)]
    model: Annotated[str, Meta(min_length=1, max_length=MODEL_CHARS_MAX)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Meta(ge=1, le=65_536)] | None = None
    user: Annotated[str, Meta(max_length=256)] | None = None


class Embedding(Struct, frozen=True, kw_only=True):
    """The vector of the text with this index, of length 1: numbers, or base64."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(Struct, frozen=True, kw_only=True):
    prompt_tokens: int
    total_tokens: int


class Embeddings(Struct, frozen=True, kw_only=True):
    """`model` is the one that embedded them, also where another name was asked for."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage
