"""Confidence from evidence: how likely an answer is right, by what it rests on; pure. What a model says of itself is no evidence.

An answer rests on the evidence that it cites, where it cites none on all that was found. What has expired counts nothing.

* coverage: of the question's words, the mean of the share met in all that it rests on and of the share met in one sentence of it
* agreement: (1 - 2^-n) · n / (n + d), of n sources that meet a third of the question's words, d of which contradict another one
  (`actors/ceo/disagreeing.py`)
* freshness: 2^(-age / half-life of the category), the mean by score; 0.5 for what has no date
* relevance: the best score (a cosine)
* computed: 1 where a finding of a tool meets a third of the question's words

    confidence = 1 / (1 + exp(-(INTERCEPT + sum of weight · part)))

between 0.05 and 0.97, and 0.05 where nothing was found or the answer says so. No weight is negative: more that agrees and is as
new as the rest never lowers it.

The intercept and the weights of coverage and relevance are a logistic regression (statsmodels) on the even cases of
tests/confidence_cases.py, which `python -m tests.calibration` repeats. The other three are not fitted but decided: too few of
those cases tell what agreement and freshness are worth, and no tool works in them. docs/adr has what that gives on the odd ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from math import exp, fsum

from msgspec import UNSET, Struct
from msgspec.structs import replace

from actors.ceo.disagreeing import disagree
from actors.ceo.stance import stance
from contracts.grounds import Grounds
from contracts.model import Evidence, abstains
from runtime.text import sentences, words

NOTHING_FOUND = 0.05
CONFIDENCE_MAX = 0.97
SPEAKS_FROM = 1 / 3
"""Of the question's words, for a source to speak to it."""

SENTENCES_MAX = 12
"""Of a source, the first that speak to the question: they are compared with those of the others."""

UNDATED = 0.5
HALF_LIVES_DAYS = {
    "strategic_planning": 365.0,
    "financial_analysis": 120.0,
    "market_intelligence": 120.0,
    "competitive_analysis": 120.0,
    "operational_metrics": 60.0,
    "technology_roadmap": 180.0,
    "human_resources": 365.0,
    "risk_management": 180.0,
    "customer_insights": 180.0,
    "partnership_opportunities": 240.0,
}
HALF_LIFE_DAYS = 180.0
"""Of what has no category."""

INTERCEPT = -7.87
COVERAGE = 4.05
AGREEMENT = 0.5
FRESHNESS = 0.5
RELEVANCE = 8.18
COMPUTED = 1.0


class Rested(Struct, frozen=True, kw_only=True):
    """What an answer rests on, and when it was given."""

    question: str
    evidence: Sequence[Evidence]
    findings: Sequence[str] = ()
    now: datetime


def of_answer(rested: Rested, sections: Mapping[str, str], cited: Iterable[str]) -> tuple[float, Grounds]:
    """The confidence in what was answered: it rests on the evidence whose ids it cites."""
    if all(abstains(text) for text in sections.values()):
        return NOTHING_FOUND, Grounds()
    named = frozenset(cited)
    found = grounds(
        replace(rested, evidence=tuple(one for one in rested.evidence if one.id in named) or rested.evidence)
    )
    return confidence(found), found


def confidence(found: Grounds) -> float:
    """The formula at the head of this file, three digits."""
    if not found.sources and not found.computed:
        return NOTHING_FOUND
    log_odds = (
        INTERCEPT
        + COVERAGE * found.coverage
        + AGREEMENT * found.agreement
        + FRESHNESS * found.freshness
        + RELEVANCE * found.relevance
        + COMPUTED * found.computed
    )
    return round(min(CONFIDENCE_MAX, max(NOTHING_FOUND, 1 / (1 + exp(-log_odds)))), 3)


def grounds(rested: Rested) -> Grounds:
    """The parts that the formula is made of."""
    asked = frozenset(words(rested.question))
    valid = [one for one in rested.evidence if one.expires is UNSET or one.expires > rested.now]
    said = [(one, sentences(f"{one.title}. {one.text}")) for one in valid]
    listed = [[frozenset(words(sentence)) for sentence in text] for _, text in said]
    computed = [frozenset(words(finding)) for finding in rested.findings]
    single = [*(one for text in listed for one in text), *computed]
    met = [share(frozenset().union(*text) if text else frozenset(), asked) for text in listed]
    speaking = [text for (_, text), of_it in zip(said, met, strict=True) if of_it >= SPEAKS_FROM]
    disagreeing = _disagreeing(speaking, asked, rested.now)
    whole = share(frozenset().union(*single) if single else frozenset(), asked)
    n = len(speaking)
    return Grounds(
        coverage=_digits((whole + max((share(one, asked) for one in single), default=0.0)) / 2),
        agreement=_digits((1 - 2**-n) * n / (n + disagreeing)) if n else 0.0,
        freshness=_digits(_freshness(valid, rested.now)),
        relevance=_digits(max((min(1.0, max(0.0, one.score)) for one in valid), default=0.0)),
        computed=1.0 if any(share(one, asked) >= SPEAKS_FROM for one in computed) else 0.0,
        sources=len(valid),
        disagreeing=disagreeing,
    )


def share(met: frozenset[str], asked: frozenset[str]) -> float:
    return len(met & asked) / len(asked) if asked else 0.0


def fresh(one: Evidence, now: datetime) -> float:
    """How new a source is for its kind."""
    if one.updated is UNSET:
        return UNDATED
    category = "" if one.category is UNSET else one.category
    days = max(0.0, (now - one.updated).total_seconds() / 86_400)
    return float(2 ** (-days / HALF_LIVES_DAYS.get(category, HALF_LIFE_DAYS)))


def _freshness(valid: Sequence[Evidence], now: datetime) -> float:
    weights = [max(0.01, one.score) for one in valid]
    whole = fsum(weights)
    return fsum(weight * fresh(one, now) for weight, one in zip(weights, valid, strict=True)) / whole if valid else 0.0


def _disagreeing(speaking: Sequence[Sequence[str]], asked: frozenset[str], now: datetime) -> int:
    """How many of the sources contradict another one in what they say to the question."""
    today = now.date()
    stances = [
        [stance(text, today) for text in source if share(frozenset(words(text)), asked) >= SPEAKS_FROM][:SENTENCES_MAX]
        for source in speaking
    ]
    found: set[int] = set()
    for (left, mine), (right, its) in combinations(enumerate(stances), 2):
        if any(disagree(one, other, today) for one in mine for other in its):
            found |= {left, right}
    return len(found)


def _digits(value: float) -> float:
    return round(value, 4)
