"""Comparing what is required with what the strategy says: pure, without a language model, and the same every time.

Every statement of the requirement is set against every statement of the strategy.

**Same topic.** `topic` is the cosine of the two sentences (of the embedding model, see `Effects.similarities`) + 0.3 · the share
of key terms the two have in common (of the shorter one's). They are about the same from 0.5, where they share a term and the
cosine is at least 0.28, or with a cosine of 0.6 whatever their words. Without an embedding model the terms decide alone: from
a half shared, two at least. Anything else is *unrelated* (`other_topic`).

**Opposed stance.** Of two statements about the same, the first rule that has something to say decides; of `limit` and `date` each
that finds a conflict. Of several figures or dates those are compared whose clauses share a term, if there are such:

1. `limit`: the strategy's most or least against the requirement's figure of the same unit (a currency, per cent, a time, a noun).
2. `date`: the strategy's last day (`by`, `before`), or the day before which something is forbidden, against the requirement's
   time.
3. `opposite`: both point somewhere on one axis (`actors/ceo/stance.py` has them: more or less, made or bought, cloud or own
   machines …) about a common term; a forbidding word turns a statement round.
4. `prohibition`: one of them forbids and the other does not. Of what is forbidden in one case only (`outside of`, `beyond`,
   `without`, `unless`, `except`, `other than`, `before` an event) only what names that case itself.
5. `exclusive`: `only through X`, and the requirement says `through` something else.

Where a rule finds agreement they are *aligned* by that rule. Where none decides they are *related* (`same_topic`): to be about
the same is not to agree.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import TypeVar

from actors.ceo.figures import Bounded, Dated
from actors.ceo.stance import Direction, Stance, overlap, stance
from contracts.comparison import Comparison, Relation, Rule, Stated

TERMS_SHARE = 0.3
TOPIC_FROM = 0.5
COSINE_FROM = 0.28  # where key terms are shared
COSINE_ALONE_FROM = 0.6  # where none is
TERMS_ALONE_FROM = 0.5  # where there is no cosine
TERMS_ALONE_MIN = 2
PLAIN: Mapping[Rule, float] = {
    "limit": 1.0,
    "date": 1.0,
    "opposite": 0.85,
    "prohibition": 0.9,
    "exclusive": 0.8,
    "same_topic": 0.6,
    "other_topic": 1.0,
}
"""How plain what a rule decides is, against the others."""

CONFLICTS_MAX = 20
ALIGNED_MAX = 10
RELATED_MAX = 10
UNRELATED_MAX = 5

Verdict = tuple[Relation, Rule, str]
T = TypeVar("T", Bounded, Dated)


def compare(
    requirement: Sequence[Stated], strategy: Sequence[Stated], cosines: Sequence[Sequence[float]] | None, today: date
) -> tuple[Comparison, ...]:
    """All pairs in order; one that conflicts by a figure and by a date is there twice, once a rule. `cosines` has a row a
    requirement and a column a strategy; None: there is no embedding model."""
    wanted = [stance(one.text, today) for one in requirement]
    held = [stance(one.text, today) for one in strategy]
    return tuple(
        one
        for row, wants in enumerate(wanted)
        for column, holds in enumerate(held)
        for one in _compared(
            requirement[row], strategy[column], wants, holds, None if cosines is None else cosines[row][column]
        )
    )


def telling(compared: Iterable[Comparison]) -> tuple[Comparison, ...]:
    """What is worth showing: the plainest 20 conflicts, then the plainest 10 that agree, the plainest 10 that are about the same
    undecided, then, of statements that nothing in the strategy speaks to, the nearest (5)."""
    pairs = sorted(compared, key=lambda one: (-one.score, -one.topic, one.requirement.id, one.strategy.id))
    bounds: Mapping[Relation, int] = {"conflicting": CONFLICTS_MAX, "aligned": ALIGNED_MAX, "related": RELATED_MAX}
    told = [one for relation, most in bounds.items() for one in [it for it in pairs if it.relation == relation][:most]]
    spoken = {one.requirement.id for one in pairs if one.relation != "unrelated"}
    nearest: dict[str, Comparison] = {}
    for one in sorted(pairs, key=lambda one: (-one.topic, one.requirement.id, one.strategy.id)):
        if one.requirement.id not in spoken:
            nearest.setdefault(one.requirement.id, one)
    return (*told, *list(nearest.values())[:UNRELATED_MAX])


def _compared(
    requirement: Stated, strategy: Stated, wants: Stance, holds: Stance, cosine: float | None
) -> Iterator[Comparison]:
    shared = wants.terms & holds.terms
    share = overlap(wants.terms, holds.terms)
    if cosine is None:
        topic, same = share, share >= TERMS_ALONE_FROM and len(shared) >= TERMS_ALONE_MIN
    else:
        topic = min(1.0, max(0.0, cosine) + TERMS_SHARE * share)
        same = cosine >= COSINE_ALONE_FROM or (bool(shared) and cosine >= COSINE_FROM and topic >= TOPIC_FROM)
    about = f"both are about {wants.written(shared)}" if shared else "their meaning is close"
    other: Verdict = ("unrelated", "other_topic", "they are about other things")
    for relation, rule, reason in _verdicts(wants, holds, about) if same else (other,):
        yield Comparison(
            requirement=requirement,
            strategy=strategy,
            relation=relation,
            rule=rule,
            reason=reason,
            topic=round(topic, 3),
            score=round(PLAIN[rule] * (topic if same else 1 - topic), 3),
        )


def _verdicts(wants: Stance, holds: Stance, about: str) -> Sequence[Verdict]:
    """One, but where a figure and a date both conflict; a figure that agrees hides no date that does not."""
    bounds = [found for decide in (_limit, _date) if (found := decide(wants, holds)) is not None]
    if bounds:
        return [one for one in bounds if one[0] == "conflicting"] or bounds[:1]
    for decide in (_opposite, _prohibition, exclusive):
        if (found := decide(wants, holds)) is not None:
            return [found]
    return [("related", "same_topic", about)]


def _facing(bound: T, several: Sequence[T], wants: Stance, holds: Stance) -> Sequence[T]:
    """Of several figures or dates those whose clause shares a term with the bound's, where there are such."""
    if len(several) < 2:
        return several
    about = holds.near(bound.phrase)
    return [one for one in several if wants.near(one.phrase) & about] or several


def _limit(wants: Stance, holds: Stance) -> Verdict | None:
    """The first pair of figures that breaks a limit, else the first that keeps one."""
    kept: Verdict | None = None
    for limit in holds.figures:
        if limit.bound == "none":
            continue
        for figure in _facing(limit, [one for one in wants.figures if limit.comparable(one)], wants, holds):
            reason = f"{figure.phrase!r} against {limit.phrase!r}"
            if _breaks(figure, limit):
                return "conflicting", "limit", reason
            kept = kept or ("aligned", "limit", reason)
    return kept


def _breaks(figure: Bounded, limit: Bounded) -> bool:
    if limit.bound == "max":
        return figure.value > limit.value
    return figure.value < limit.value and figure.bound != "min"


def _date(wants: Stance, holds: Stance) -> Verdict | None:
    """Only the strategy's times that bind: a last day, or the day before which something is forbidden. The first that the
    requirement misses, else the first that it keeps."""
    kept: Verdict | None = None
    for bound in holds.dates:
        for wanted in _facing(bound, wants.dates, wants, holds):
            if holds.forbids and bound.when in ("before", "until", "from"):
                missed = wanted.first < bound.first
            elif not holds.forbids and bound.deadline is not None and _set(wanted, holds):
                missed = wanted.later(bound.deadline)
            else:
                continue
            reason = f"{wanted.phrase!r} against {bound.phrase!r}"
            if missed:
                return "conflicting", "date", reason
            kept = kept or ("aligned", "date", reason)
    return kept


def _set(wanted: Dated, holds: Stance) -> bool:
    """Whether a time of the requirement can be set against a last day: from when something lasts cannot, before when it is not
    done can; until when something lasts only where the last day ends it."""
    if wanted.when == "from":
        return wanted.earliest
    return wanted.when != "until" or holds.ends


def _opposite(wants: Stance, holds: Stance) -> Verdict | None:
    agreed: Verdict | None = None
    for wanted in wants.directions:
        for held in holds.directions:
            if wanted.axis != held.axis or not _one_object(wanted, held, wants, holds):
                continue
            if bool(wants.refuses) != bool(holds.forbids) and not meets(wants, holds):
                continue
            turned = bool(wants.refuses) != bool(holds.forbids)
            reason = f"{wanted.axis}: {wanted.word!r} against {_turned(holds)}{held.word!r}"
            if (wanted.pole == held.pole) == turned:
                return "conflicting", "prohibition" if wanted.pole == held.pole else "opposite", reason
            agreed = agreed or ("aligned", "opposite", reason)
    return agreed


def _turned(holds: Stance) -> str:
    return f"{holds.forbids!r} and " if holds.forbids else ""


def _one_object(wanted: Direction, held: Direction, wants: Stance, holds: Stance) -> bool:
    """Whether the two words are said of a common term, other than themselves."""
    common = wanted.about & held.about
    own = {*wanted.word.split(), *held.word.split()}
    return bool({term for term in common if not any(term in word for word in own)}) or not (wants.terms & holds.terms)


def _prohibition(wants: Stance, holds: Stance) -> Verdict | None:
    if bool(holds.forbids) == bool(wants.refuses):
        return ("aligned", "prohibition", f"{wants.refuses!r} and {holds.forbids!r}") if holds.forbids else None
    if not meets(wants, holds):
        return _beside_the_case(wants, holds)
    if holds.forbids:
        return "conflicting", "prohibition", f"the strategy says {holds.forbids!r}"
    return "conflicting", "prohibition", f"the requirement says {wants.refuses!r}"


def meets(wants: Stance, holds: Stance) -> bool:
    """Whether the one that does not forbid speaks of what the other forbids: of a limited case (`outside of the Union`) only what
    names that case, too."""
    forbidding, other = (holds, wants) if holds.forbids else (wants, holds)
    return all(any(one.names(said) for said in other.limits) for one in forbidding.limits)


def _beside_the_case(wants: Stance, holds: Stance) -> Verdict | None:
    """What is not the only case that is forbidden agrees where it names that case's other side. Else nothing is known of what
    stands outside or before; what is not to be without something is often had under another name, so the topic decides."""
    forbidding, other = (holds, wants) if holds.forbids else (wants, holds)
    said = f"{forbidding.forbids or forbidding.refuses!r} only {' and '.join(repr(one.phrase) for one in forbidding.limits)}"
    if any(one.case & other.terms for one in forbidding.limits):
        return "aligned", "prohibition", said
    if any(one.kind in ("without", "except") for one in forbidding.limits):
        return None
    return "unrelated", "prohibition", f"{said}, and the other says nothing of that case"


def exclusive(wants: Stance, holds: Stance) -> Verdict | None:
    if holds.only is None:
        return None
    preposition, allowed = holds.only
    if allowed & wants.terms:
        return "aligned", "exclusive", f"{holds.written(allowed & wants.terms)}, as the strategy wants"
    if wants.followed.get(preposition):
        named = wants.written(wants.followed[preposition])
        return "conflicting", "exclusive", f"only {preposition} {holds.written(allowed)}, not {named}"
    return None
