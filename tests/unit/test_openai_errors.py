"""Errors in OpenAI's form: the status its clients choose their exception by, the parameter, and nothing of a problem document."""

import msgspec
import pytest

from contracts.openai import OpenAiError
from gateway import openai_errors
from gateway.problems import ForbiddenError, NotFoundError, ProblemError, UnauthenticatedError, ValidationProblemError


@pytest.mark.parametrize(
    ("problem", "status", "kind", "param"),
    [
        (ValidationProblemError("$.input[2]", "must not be empty"), 400, "invalid_request_error", "input[2]"),
        (ValidationProblemError("$", "not valid JSON", status=400), 400, "invalid_request_error", None),
        (UnauthenticatedError("the token has expired"), 401, "authentication_error", None),
        (ForbiddenError("needs sophia:write", permission="sophia:write"), 403, "permission_error", None),
        (NotFoundError("model"), 404, "not_found_error", None),
        (ProblemError(429, "too-many-requests", "slower"), 429, "rate_limit_error", None),
        (ProblemError(503, "unavailable", "try again"), 503, "server_error", None),
    ],
)
def test_status_kind_and_parameter(problem: ProblemError, status: int, kind: str, param: str | None) -> None:
    told = msgspec.json.decode(openai_errors.document(problem), type=OpenAiError).error
    assert (openai_errors.status_of(problem), told.type, told.param) == (status, kind, param)
    assert f"$.{told.message}" == problem.detail or told.message in (problem.detail, "not valid JSON")
    assert told.code == problem.slug.replace("-", "_")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/models", "let the client's base URL end in /v1"),
        ("/chat/completions/", "let the client's base URL end in /v1"),
        ("/v1/completions", "there are /v1/chat/completions"),
        ("/v1/responses", "there are /v1/chat/completions"),
        ("/v1/images/generations", "is not offered"),
        ("/v1/filez", None),
        ("/v2/models", None),
        ("/v1/chat", None),
    ],
)
def test_a_path_of_openais_that_is_not_here_is_told_what_is(path: str, told: str | None) -> None:
    found = openai_errors.elsewhere(path)
    assert (found is None) == (told is None)
    assert found is None or (told or "") in found.detail
