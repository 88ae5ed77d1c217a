"""Confidence from evidence: how likely an answer is right, by what it rests on; pure. What a model says of itself is no evidence.

An answer rests on texts and on what tools worked out of data of their own, and is as sure as the surer of the two. Its texts are
those that it cites, where it cites none all that was found. What has expired counts nothing; a tool's data are no text.

* coverage: of the question's words, the mean of the share met in all that it rests on and of the share met in one sentence of it
* agreement: (1 - 2^-n) · n / (n + d), of n sources that meet a third of the question's words, d of which contradict another one
  (`actors/ceo/disagreeing.py`); a tool that is there for what is asked is one of them
* freshness: 2^(-age / half-life of the category), the mean by score; 0.5 for what has no date
* relevance: the best score (a cosine)
* computed: 1 where a finding of a tool that only read those texts meets a third of the question's words

What a finding says not to be known counts nowhere, though it has the question's words.

Of a tool, by the basis that it tells (`contracts.grounds.Basis`):

* meant: 1 where the question has a word of what the tool is there for (`actors/intents.py`)
* named: of the question's other words, the share that is in its findings; 1 where there are none
* read: of what it was given the share that it could read, times that of its analyses that it could make
* precise: 1 less half its main interval over the estimate, 1 where all was counted
* freshness: 2^(-age of the newest of its data / 180 days)

    of each = 1 / (1 + exp(-(intercept + sum of weight · part)))

between 0.05 and 0.97, and 0.05 where nothing was found or the answer says so. No weight is negative: more that agrees and is as
new as the rest never lowers it.

Intercepts and weights are logistic regressions on the even cases of tests/confidence_cases.py (statsmodels) and of
tests/tool_cases.py (scipy, no weight below 0), which `python -m tests.calibration` repeats. Those of agreement, and of freshness
and findings of texts, are decided: too few cases tell what they are worth. docs/adr has what all this gives on the odd ones.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from math import exp, fsum

from msgspec import UNSET, Struct
from msgspec.structs import replace

from actors.ceo.disagreeing import disagree
from actors.ceo.stance import stance
from actors.intents import beside, meant
from contracts.grounds import Basis, Computed, Grounds
from contracts.model import Evidence, abstains, unsaid
from runtime.text import sentences, words

NOTHING_FOUND = 0.05
CONFIDENCE_MAX = 0.97
UNFOUNDED_MAX = 0.2
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

TOOL_INTERCEPT = -11.04
MEANT = 2.97
NAMED = 1.68
READ = 4.58
PRECISE = 2.06
TOOL_FRESHNESS = 0.94


class Work(Struct, frozen=True, kw_only=True):
    """What a tool worked out of data of its own: its findings, what they rest on, and which evidence (ids) is its data."""

    tool: str
    findings: Sequence[str]
    basis: Basis
    data: Sequence[str] = ()


class Rested(Struct, frozen=True, kw_only=True):
    """What an answer rests on, and when it was given. `findings` are of tools that tell no basis: they read the evidence."""

    question: str
    evidence: Sequence[Evidence]
    findings: Sequence[str] = ()
    works: Sequence[Work] = ()
    now: datetime


def of_answer(
    rested: Rested, sections: Mapping[str, str], cited: Iterable[str], unfounded: tuple[str, ...] = ()
) -> tuple[float, Grounds]:
    """The confidence in what was answered: it rests on the evidence whose ids it cites, and on all that tools worked out.

    `unfounded`: figures that it took from nowhere (`actors/founded.py`); with any it is at most UNFOUNDED_MAX.
    """
    if all(abstains(text) for text in sections.values()):
        return NOTHING_FOUND, Grounds()
    named = frozenset(cited)
    found = grounds(
        replace(rested, evidence=tuple(one for one in rested.evidence if one.id in named) or rested.evidence)
    )
    if unfounded:
        return min(UNFOUNDED_MAX, confidence(found)), replace(found, unfounded=unfounded)
    return confidence(found), found


def confidence(found: Grounds) -> float:
    """The formula at the head of this file, three digits: of texts or of a tool, whichever is surer."""
    of_texts = NOTHING_FOUND
    if found.sources or found.computed:
        of_texts = _sure(
            INTERCEPT
            + COVERAGE * found.coverage
            + AGREEMENT * found.agreement
            + FRESHNESS * found.freshness
            + RELEVANCE * found.relevance
            + COMPUTED * found.computed
        )
    return of_texts if found.tool is UNSET else max(of_texts, found.tool.sure)


def _sure(log_odds: float) -> float:
    return round(min(CONFIDENCE_MAX, max(NOTHING_FOUND, 1 / (1 + exp(-log_odds)))), 3)


def grounds(rested: Rested) -> Grounds:
    """The parts that the formula is made of. What a tool had as data is no text beside it."""
    asked = frozenset(words(rested.question))
    data = frozenset(id_ for work in rested.works for id_ in work.data)
    valid = [one for one in rested.evidence if one.expires is UNSET or one.expires > rested.now]
    texts = [one for one in valid if one.id not in data]
    said = [(one, sentences(f"{one.title}. {one.text}")) for one in texts]
    listed = [[frozenset(words(sentence)) for sentence in text] for _, text in said]
    computed = [frozenset(words(finding)) for finding in rested.findings if not unsaid(finding)]
    single = [*(one for text in listed for one in text), *computed]
    met = [share(frozenset().union(*text) if text else frozenset(), asked) for text in listed]
    speaking = [text for (_, text), of_it in zip(said, met, strict=True) if of_it >= SPEAKS_FROM]
    speaking += [list(work.findings) for work in rested.works if meant(work.tool, rested.question)]
    disagreeing = _disagreeing(speaking, asked, rested.now)
    whole = share(frozenset().union(*single) if single else frozenset(), asked)
    n = len(speaking)
    agreement = _digits((1 - 2**-n) * n / (n + disagreeing)) if n else 0.0
    tools = [of_tool(work, rested, agreement) for work in rested.works]
    return Grounds(
        coverage=_digits((whole + max((share(one, asked) for one in single), default=0.0)) / 2),
        agreement=agreement,
        freshness=_digits(_freshness(texts, rested.now)),
        relevance=_digits(max((min(1.0, max(0.0, one.score)) for one in texts), default=0.0)),
        computed=1.0 if any(share(one, asked) >= SPEAKS_FROM for one in computed) else 0.0,
        sources=len(texts),
        disagreeing=disagreeing,
        tool=max(tools, key=lambda one: one.sure) if tools else UNSET,
    )


def of_tool(work: Work, rested: Rested, agreement: float) -> Computed:
    """What a tool's figures are worth for the question."""
    basis, told = work.basis, frozenset(words(" ".join(one for one in work.findings if not unsaid(one))))
    besides = beside(work.tool, rested.question)
    read = basis.read / basis.given if basis.given else 0.0
    parts = Computed(
        meant=1.0 if meant(work.tool, rested.question) else 0.0,
        named=_digits(share(told, besides)) if besides else 1.0,
        read=_digits(min(1.0, read) * min(1.0, basis.done / max(1, basis.tried))),
        precise=_digits(1 - min(1.0, max(0.0, basis.spread))),
        freshness=_digits(UNDATED if basis.newest is UNSET else aged(basis.newest, HALF_LIFE_DAYS, rested.now)),
        sure=0.0,
    )
    return replace(parts, sure=of_parts(parts, agreement))


def of_parts(found: Computed, agreement: float) -> float:
    return _sure(
        TOOL_INTERCEPT
        + MEANT * found.meant
        + NAMED * found.named
        + READ * found.read
        + PRECISE * found.precise
        + TOOL_FRESHNESS * found.freshness
        + AGREEMENT * agreement
    )


def share(met: frozenset[str], asked: frozenset[str]) -> float:
    return len(met & asked) / len(asked) if asked else 0.0


def fresh(one: Evidence, now: datetime) -> float:
    """How new a source is for its kind."""
    if one.updated is UNSET:
        return UNDATED
    category = "" if one.category is UNSET else one.category
    return aged(one.updated, HALF_LIVES_DAYS.get(category, HALF_LIFE_DAYS), now)


def aged(moment: datetime, half_life_days: float, now: datetime) -> float:
    """1 for what is of now, a half after each half-life."""
    days = max(0.0, (now - moment).total_seconds() / 86_400)
    return float(2 ** (-days / half_life_days))


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
