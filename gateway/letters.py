"""What administrators do about dead letters. None is shown or touched above the asker's clearance; who did what is kept."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import replace

from contracts.domains import Clearance
from contracts.envelope import CORRELATION_HEADER, PRINCIPAL_HEADER
from contracts.kernel import DeadLetter
from contracts.letters import (
    ENDED,
    DeadLetters,
    DeadLettersQuery,
    DeadLetterView,
    DropLetters,
    LetterFilter,
    LetterOutcome,
    LetterOutcomes,
    RedriveLetters,
)
from gateway.commands import Incoming
from gateway.problems import ForbiddenError, NotFoundError, ProblemError, ValidationProblemError
from gateway.standing import standing
from runtime.errors import UnavailableError
from runtime.letters import view_of
from runtime.redriving import Redriving

LETTER = "dead letter"


async def page(incoming: Incoming[DeadLettersQuery]) -> DeadLetters:
    """Open letters, newest first. With `reason` only those whose reason the asker may read: a guess must tell him nothing."""
    query, clearance = incoming.body, incoming.principal.clearance
    _in_order(query)
    before = int(query.after) if query.after else None
    found = await incoming.services.letters.find(query, limit=query.limit, before=before)
    letters = await _as_now(incoming, [one.letter for one in found])
    shown = [letter for letter in letters if query.reason is None or letter.label <= clearance]
    following = str(found[-1].place) if len(found) == query.limit else None
    return DeadLetters(letters=tuple(view_of(letter, clearance) for letter in shown), next=following)


async def one(incoming: Incoming[None]) -> DeadLetterView:
    """A letter with everything that the asker may see; of one that is ended, what was done with it."""
    kept = await incoming.services.letters.get(incoming.path["letter"])
    if kept is None:
        raise NotFoundError(LETTER)
    [letter] = await _as_now(incoming, [kept.letter])
    return view_of(letter, incoming.principal.clearance)


async def _as_now(incoming: Incoming[Any], letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Each as confidential as what its run rests on is now; while nobody can say that, as confidential as can be."""
    runs = [(letter.headers.get(PRINCIPAL_HEADER, ""), letter.headers.get(CORRELATION_HEADER)) for letter in letters]
    try:
        now = await standing(incoming.services, incoming.principal, runs)
    except UnavailableError:
        return [
            letter if run is None else replace(letter, label=Clearance.TOP_SECRET)
            for letter, (_, run) in zip(letters, runs, strict=True)
        ]
    return [
        replace(letter, label=now.label(owner, run, letter.label))
        for letter, (owner, run) in zip(letters, runs, strict=True)
    ]


async def redrive(incoming: Incoming[None]) -> LetterOutcome:
    """Send it again. Somebody who was first is no failure: the message is sent once."""
    outcome = await _redriving(incoming).redrive(incoming.path["letter"])
    return _told(outcome)


async def redrive_all(incoming: Incoming[RedriveLetters]) -> LetterOutcomes:
    """Send the newest that match again, oldest of them first; what each came to. Ends at the first that must wait."""
    redriving = _redriving(incoming)
    return await _each(redriving.redrive, incoming.body, redriving)


async def drop_all(incoming: Incoming[DropLetters]) -> LetterOutcomes:
    """Drop the newest that match, oldest of them first; what each came to. Ends at the first that must wait."""
    redriving = _redriving(incoming)
    return await _each(redriving.drop, incoming.body, redriving)


async def drop(incoming: Incoming[None]) -> LetterOutcome:
    """End it without sending it; its content is gone, that it was dropped and by whom is kept."""
    outcome = _told(await _redriving(incoming).drop(incoming.path["letter"]))
    if outcome.outcome in ENDED and outcome.detail.startswith("redriven"):
        raise ProblemError(409, "conflict", f"it was {outcome.detail}")
    return outcome


async def _each(
    treat: Callable[[str], Awaitable[LetterOutcome]], wanted: RedriveLetters | DropLetters, redriving: Redriving
) -> LetterOutcomes:
    _in_order(wanted)
    selected = await redriving.select(wanted, limit=wanted.limit)
    outcomes: list[LetterOutcome] = []
    for kept in selected.letters:
        try:
            outcomes.append(await treat(kept.letter.id))
        except UnavailableError as error:
            detail = f"{error.dependency} is unavailable; try again"
            outcomes.append(LetterOutcome(id=kept.letter.id, outcome="unavailable", detail=detail))
            break
    more = selected.more or len(outcomes) < len(selected.letters)
    return LetterOutcomes(letters=tuple(outcomes), more=more, withheld=selected.withheld)


def _redriving(incoming: Incoming[None] | Incoming[RedriveLetters] | Incoming[DropLetters]) -> Redriving:
    services, principal = incoming.services, incoming.principal
    return Redriving(
        services.letters, services.queue, services.clock, by=principal.username, clearance=principal.clearance
    )


def _told(outcome: LetterOutcome) -> LetterOutcome:
    """Raises the problem that answers an outcome which is none."""
    match outcome.outcome:
        case "unknown":
            raise NotFoundError(LETTER)
        case "forbidden":
            raise ForbiddenError(f"your clearance is below that of this {LETTER}: {outcome.detail}")
        case "unreadable":
            raise ProblemError(409, "conflict", f"it cannot be redriven: {outcome.detail}")
        case _:
            return outcome


def _in_order(wanted: LetterFilter) -> None:
    if wanted.since and wanted.until and wanted.since > wanted.until:
        raise ValidationProblemError("until", "lies before `since`")
