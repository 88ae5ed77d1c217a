"""Comparing what is required with what the strategy says: pure, without a language model, and the same every time.

Every statement of the requirement is set against every statement of the strategy.

**Same topic.** `topic` is the cosine of the two sentences (of the embedding model, see `Effects.similarities`) + 0.3 · the share
of key terms the two have in common (of the shorter one's). They are about the same from 0.5, where they share a term and the
cosine is at least 0.28, or with a cosine of 0.6 whatever their words. Without an embedding model the terms decide alone: from
a half shared, two at least. Anything else is *unrelated* (`other_topic`).

**Opposed stance.** Of two statements about the same, the first rule that has something to say decides; of `limit` and `date` each
that finds a conflict. Of several figures or dates those are compared whose clauses share a term, if there are such:

1. `looks_only`: the requirement only studies, counts or reports on what the strategy speaks of. Decides nothing: *related*.
2. `exclusive`: `only through X`, and the requirement says `through` something else, or names the other part (`only employees`).
3. `scope`: the two are of different parts of a thing (new and existing customers, weekdays and weekends). *Related*, too.
4. `limit`: the strategy's most or least against the requirement's figure of the same unit (a currency, per cent, a time, bytes,
   a noun) of the same thing; what is forbidden above a figure has it as its most. Above which something has to be done is no
   least: only to go without that conflicts.
5. `date`: the strategy's last day (`by`, `before`), or the time before, in or after which something is forbidden, against the
   requirement's time; or the other way round.
6. `place`: the strategy says that a thing is in X and nowhere else, the requirement puts it in Y; two countries or two towns.
7. `preference`: `A over B`, and the requirement takes B and not A.
8. `opposite`: both point somewhere on one axis (more or less, made or bought, kept or ended …) about a common term; a forbidding
   word turns a statement round.
9. `prohibition`: one of them forbids and the other does not, and speaks of what is forbidden; to do without it agrees. Of what is
   forbidden in one case only (`outside of`, `without`, `unless`, `before` an event …) only what names that case itself.

Rules 4 and 5 are in `actors/ceo/bounding.py`; the words that stand against each other are tables in `actors/ceo/contrasts.py`.
Where a rule finds agreement, and the two share half of the shorter one's terms, they are *aligned* by it. Where none decides
they are *related* (`same_topic`): to be about the same is not to agree.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import product

from actors.ceo.bounding import Verdict, deadline, limit
from actors.ceo.contrasts import CHANGES, DAYS, ENDING
from actors.ceo.stance import Direction, Stance, overlap, place_kind, stance, terms
from contracts.comparison import Comparison, Relation, Rule, Stated

TERMS_SHARE = 0.3
TOPIC_FROM = 0.5
ONE_THING_FROM = 0.6
ONE_THING_MIN = 2
"""The share or the number of common key terms from which what a rule finds is said: with fewer they may speak of two things."""

AGREES_FROM = 0.5
"""The share that an agreement needs besides."""

PRICED = terms("costs")
"""What has a price is no topic by that."""

LOST = terms("remove eliminate lose loss lost drop")
"""Who forbids this wants to keep what another one removes."""

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
    "place": 0.85,
    "preference": 0.8,
    "scope": 0.6,
    "looks_only": 0.6,
}
"""How plain what a rule decides is, against the others."""


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


def _compared(
    requirement: Stated, strategy: Stated, wants: Stance, holds: Stance, cosine: float | None
) -> Iterator[Comparison]:
    shared = (wants.terms & holds.terms) - PRICED
    share = overlap(wants.terms, holds.terms)
    if cosine is None:
        topic, same = share, share >= TERMS_ALONE_FROM and len(shared) >= TERMS_ALONE_MIN
    else:
        topic = min(1.0, max(0.0, cosine) + TERMS_SHARE * share)
        same = cosine >= COSINE_ALONE_FROM or (bool(shared) and cosine >= COSINE_FROM and topic >= TOPIC_FROM)
    about = f"both are about {wants.written(shared)}" if shared else "their meaning is close"
    other: Verdict = ("unrelated", "other_topic", "they are about other things")
    for relation, rule, reason in _claimed(_verdicts(wants, holds, about), share, wants, holds) if same else (other,):
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
    for decide in (_looks_only, exclusive, _scope, _spares):
        if (found := decide(wants, holds)) is not None:
            return [found]
    bounds = [found for decide in (limit, deadline) if (found := decide(wants, holds)) is not None]
    if bounds:
        return [one for one in bounds if one[0] == "conflicting"] or bounds[:1]
    if any(one.bound == "min" for one in (holds.figures if holds.forbids else wants.figures if wants.refuses else ())):
        return [("related", "same_topic", about)]  # only what is above a figure is forbidden
    for decide in (_place, _preference, _opposite, _prohibition):
        if (found := decide(wants, holds)) is not None:
            return [found]
    return [("related", "same_topic", about)]


def _claimed(verdicts: Sequence[Verdict], share: float, wants: Stance, holds: Stance) -> Sequence[Verdict]:
    """What a rule finds, but only where both speak of one thing; agreement only where they go the only way where there is one."""
    one, other = (wants.about, holds.about) if wants.about and holds.about else (wants.terms, holds.terms)
    one_thing = overlap(one, other) >= ONE_THING_FROM or len(one & other) >= ONE_THING_MIN
    agrees = one_thing and share >= AGREES_FROM
    return [
        ("related", rule, f"{reason}, perhaps of two things")
        if (relation == "conflicting" and not one_thing) or (relation == "aligned" and not agrees)
        else ("related", "same_topic", "the strategy names an only way")
        if relation == "aligned" and holds.only is not None and rule != "exclusive"
        else (relation, rule, reason)
        for relation, rule, reason in verdicts
    ]


def _looks_only(wants: Stance, holds: Stance) -> Verdict | None:
    if not wants.tells or wants.tells & holds.terms:
        return None
    return "related", "looks_only", f"the requirement is to {wants.written(wants.tells)}"


def _scope(wants: Stance, holds: Stance) -> Verdict | None:
    """Of each family of parts that both name: whether they have none in common."""
    for mine, its in product(wants.parts, holds.parts):
        if mine.beside(its) and not _common(mine.family, wants, holds):
            return "related", "scope", f"{mine.word!r} and {its.word!r}"
    return None


def _common(family: int, wants: Stance, holds: Stance) -> bool:
    sides = [{one.side for one in said.parts if one.family == family} for said in (wants, holds)]
    return bool(sides[0] & sides[1])


def _opposite(wants: Stance, holds: Stance) -> Verdict | None:
    agreed: Verdict | None = None
    for wanted in wants.directions:
        for held in holds.directions:
            if wanted.axis != held.axis or not _one_object(wanted, held, wants, holds):
                continue
            turned = wants.turns(wanted.axis, wants.refuses) != holds.turns(held.axis, holds.forbids)
            if turned and not meets(wants, holds):
                continue
            if wanted.pole != held.pole and wants.refuses and holds.forbids and not turned:
                continue
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
    if holds.forbids and (wants.refuses or wants.forbids):
        return ("aligned", "prohibition", f"{wants.refuses!r} and {holds.forbids!r}") if wants.refuses else None
    if not holds.forbids and not wants.refuses:
        return None
    forbidding, other = (holds, wants) if holds.forbids else (wants, holds)
    if not meets(wants, holds):
        return _beside_the_case(wants, holds)
    spoken = other.terms - other.given_up
    if forbidding.predicate and not forbidding.predicate & spoken:
        return None
    if forbidding.none_of and overlap(forbidding.none_of, spoken) < AGREES_FROM:
        return None
    if any(one.family == DAYS for one in forbidding.parts) and not any(one.family == DAYS for one in other.parts):
        return None
    if other.given_up and not forbidding.near(forbidding.forbids or forbidding.refuses) & spoken:
        return None
    if holds.forbids:
        return "conflicting", "prohibition", f"the strategy says {holds.forbids!r}"
    return "conflicting", "prohibition", f"the requirement says {wants.refuses!r}"


def _spares(wants: Stance, holds: Stance) -> Verdict | None:
    """Whether the one does without, or removes, what the other forbids: most of that, else it decides nothing."""
    forbidding, other = (holds, wants) if holds.forbids else (wants, holds)
    word = forbidding.forbids if holds.forbids else forbidding.refuses
    near = forbidding.near(word)
    if not word or not other.spares & near or any(one.kind == "without" for one in forbidding.limits):
        return None
    if not ENDING.fullmatch(word) and (
        near & LOST or any(one.axis in CHANGES and one.pole for one in forbidding.directions)
    ):
        return None
    forbidden = forbidding.predicate or forbidding.none_of or near - terms(word)
    whole = other.spares <= forbidden and len(other.spares) >= AGREES_FROM * len(forbidden)
    relation: Relation = "aligned" if whole and not other.forbids else "related"
    return relation, "prohibition", f"{word!r} and without {other.written(other.spares)}"


def _place(wants: Stance, holds: Stance) -> Verdict | None:
    """Whether one thing is to be in two places that are both countries, or both towns."""
    names = frozenset(term for name in wants.places | holds.places for term in terms(name))
    if not wants.places or not holds.places or not holds.bound or not (wants.terms & holds.terms) - names:
        return None
    reason = f"{_listed(wants.places)} against {_listed(holds.places)}"
    turned = bool(wants.refuses) != bool(holds.forbids)
    if wants.places & holds.places:
        return ("aligned", "place", reason) if wants.places <= holds.places and not turned else None
    kinds = {place_kind(name) for name in wants.places | holds.places}
    if turned or wants.refuses or len(kinds) > 1 or kinds == {"region"}:
        return "related", "place", reason
    return "conflicting", "place", reason


def _listed(names: frozenset[str]) -> str:
    return " and ".join(sorted(names))


def _preference(wants: Stance, holds: Stance) -> Verdict | None:
    if holds.prefers is None:
        return None
    better, worse = holds.prefers
    taken = wants.terms - wants.given_up
    takes = (bool(better) and better <= taken, bool(worse) and worse <= taken)
    if takes[0] == takes[1]:
        return None
    reason = f"{holds.written(better)} is preferred to {holds.written(worse)}"
    return "aligned" if takes[0] != bool(wants.refuses) else "conflicting", "preference", reason


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
    if any(one.kind == "without" and one.case & other.spares for one in forbidding.limits):
        return "conflicting", "prohibition", said
    if any(one.case & other.terms for one in forbidding.limits):
        return "aligned", "prohibition", said
    if any(one.kind in ("without", "except") for one in forbidding.limits):
        return None
    return "unrelated", "prohibition", f"{said}, and the other says nothing of that case"


def exclusive(wants: Stance, holds: Stance) -> Verdict | None:
    """Whether the requirement goes another way than the only one. Whether it goes that one can be told by its words alone."""
    only = holds.only
    if only is None or wants.refuses or holds.forbids:
        return None
    goes = wants.terms - wants.given_up
    for its, mine in product(only.parts, wants.parts):
        if its.beside(mine) and its.side not in {one.side for one in wants.parts if one.family == its.family}:
            return "conflicting", "exclusive", f"only {its.word}, not {mine.word}"
    named = wants.followed.get(only.preposition, frozenset()) - wants.given_up
    if not only.allowed or not only.preposition or _scope(wants, holds) is not None:
        return None
    apart = (goes & holds.terms) - only.allowed
    if apart and overlap(only.allowed, goes) >= AGREES_FROM and (not named or named & only.allowed):
        return "aligned", "exclusive", f"{holds.written(only.allowed & wants.terms)}, as the strategy wants"
    if named and not named & only.allowed:
        return (
            "conflicting",
            "exclusive",
            f"only {only.preposition} {holds.written(only.allowed)}, not {wants.written(named)}",
        )
    return None
