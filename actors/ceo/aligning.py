"""What an alignment compares, and what it makes of that: statements of both sides, the comparison told, judged pairs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from msgspec.structs import replace

from actors.ceo.comparing import compare
from actors.ceo.stance import plans
from actors.team import ASKED, statements, unmarked
from contracts.analysis import PHASES
from contracts.collaboration import Request
from contracts.comparison import Comparison, Relation, Stated
from contracts.domains import Clearance
from contracts.model import NOTHING_MORE, Evidence, Prompt, Section
from runtime.effects import Effects
from runtime.quotes import quotes
from runtime.text import sentences

REQUIRED_MAX = 32
"""Statements of the requirement that are compared: first the question's, then of the texts that came with it."""

OF_A_TEXT_MAX = 12
STRATEGY_MAX = 64
"""Sentences of the strategy, those of the best evidence first."""

CONFLICTS_MAX = 20
ALIGNED_MAX = 10
RELATED_MAX = 10
UNRELATED_MAX = 5

REQUIREMENTS = ("requirements", "constraints", "technical_requirements")
"""Texts of a request's context whose sentences are requirements or constraints. Others are analyses, and findings of tools."""

_MARK = re.compile(r"\[\d+\]")

_JUDGED = re.compile(r"\b(r\d{1,3})\W{1,3}(s\d{1,3})\b[^\w\n]{0,4}(?:is |are )?(conflicting|aligned|unrelated)\b")


def required(request: Request, strategy: Sequence[Stated], label: Clearance) -> tuple[Stated, ...]:
    """The question's sentences, and the requirements and constraints beside it; what only repeats the strategy is none."""
    known = {_bare(one.text) for one in strategy}
    found: dict[str, tuple[str, str]] = {}
    for sentence in sentences(request.question):
        found.setdefault(_bare(sentence), (sentence, "question"))
    for name in REQUIREMENTS:
        computed = [other for title, other in request.context.items() if title not in REQUIREMENTS]
        for item in _items(request.context.get(name, ""), computed):
            sentence = item.rpartition(ASKED)[2]
            if plans(item) and _bare(sentence) not in known:
                found.setdefault(_bare(sentence), (sentence, name))
    return tuple(
        Stated(id=f"r{number}", text=text, source=source, label=label)
        for number, (text, source) in enumerate(list(found.values())[:REQUIRED_MAX], 1)
    )


def _items(text: str, others: Sequence[str]) -> tuple[str, ...]:
    """The sentences of a text but those that say again, without a source, what an analysis beside it says: that is of a tool,
    which a model that quotes takes for an item. The phase may stand before it (`Business analysis: `)."""
    uncited = {one for line in text.splitlines() if not _MARK.search(line) for one in statements(line, OF_A_TEXT_MAX)}
    told = [unmarked(other) for other in others]
    return tuple(
        one
        for one in statements(text, OF_A_TEXT_MAX)
        if one not in uncited or not any(_bare(one) and _bare(_said(one)) in other.lower() for other in told)
    )


def _said(sentence: str) -> str:
    before, colon, behind = sentence.partition(": ")
    return behind if colon and before.lower().replace(" ", "_") in PHASES else sentence


def strategic(evidence: Sequence[Evidence]) -> tuple[Stated, ...]:
    """The sentences of what was found, each with its place there."""
    found: dict[str, Stated] = {}
    for one in evidence:
        for quote in quotes(one.text):
            if len(found) < STRATEGY_MAX and _bare(quote.text) not in found:
                found[_bare(quote.text)] = Stated(
                    id=f"s{len(found) + 1}",
                    text=quote.text,
                    source=one.id,
                    label=one.label,
                    title=one.title,
                    place=quote.span,
                )
    return tuple(found.values())


async def compared(
    request: Request, evidence: Sequence[Evidence], effects: Effects, today: date
) -> tuple[Comparison, ...]:
    """What is worth telling of the requirement beside the strategy; nothing where one of them says nothing."""
    strategy = strategic(evidence)
    requirement = required(request, strategy, effects.label)
    if not requirement or not strategy:
        return ()
    near = await effects.similarities(tuple(one.text for one in requirement), tuple(one.text for one in strategy))
    return telling(compare(requirement, strategy, near.cosines, today))


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


_TOLD: Mapping[Relation, tuple[str, str]] = {
    "aligned": ("agrees with", ""),
    "related": ("is about the same as", ", and no rule decides whether they agree"),
    "conflicting": ("conflicts with", ""),
}


def told(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """The comparison as the sections `alignment` and `conflicts`: both statements word for word, and the words that decided."""
    lines: dict[Relation, list[str]] = {relation: [] for relation in _TOLD}
    for one in comparisons:
        if one.relation in _TOLD:
            verb, behind = _TOLD[one.relation]
            said = (
                f"{_named(one)} “{one.requirement.text}” {verb} “{one.strategy.text}”, of {one.strategy.title}{behind}"
            )
            lines[one.relation].append(f"- {said}: {one.reason}.")
    found = {
        "alignment": "\n".join(lines["aligned"] + lines["related"]),
        "conflicts": "\n".join(lines["conflicting"]),
    }
    if not any(found.values()):
        return {"alignment": f"{NOTHING_MORE} alignment and conflicts: {_counted(comparisons)}."}
    return {name: text or f"{NOTHING_MORE} {name}: {_counted(comparisons)}." for name, text in found.items()}


def _counted(comparisons: Sequence[Comparison]) -> str:
    required_, held = len({one.requirement.id for one in comparisons}), len({one.strategy.id for one in comparisons})
    if not required_:
        return "nothing was found in the strategy to compare the question with"
    was = "statement of the requirement was" if required_ == 1 else "statements of the requirement were"
    return f"{required_} {was} compared with {held} of the strategy"


def findings(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """The conflicts as findings for whoever writes the other sections."""
    return tuple(
        dict.fromkeys(
            f"Conflict with the strategy: {_named(one)} “{one.requirement.text}” against “{one.strategy.text}”"
            for one in comparisons
            if one.relation == "conflicting"
        )
    )


def judging(comparisons: Sequence[Comparison]) -> Prompt:
    """What a language model is asked of the pairs that are about the same."""
    pairs = [one for one in comparisons if one.relation != "unrelated"]
    return Prompt(
        role="the CEO's knowledge keeper",
        question="Which of these requirements contradict the strategy beside them?",
        sections=(
            Section(
                "judgement",
                "One line a pair, nothing else: its two ids and one of conflicting, aligned, unrelated; like `r1 s2 aligned`.",
            ),
        ),
        findings=tuple(
            dict.fromkeys(
                f"Pair {one.requirement.id} {one.strategy.id}: requirement {one.requirement.id} “{one.requirement.text}”; "
                f"strategy {one.strategy.id} “{one.strategy.text}”"
                for one in pairs
            )
        ),
    )


def judged(comparisons: Sequence[Comparison], sections: Mapping[str, str]) -> tuple[Comparison, ...]:
    """The comparisons with what the model says of them. Ids that are no pair of these are dropped; what is said twice of a pair,
    and differently, is nothing."""
    said: dict[tuple[str, str], set[Relation]] = {}
    for one, other, relation in _JUDGED.findall("\n".join(sections.values()).lower()):
        said.setdefault((one, other), set()).add(relation)
    plain = {pair: next(iter(relations)) for pair, relations in said.items() if len(relations) == 1}
    return tuple(
        one if one.relation == "unrelated" else replace(one, judged=plain.get((one.requirement.id, one.strategy.id)))
        for one in comparisons
    )


def _named(one: Comparison) -> str:
    name = one.requirement.source.replace("_", " ")
    return f"The {name}"


def _bare(text: str) -> str:
    return text.strip(" .!?…").lower()
