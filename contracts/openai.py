"""Shapes of OpenAI's API that we answer with, so that its clients need not know whom they ask."""

from msgspec import Struct


class OpenAiErrorDetail(Struct, frozen=True, kw_only=True):
    """What is wrong, for a person; its kind, the parameter it is about and a code, for a program."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class OpenAiError(Struct, frozen=True, kw_only=True):
    """How OpenAI's API tells of an error."""

    error: OpenAiErrorDetail
