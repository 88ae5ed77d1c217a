"""Errors, named by what the caller does next.

DiarchyError
├── Rejected                  the actor refuses: tell the asker why, change nothing
├── ConflictError             somebody else appended first: reread and decide again
├── UnavailableError          a dependency is down: retry later, without end
│   ├── OpenCircuitError      it was down so often that it is not even asked
│   └── FullError             it is there, but takes no more: the same, and callers outside are told to come less often
├── NonDeterministicError     a reaction no longer does what its journal says: dead letter, overwrite nothing
├── MalformedError            the message can never be handled: dead letter at once
├── InvalidError              the asker's input is wrong: tell him which field
└── OutcomeError              an effect failed in a way that a retry cannot change: the reaction decides what to do
    ├── AllowanceError        what may be spent does not do for it
    ├── ForbiddenToolError    whoever asked may not have the tool run
    └── UnapprovedError       it needs people's approval and does not have it: it did not run
"""

from typing import Literal

from contracts.model import NOTHING_USED, Failure, Usage

RejectionCode = Literal[
    "conflict",
    "not_found",
    "forbidden",
    "gone",
    "limit",
    "digest-mismatch",
    "granted",
    "used",
    "denied",
    "expired",
    "withdrawn",
    "voided",
]
"""From `digest-mismatch` on they are approvals': how one stands that says no."""


class DiarchyError(Exception):
    """All of ours."""


class Rejected(DiarchyError):  # noqa: N818 - the domain's verb, see style.md
    """A message is refused by `decide`. `code` says what kind of refusal; the text names the cause."""

    def __init__(self, reason: str, code: RejectionCode = "conflict") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code: RejectionCode = code


class ConflictError(DiarchyError):
    """The log did not end where the writer expected."""


class UnavailableError(DiarchyError):
    """`dependency` cannot be reached now; `retry_after_s` is a guess at when it may be. `usage`: what it cost all the same.

    The reason is for operators and may name our insides. `told`: what of it is also for those outside, whoever they are.
    """

    def __init__(
        self, dependency: str, reason: str, retry_after_s: int = 5, *, usage: Usage = NOTHING_USED, told: str = ""
    ) -> None:
        super().__init__(f"{dependency} is unavailable: {reason}")
        self.reason = reason
        self.told = told
        self.dependency = dependency
        self.retry_after_s = retry_after_s
        self.usage = usage


class OpenCircuitError(UnavailableError):
    """The circuit breaker around the dependency is open."""


class FullError(UnavailableError):
    """`dependency` takes no more now: it stores what it has room for, and forgets nothing to make some."""


class NonDeterministicError(DiarchyError):
    """An effect's name or arguments differ from the recorded ones."""


class MalformedError(DiarchyError):
    """Not a message this system understands."""


class InvalidError(DiarchyError):
    """`field` (a JSON path such as `$.knowledge.title`) does not hold what is wanted."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.field = field


class OutcomeError(DiarchyError):
    """The outside answered, and its answer is a failure (a model refused, a file is not a table). `usage`: what it cost.

    `code` is for programs, where whoever asked can do something about it.
    """

    code: Failure | None = None

    def __init__(self, reason: str = "", usage: Usage = NOTHING_USED, code: Failure | None = None) -> None:
        super().__init__(reason)
        self.usage = usage
        self.code = code or type(self).code


class KeyRefusedError(OutcomeError):
    """A provider does not take our key: nobody's request is answered until an operator has put that right."""


class AllowanceError(OutcomeError):
    """What may be spent does not do for an answer."""

    code = "budget"


class ForbiddenToolError(OutcomeError):
    """The asker lacks the permission that a tool needs."""

    code = "permission"


class UnapprovedError(OutcomeError):
    """It needed people's approval and did not get it, or what would have run was something else: nothing ran."""
