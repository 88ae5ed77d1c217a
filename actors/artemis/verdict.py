"""The verdict on feasibility, read from the words of Artemis's own answer; pure. What is not said in these words is unknown.

A sentence of the section that denies makes it infeasible, one that affirms feasible, a condition beside that conditional.
Complexity is the greatest effort that any section names, from 20 and 120 days of one person, else its own words; the timeline is
every date and duration of its section.
"""

import re
from collections.abc import Iterable
from datetime import date

from actors.ceo.figures import bounded, dates
from actors.team import statements
from contracts.collaboration import Outcome
from contracts.feasibility import Complexity, Feasibility, Milestone, Verdict
from contracts.strategic import Grounded

STATEMENTS_MAX = 12
MILESTONES_MAX = 10
MEDIUM_FROM_DAYS = 20.0
HIGH_FROM_DAYS = 120.0

_DENIES = re.compile(
    r"\b(?:not (?:\w+ )?(?:feasible|possible)|infeasible|impossible|cannot be (?:built|done|delivered))\b", re.I
)
_AFFIRMS = re.compile(
    r"\b(?:feasible|possible|can be (?:\w+ )?(?:built|done|delivered|implemented|moved)|is ready)\b", re.I
)
_DEPENDS = re.compile(r"\b(?:if|provided|unless|once|until|requires?|needs?|depends?|only (?:when|after))\b", re.I)
_EFFORT = re.compile(r"(\d[\d,.]*)\s(?:engineer|person|man|developer)[- ](day|week|month)s?\b", re.I)
_DAYS = {"day": 1.0, "week": 5.0, "month": 21.0}
_HARD = re.compile(r"\b(?:high complexity|very complex|complex|legacy|hot spot)\b", re.I)
_EASY = re.compile(r"\b(?:low complexity|simple|straightforward|small change)\b", re.I)


def feasibility(outcome: Outcome, today: date) -> Feasibility:
    """Of an outcome with the sections of technical feasibility."""
    said = {name: statements(text, STATEMENTS_MAX) for name, text in outcome.sections.items()}
    verdict, because = _verdict(said.get("feasibility", ()))
    effort = max((days for text in said.values() for one in text for days in _efforts(one)), default=None)
    cited = dict.fromkeys(one.evidence for one in outcome.citations if one.section == "recommended_architecture")
    return Feasibility(
        verdict=verdict,
        because=because,
        architecture=Grounded(text=outcome.sections.get("recommended_architecture", ""), evidence=tuple(cited)),
        complexity=_complexity(effort, said.get("complexity", ())),
        effort_days=effort,
        timeline=tuple(_milestones(said.get("timeline", ()), today))[:MILESTONES_MAX],
    )


def _verdict(said: Iterable[str]) -> tuple[Verdict, tuple[str, ...]]:
    said = tuple(said)
    if denying := tuple(one for one in said if _DENIES.search(one)):
        return "infeasible", denying
    affirming = tuple(one for one in said if _AFFIRMS.search(one))
    if not affirming:
        return "unknown", ()
    depending = tuple(one for one in said if _DEPENDS.search(one))
    return ("conditional", tuple(dict.fromkeys((*affirming, *depending)))) if depending else ("feasible", affirming)


def _efforts(text: str) -> Iterable[float]:
    for number, unit in _EFFORT.findall(text):
        yield float(number.replace(",", "").rstrip(".")) * _DAYS[unit.lower()]


def _complexity(effort: float | None, said: Iterable[str]) -> Complexity:
    if effort is not None:
        return "high" if effort >= HIGH_FROM_DAYS else "medium" if effort >= MEDIUM_FROM_DAYS else "low"
    text = "\n".join(said)
    return "high" if _HARD.search(text) else "low" if _EASY.search(text) else "unknown"


def _milestones(said: Iterable[str], today: date) -> Iterable[Milestone]:
    for one in said:
        for when in dates(one, today):
            yield Milestone(text=one, by=when.last)
        for figure in bounded(one):
            if figure.unit == "days":
                yield Milestone(text=one, days=round(figure.value, 2))
