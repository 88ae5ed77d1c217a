"""What a question asks of the rows it restricts itself to: how many they are, how many of them left, the mean of a column.

The group comes first, the whole beside it. Rates have Wilson 95 % intervals, means those of Student's t.
"""

import math
import re
import statistics
from collections.abc import Sequence

from msgspec import Struct

from actors.sophia.tools import risk
from actors.sophia.tools.conditions import Condition, Reading
from actors.sophia.tools.customers import charge_column, outcome_column, outcomes
from actors.sophia.tools.question_tokens import keys, spaced, tokens
from actors.tables import Column, Table, figure, percent
from contracts.model import NOT_TAKEN

STRONGEST = 3
_NO_CAUSE = "these data show association, not cause, for no experiment was made"

_COUNT = re.compile(r"\b(?:how many|number of|count of|count the)\b", re.IGNORECASE)
_AVERAGE = re.compile(r"\b(?:average|mean|median|typical(?:ly)?|on average)\b", re.IGNORECASE)
_AT_STAKE = re.compile(
    r"\b(?:risk|revenue|money|stake|predict|likely|recommend|retain|retention|keep|should|segment|why|caus|driv|reason)",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"\b(?:percent(?:age)?|share|proportion|fraction)\s+of\s+(?:\w+\s+){0,2}(?:customers|clients|deals)\b",
    re.IGNORECASE,
)
_LEAVING = re.compile(r"\b(?:leav|left|los[et]|churn|cancel|stay|won\b|win)", re.IGNORECASE)
_MOST = re.compile(r"\b(?:highest|maximum|max|largest|biggest)\b", re.IGNORECASE)
_LEAST = re.compile(r"\b(?:lowest|minimum|min|smallest)\b", re.IGNORECASE)
_FIGURE = re.compile(
    r"\b(?:how|what|rate|churn\w*|share|percent\w*|average|mean|median|count|number|left|leave|do|does|did|is|are|has|have)\b",
    re.IGNORECASE,
)
_CAUSE = re.compile(
    r"\b(?:caus(?:e|es|ed|ing)|effect of|because of|leads? to|due to|result(?:s|ed)? in|makes? (?:\w+ ){0,2}(?:leave|churn))\b",
    re.IGNORECASE,
)
_WHY = re.compile(
    r"\bwhy\b[^?.]*\b(?:leav|left|los|churn|cancel)|\b(?:driv|reason|explain)\w*\b[^?.]*\b(?:leav|left|los|churn|cancel)",
    re.IGNORECASE,
)


class Mean(Struct, frozen=True):
    """Of the rows that have a value; the bounds are None where there are fewer than two."""

    rows: int
    mean: float
    median: float
    low: float | None
    high: float | None


def mean(values: Sequence[float | None]) -> Mean | None:
    """None where no row has a value."""
    from scipy.stats import t

    known = [value for value in values if value is not None]
    if not known:
        return None
    centre = math.fsum(known) / len(known)
    low = high = None
    if len(known) > 1:
        half = float(t.ppf(0.975, len(known) - 1)) * statistics.stdev(known, centre) / math.sqrt(len(known))
        low, high = centre - half, centre + half
    return Mean(len(known), centre, statistics.median(known), low, high)


def answers(table: Table, reading: Reading, question: str, noun: str = "customers") -> list[str]:
    """What the question asks for by its words: means, counts, and of a group that it names the rate of those who left."""
    told = [_mean_told(table, reading, column, noun) for column in _measured(table, question, _AVERAGE)]
    for pattern, word in ((_MOST, "highest"), (_LEAST, "lowest")):
        told += [_extreme_told(table, reading, one, (word, noun)) for one in _measured(table, question, pattern)]
    if reading.conditions and _SHARE.search(question) and not _LEAVING.search(question):
        return [*told, _share_told(table, reading, noun)]
    if _COUNT.search(question):
        told.append(_count_told(table, reading, noun))
    if reading.conditions and (not told or outcome_column(table) is not None):
        told += _rates_told(table, reading, noun)
    return told


def narrow(question: str, asked: Sequence[str]) -> bool:
    """Whether a figure is asked for and answered, and nothing that goes further: then predictions and money are not told, too.

    Who only names a group (`small-business customers`) asks for all that is known of it.
    """
    return bool(asked) and bool(_FIGURE.search(question)) and not _AT_STAKE.search(question)


def not_read(reading: Reading, noun: str = "customers") -> list[str]:
    """What of the question was not understood."""
    if not reading.unread:
        return []
    listed = ", ".join(reading.unread)
    return [f"{NOT_TAKEN}, for nothing that is known of these {noun} goes by that name: {listed}."]


def with_unread(told: Sequence[str], reading: Reading, noun: str = "customers") -> list[str]:
    """What is told, and what was not understood: this first where nothing else restricts it, for then it is told of all."""
    unread = not_read(reading, noun)
    return [*told, *unread] if reading.conditions else [*unread, *told]


def why_told(
    question: str,
    reading: Reading,
    flags: Sequence[bool | None],
    groups: Sequence[tuple[risk.Segment, float]],
) -> list[str]:
    """What goes with leaving, where its causes are asked for, and that this says nothing of causes.

    `groups`: of each column the one with the highest rate, and how strongly the column goes with leaving, strongest first.
    """
    if reading.conditions and _CAUSE.search(question):
        known = [
            flag for flag, member in zip(flags, reading.members(len(flags)), strict=True) if member and flag is not None
        ]
        share = percent(sum(known) / len(known)) if known else "none"
        return [
            f"Whether {reading.name()} causes customers to leave (churn) cannot be said: {share} of {len(known):,} such customers"
            f" left, against {percent(_share(flags))} of all customers; {_NO_CAUSE}."
        ]
    if reading.conditions or not (_WHY.search(question) or _CAUSE.search(question)) or not groups:
        return []
    listed = "; ".join(
        f"{one.name} ({percent(one.rate)} of {one.customers:,} left, Cramér's V of the column {strength:.2f})"
        for one, strength in groups[:STRONGEST]
    )
    return [f"What goes most with customers leaving, which is why they may churn, is {listed}; {_NO_CAUSE}."]


def _share(flags: Sequence[bool | None]) -> float:
    known = [flag for flag in flags if flag is not None]
    return sum(known) / len(known) if known else 0.0


def _measured(table: Table, question: str, wanted: re.Pattern[str]) -> list[Column]:
    """The number columns whose mean or bound is asked for: named right behind the word for it, else what customers pay."""
    found = wanted.search(question)
    if found is None:
        return []
    near = {one.key for one in tokens(question[found.end() :])[:5]}
    numeric = [one for one in table.columns if one.kind == "number"]
    scores = {one.name: len(near & {*keys(one.name)}) / len({*keys(one.name)} or {""}) for one in numeric}
    best = max(scores.values(), default=0.0)
    named = [one for one in numeric if scores[one.name] == best >= 0.5]
    charge = charge_column(table)
    if len(named) > 1 and charge in named:
        return [charge] if charge else []
    if named:
        return named[:1]
    return [charge] if charge and near & {*keys("pay paying spend charge price revenue value size")} else []


def _mean_told(table: Table, reading: Reading, column: Column, noun: str) -> str:
    members = reading.members(table.rows, of_outcome=True)
    named = reading.name(of_outcome=True)
    inside = mean([value for value, member in zip(column.numbers, members, strict=True) if member])
    whole = mean(column.numbers)
    name = " ".join(spaced(column.name).lower().split())
    of = f"{noun} with {named}" if named else f"all {noun}"
    if inside is None or whole is None:
        return f"The average {name} of {of} is not known: none of them has a value in column {column.name}."
    bounds = (
        f", 95 % interval {figure(inside.low)} to {figure(inside.high)}"
        if inside.low is not None and inside.high is not None
        else ""
    )
    told = (
        f"The average {name} of {of} is {figure(inside.mean)} (mean of column {column.name} over {inside.rows:,} {noun}{bounds});"
        f" the median is {figure(inside.median)}"
    )
    if not named:
        return f"{told}."
    return f"{told}; of all {whole.rows:,} {noun} the mean is {figure(whole.mean)}, the median {figure(whole.median)}."


def _extreme_told(table: Table, reading: Reading, column: Column, which: tuple[str, str]) -> str:
    word, noun = which
    members = reading.members(table.rows, of_outcome=True)
    named = reading.name(of_outcome=True)
    known = [value for value, member in zip(column.numbers, members, strict=True) if member and value is not None]
    of = f"{noun} with {named}" if named else f"all {noun}"
    if not known:
        return f"The {word} {column.name} of {of} is not known: none of them has a value."
    value = max(known) if word == "highest" else min(known)
    return f"The {word} {column.name} of {of} is {figure(value)}, which {known.count(value):,} of {len(known):,} have."


def _share_told(table: Table, reading: Reading, noun: str) -> str:
    count = sum(reading.members(table.rows))
    low, high = risk.wilson(count, table.rows)
    return (
        f"{percent(count / table.rows)} of all {noun} are {noun} with {reading.name()} ({count:,} of {table.rows:,}, 95 %"
        f" interval {percent(low)} to {percent(high)})."
    )


def _count_told(table: Table, reading: Reading, noun: str) -> str:
    members = reading.members(table.rows)
    count, named = sum(members), reading.name()
    told = (
        f"How many {noun} with {named}: {count:,} of {table.rows:,}" if named else f"How many {noun}: {count:,} in all"
    )
    outcome = outcome_column(table)
    if outcome is None:
        return f"{told}."
    flags = [flag for flag, member in zip(outcomes(outcome), members, strict=True) if member]
    return f"{told}; {flags.count(False):,} of them are still here and {flags.count(True):,} left."


def _rates_told(table: Table, reading: Reading, noun: str) -> list[str]:
    """The rate of the group beside that of all; where it is made of several values of one column, each of these, too."""
    outcome = outcome_column(table)
    members = reading.members(table.rows)
    if outcome is None:
        return [f"{sum(members):,} of {table.rows:,} {noun} have {reading.name()}."]
    flags = outcomes(outcome)
    everybody = sum(flag is not None for flag in flags)
    whole = f"{percent(_share(flags))} ({sum(flag is True for flag in flags):,} of {everybody:,})"
    inside = _rate_told(flags, members, reading.name(), noun)
    if inside is None:
        return [f"No {noun} with {reading.name()} are known; the churn rate of all {noun} is {whole}."]
    alike = [one for one in reading.conditions if one.value and _alike(one, reading)]
    parts = [_rate_told(flags, _without(one, reading).members(table.rows), one.told, noun) for one in alike]
    each = "".join(f"; {part}" for part in parts if part is not None)
    return [f"{inside}{each}; the churn rate of all {noun} is {whole}."]


def _alike(one: Condition, reading: Reading) -> bool:
    return sum(other.value != "" and other.column == one.column for other in reading.conditions) > 1


def _without(one: Condition, reading: Reading) -> Reading:
    """The same with one value of a column alone."""
    kept = tuple(other for other in reading.conditions if other is one or not other.value or other.column != one.column)
    return Reading(kept, None, ())


def _rate_told(flags: Sequence[bool | None], members: Sequence[bool], name: str, noun: str) -> str | None:
    known = [flag for flag, member in zip(flags, members, strict=True) if member and flag is not None]
    if not known:
        return None
    left = sum(known)
    low, high = risk.wilson(left, len(known))
    return (
        f"{percent(left / len(known))} of {noun} with {name} left ({left:,} of {len(known):,}, 95 % interval {percent(low)} to"
        f" {percent(high)})"
    )
