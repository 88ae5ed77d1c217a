"""The rules `limit` and `date` of `actors/ceo/comparing.py`: figures and times of two sentences against each other; pure."""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import product
from typing import TypeVar

from actors.ceo.contrasts import CHANGES, ENDING, KEPT
from actors.ceo.figures import Bound, Bounded, Dated
from actors.ceo.stance import Stance
from contracts.comparison import Relation, Rule

_FLIPPED: Mapping[Bound, Bound] = {"max": "min", "min": "max", "none": "none"}

Verdict = tuple[Relation, Rule, str]
T = TypeVar("T", Bounded, Dated)


def _facing(bound: T, several: Sequence[T], wants: Stance, holds: Stance) -> Sequence[T]:
    """Of several figures or dates those whose clause shares a term with the bound's, where there are such."""
    if len(several) < 2:
        return several
    about = holds.near(bound.phrase)
    return [one for one in several if wants.near(one.phrase) & about] or several


def limit(wants: Stance, holds: Stance) -> Verdict | None:
    """The first pair of figures that breaks a limit, else the first that keeps one. What is refused is not measured, and figures
    of two ways to do a thing bound each other only together. The least that both ask for does not conflict."""
    kept: Verdict | None = None
    for most in holds.figures:
        if most.duty and (found := _goes_without(most, wants)) is not None:
            return found
        if most.bound == "none" and not most.gone:
            continue
        bound = "max" if most.gone else _FLIPPED[most.bound] if holds.forbids else most.bound
        for figure in _facing(most, [one for one in wants.figures if _lasts(one, most, wants)], wants, holds):
            reason = f"{figure.phrase!r} against {most.phrase!r}"
            if wants.refuses or _two_ways(wants, holds):
                return "related", "limit", reason
            breaks = figure.value > most.value if bound == "max" else figure.value < most.value
            if breaks and not bound == figure.bound == "min":
                return "conflicting", "limit", reason
            keeps = not breaks and figure.bound in ("none", bound) and most.bound != "none"
            kept = kept or ("aligned" if keeps else "related", "limit", reason)
    return kept


def _lasts(figure: Bounded, most: Bounded, wants: Stance) -> bool:
    """Of the same unit; after which a thing is deleted bounds only for how long it is kept, or after which it is deleted."""
    if not most.gone:
        return most.comparable(figure)
    kept = figure.gone or any(one.axis == KEPT and one.pole == 0 for one in wants.directions)
    return kept and most.comparable(figure) and (not most.of or bool(most.of & figure.of))


def _goes_without(limit: Bounded, wants: Stance) -> Verdict | None:
    """Above a figure something is to be done: only what says that it goes without does not."""
    for figure in (one for one in wants.figures if limit.comparable(one)):
        without = any(one.kind == "without" and one.case & limit.duty for one in wants.limits)
        breaks = without and figure.value > limit.value and not wants.refuses
        return "conflicting" if breaks else "related", "limit", f"{figure.phrase!r} against {limit.phrase!r}"
    return None


def _two_ways(wants: Stance, holds: Stance) -> bool:
    return any(
        wanted.axis == held.axis and wanted.pole != held.pole and wanted.axis not in CHANGES
        for wanted, held in product(wants.directions, holds.directions)
    )


def deadline(wants: Stance, holds: Stance) -> Verdict | None:
    """Only times that bind: a last day, or the time for which something is forbidden. The first that is missed, else the first
    that is kept."""
    kept: Verdict | None = None
    for bound in holds.dates:
        for wanted in _facing(bound, [one for one in wants.dates if not one.past], wants, holds):
            reason = f"{wanted.phrase!r} against {bound.phrase!r}"
            relation: Relation | None = None
            if holds.forbids and not wants.refuses:
                relation = _when_forbidden(wanted, bound, bool(ENDING.fullmatch(holds.forbids)))
            elif wants.refuses and not holds.forbids:
                relation = _when_forbidden(bound, wanted, bool(ENDING.fullmatch(wants.refuses)))
            elif not holds.forbids and (last := _last_day(bound, wanted, holds)) is not None and _set(wanted, holds):
                relation = "conflicting" if wanted.later(last) else "aligned" if wanted.kept(last) else "related"
            if relation == "conflicting":
                return relation, "date", reason
            kept = kept or ((relation, "date", reason) if relation else None)
    return kept


def _last_day(bound: Dated, wanted: Dated, holds: Stance) -> date | None:
    """A last day; of what ends at a time also that, for how long it lasts."""
    return bound.last if holds.ends and bound.when == "at" and wanted.when == "until" else bound.deadline


def _when_forbidden(done: Dated, barred: Dated, ends: bool) -> Relation:
    """Of what is done at one time and forbidden for another: whether the one lies in the other. Before when, it is in the time
    before; from when, or by when it ends, in the time after; else in it."""
    if barred.when in ("before", "until") or barred.earliest:
        return "conflicting" if done.first < barred.first else "aligned"
    if barred.when == "from":
        after = barred.last if barred.phrase.lower().startswith("after") else barred.first
        return "conflicting" if done.first >= after else "related"
    if ends:
        return "conflicting" if done.last > barred.last and done.when in ("at", "until") else "related"
    inside = barred.first <= done.first and done.last <= barred.last and done.when == "at"
    return "conflicting" if inside else "related"


def _set(wanted: Dated, holds: Stance) -> bool:
    """Whether a time of the requirement can be set against a last day: from when something lasts cannot, before when it is not
    done can; until when something lasts only where the last day ends it."""
    if wanted.when == "from":
        return wanted.earliest
    return wanted.when != "until" or holds.ends
