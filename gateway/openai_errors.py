"""Errors of the OpenAI-compatible paths in OpenAI's own form: its clients make their exceptions of status and body.

A field that is wrong is answered with 400, as OpenAI does, where other paths say 422.
"""

import msgspec
from falcon.asgi import SSEvent

from contracts.openai import OpenAiError, OpenAiErrorDetail
from gateway.problems import ProblemError

MEDIA_ERROR = "application/json"

_RETRY = "x-should-retry"
_FOR_GOOD = {_RETRY: "false"}
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


_OFFERED = "/v1/chat/completions, /v1/embeddings and /v1/models"
_BELOW = ("/chat/completions", "/embeddings", "/models")
_NOT_OFFERED = frozenset(
    {
        "completions",
        "responses",
        "moderations",
        "images",
        "audio",
        "assistants",
        "threads",
        "batches",
        "fine_tuning",
        "vector_stores",
        "realtime",
        "uploads",
        "evals",
        "containers",
        "conversations",
        "videos",
    }
)


def elsewhere(path: str) -> ProblemError | None:
    """The answer to a path of OpenAI's API that is not here, with what is; None: it is none of those."""
    if path.removesuffix("/").startswith(_BELOW):
        return ProblemError(404, "no-route", f"{path[:100]} is below /v1 here: let the client's base URL end in /v1")
    if path.startswith("/v1/") and path.split("/")[2] in _NOT_OFFERED:
        return ProblemError(404, "no-route", f"{path[:100]} is not offered; of OpenAI's API there are {_OFFERED}")
    return None


def status_of(problem: ProblemError) -> int:
    return 400 if problem.status == 422 else problem.status


def as_error(problem: ProblemError) -> OpenAiError:
    """`param` is the first field that is wrong, `code` the problem's slug with underscores."""
    kind = "server_error" if problem.status >= 500 else _TYPES.get(problem.status, "invalid_request_error")
    field = problem.errors[0].field.removeprefix("$").removeprefix(".") if problem.errors else ""
    message = problem.detail.removeprefix("$: ").removeprefix("$.")  # Its parameters have no dollar before them.
    detail = OpenAiErrorDetail(message=message, type=kind, param=field or None, code=problem.slug.replace("-", "_"))
    return OpenAiError(error=detail)


def headers_of(problem: ProblemError) -> dict[str, str]:
    """Its clients repeat by themselves what failed on our side, unless they are told that it failed for good."""
    return {**(_FOR_GOOD if problem.slug in ("failed", "budget-exceeded") else {}), **problem.headers}


def unfinished(status_path: str, *, repeatable: bool) -> ProblemError:
    """No answer in time. Its clients then ask again by themselves: `repeatable` says whether that would be no second run."""
    detail = f"the answer is not there yet, but is worked on; see {status_path}"
    if not repeatable:
        detail += ", stream it, or send an Idempotency-Key, with which the request can be repeated"
    return ProblemError(504, "pending", detail, headers={_RETRY: str(repeatable).lower()})


def event(problem: ProblemError) -> SSEvent:
    """The error as the last event of a stream."""
    return SSEvent(data=document(problem))


def document(problem: ProblemError) -> bytes:
    """The error as JSON."""
    return msgspec.json.encode(as_error(problem))
