"""Dead letters as people ask for them: which ones, how they are shown, what became of each that was treated."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from contracts.domains import Clearance, Domain
from contracts.kernel import Treatment

LETTERS_MAX = 1_000  # of one request

Outcome = Literal["redriven", "returned", "dropped", "already", "unreadable", "forbidden", "unknown", "unavailable"]
"""What became of a letter. `returned`: redriven, and it failed again at once. `already`: somebody else ended it.

`unreadable`: it cannot be redriven, as `detail` says, and stays. `forbidden`: the reader is not cleared for it.
"""

ENDED: frozenset[Outcome] = frozenset({"redriven", "dropped", "already"})


class LetterFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of these must hold. `kind` is the actor's, `reason` a part of the reason's text, in any case."""

    domain: Domain | None = None
    lane: Literal["in", "pub", "log"] | None = None
    kind: Annotated[str, Meta(max_length=128)] | None = None
    type: Annotated[str, Meta(max_length=128)] | None = None
    reason: Annotated[str, Meta(max_length=200)] | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None


class DeadLettersQuery(LetterFilter, frozen=True, kw_only=True):
    """`after` is the `next` of the page before."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    after: Annotated[str, Meta(pattern=r"^[0-9]{1,18}$")] | None = None


class RedriveLetters(LetterFilter, frozen=True, kw_only=True):
    """The newest `limit` letters that the filter holds for, oldest of them first."""

    limit: Annotated[int, Meta(ge=1, le=LETTERS_MAX)] = 100


class DropLetters(LetterFilter, frozen=True, kw_only=True):
    """The newest `limit` letters that the filter holds for: their content is deleted for good."""

    limit: Annotated[int, Meta(ge=1, le=LETTERS_MAX)] = 100


class DeadLetterView(Struct, frozen=True, kw_only=True):
    """A dead letter. To a reader who is not cleared for its `label` the fields behind `withheld` are left empty.

    `body` is what is JSON, `text` what is not. `burials` counts how often it was put aside; `history` is who redrove it when.
    `ended` says who ended it: redriven or dropped it is listed no longer, and what it held is gone.
    """

    id: str
    domain: str
    lane: str
    kind: str
    actor: str
    type: str
    time: str
    attempts: int
    burials: int
    label: Clearance
    digest: str
    subject: str
    sequence: int
    history: tuple[Treatment, ...] = ()
    ended: Treatment | None = None
    withheld: bool = False
    reason: str = ""
    stack: str = ""
    headers: dict[str, str] = {}
    body: msgspec.Raw | None = None
    text: str | None = None
    whole: bool = True


class DeadLetters(Struct, frozen=True, kw_only=True):
    """A page of them, newest first."""

    letters: tuple[DeadLetterView, ...]
    next: str | None = None


class LetterOutcome(Struct, frozen=True, kw_only=True):
    """What became of one letter."""

    id: str
    outcome: Outcome
    detail: str = ""


class LetterOutcomes(Struct, frozen=True, kw_only=True):
    """What became of each; `more` that others matched, or that it ended early.

    `withheld` counts those that match and stay as they are, for whoever asks is not cleared for them: all of them without `more`,
    else the ones newer than what was treated. A filter by `reason` matches none that he is not cleared for.
    """

    letters: tuple[LetterOutcome, ...]
    more: bool = False
    withheld: int = 0
