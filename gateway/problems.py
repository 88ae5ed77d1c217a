"""Every error as an RFC 9457 problem document: which exception becomes which status, and nothing of our insides in it.

ProblemError                  an answer other than success, known at the gateway
├── UnauthenticatedError      401: sign in (again)
├── ForbiddenError            403: names the permission
├── NotFoundError             404: there is no such thing, or not for this reader
├── ValidationProblemError    400 or 422: names the field
└── (others directly)         405, 406, 413, 415, 429, 502 …
"""

import logging
import re
from http import HTTPStatus
from typing import Any

import falcon
import msgspec

from contracts.forms import in_words
from contracts.http import FieldProblem, Problem
from contracts.kernel import FAILED
from contracts.model import Failure
from gateway.choices import choices_at
from runtime.errors import DiarchyError, FullError, InvalidError, OutcomeError, RejectionCode, UnavailableError

MEDIA_PROBLEM = "application/problem+json"
_LOGGER = logging.getLogger("diarchy.gateway")
_PATH = re.compile(r"^(?P<detail>.*?)(?: - at `(?P<key>(?:key in )?)(?P<path>\$[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"(?:missing required|unknown) field `([^`]*)`")

REFUSALS: dict[RejectionCode, int] = {"conflict": 409, "not_found": 404, "forbidden": 403, "gone": 410, "limit": 429}


APPROVAL_SLUGS: frozenset[RejectionCode] = frozenset(
    {"digest-mismatch", "granted", "used", "denied", "expired", "withdrawn", "voided"}
)
"""Refusals that say how an approval stands, each a kind of problem (409) of its own."""


class ProblemError(DiarchyError):
    """A response other than success: `slug` names its kind for machines, `detail` tells a person what to change."""

    def __init__(
        self, status: int, slug: str, detail: str, *, permission: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.permission = permission
        self.headers = headers or {}
        self.errors: tuple[FieldProblem, ...] = ()


class UnauthenticatedError(ProblemError):
    def __init__(self, detail: str) -> None:
        challenge = 'Bearer realm="diarchy"' + ("" if detail == NO_TOKEN else ', error="invalid_token"')
        super().__init__(401, "unauthenticated", detail, headers={"WWW-Authenticate": challenge})


NO_TOKEN = "send a bearer token from POST /v1/auth/token in the Authorization header"  # noqa: S105 - a sentence


class ForbiddenError(ProblemError):
    def __init__(self, detail: str, *, permission: str = "") -> None:
        super().__init__(403, "forbidden", detail, permission=permission)


class NotFoundError(ProblemError):
    def __init__(self, what: str) -> None:
        super().__init__(404, "not-found", f"there is no such {what}")


class ValidationProblemError(ProblemError):
    """What was sent does not fit: 400 when it cannot be read at all, 422 when a field is wrong."""

    def __init__(self, field: str, detail: str, *, status: int = 422) -> None:
        super().__init__(status, "invalid", f"{field}: {detail}")
        self.errors = (FieldProblem(field=field, detail=detail),)


def slug_of(code: Failure | None) -> str:
    """The slug of a run that has no answer."""
    return "budget-exceeded" if code == "budget" else "failed"


def unanswered(code: Failure | None, reason: str) -> ProblemError:
    """The problem of a run that has no answer: whose fault it is says the status."""
    return ProblemError({"input": 422, "permission": 403}.get(code or "", 502), slug_of(code), reason)


def refused(code: str, reason: str) -> ProblemError:
    """The problem for an actor's refusal, or for a message that was given up (`failed`)."""
    if code == FAILED:
        return ProblemError(500, "failed", reason)
    status = next((number for known, number in REFUSALS.items() if known == code), 409)
    slug = code if code in APPROVAL_SLUGS else "refused"
    return ProblemError(status, slug, reason, headers={"Retry-After": "60"} if status == 429 else None)


def invalid_json(error: msgspec.DecodeError, kind: Any, root: str = "$") -> ValidationProblemError:
    """The problem for a body or parameters that msgspec refused as this type, with the path of the field."""
    if not isinstance(error, msgspec.ValidationError):
        return ValidationProblemError(root, f"not valid JSON: {error}", status=400)
    match = _PATH.match(str(error))
    detail, path = (match["detail"], match["path"] or "$") if match else (str(error), "$")
    detail = in_words(detail)
    if detail.startswith("Invalid enum value") and (values := choices_at(kind, path)):
        detail = f"{detail}; must be {'one of ' if len(values) > 1 else ''}{', '.join(values)}"
    named = _NAMED.search(detail)
    if named:
        path = f"{path}.{named[1]}"
    if root != "$":
        path = path.removeprefix("$.") or root
    return ValidationProblemError(path, detail)


def problem_for(error: BaseException) -> ProblemError:
    """The problem that answers any exception; what is not ours becomes a 500 that says nothing, and is logged."""
    match error:
        case ProblemError():
            return error
        case FullError():
            detail = f"the {error.dependency} is full; try again"
            return ProblemError(503, "full", detail, headers={"Retry-After": str(error.retry_after_s)})
        case UnavailableError():
            _LOGGER.warning("unavailable: %s", error)
            detail = f"{error.dependency} is unavailable{error.told and f': {error.told}'}; try again"
            return ProblemError(503, "unavailable", detail, headers={"Retry-After": str(error.retry_after_s)})
        case InvalidError():
            return ValidationProblemError(error.field or "$", str(error))
        case OutcomeError():
            return ProblemError(502, "failed", str(error))
        case falcon.HTTPNotFound():
            return ProblemError(404, "no-route", "there is no such path; see /openapi.json")
        case falcon.HTTPMethodNotAllowed():
            allowed = dict(error.headers or {}).get("Allow", "")
            detail = f"this path allows {allowed}"
            return ProblemError(405, "method-not-allowed", detail, headers={"Allow": allowed})
        case falcon.HTTPError():
            headers = {str(name): str(value) for name, value in dict(error.headers or {}).items()}
            detail = error.description or error.title or HTTPStatus(error.status_code).phrase
            return ProblemError(error.status_code, "bad-request", detail, headers=headers)
        case _:
            _LOGGER.error("unhandled error while answering a request", exc_info=error)
            return ProblemError(500, "internal", "something went wrong here; the operator's log has the cause")


def document(error: ProblemError, *, instance: str, correlation: str) -> bytes:
    """The problem as JSON."""
    return msgspec.json.encode(as_problem(error, instance=instance, correlation=correlation))


def as_problem(error: ProblemError, *, instance: str, correlation: str) -> Problem:
    return Problem(
        type=f"urn:diarchy:problem:{error.slug}",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.detail,
        instance=instance,
        correlation_id=correlation,
        permission=error.permission,
        errors=error.errors,
    )
