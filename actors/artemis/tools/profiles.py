"""Profiles of programs as profilers write them: where samples were taken, by function; and two profiles compared.

Read are: collapsed stacks (`a;b;c 12`, as FlameGraph and `py-spy -f raw` have them), speedscope's JSON (`py-spy -f speedscope`),
and pyinstrument's JSON. Samples outside of any function are left out. Files of cProfile are refused: Python's marshal format is
not safe to read from others.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct

from actors.holm import holm
from runtime.errors import OutcomeError

BYTES_MAX = 64_000_000
STACKS_MAX = 500_000
DEPTH_MAX = 1_000
FUNCTION_CHARS_MAX = 200
SAMPLES_MIN = 100  # of each profile, before two are compared
SIGNIFICANT = 0.05
REMEDY = (
    "a profile of cProfile is in Python's marshal format, which is not safe to read from others; record with"
    " `py-spy record -f speedscope -o profile.json -- python …`, or with pyinstrument's JSON renderer"
)

MEDIA_TYPES = {
    "speedscope": "application/vnd.speedscope+json",
    "pyinstrument": "application/vnd.pyinstrument+json",
    "collapsed stacks": "text/x-collapsed-stacks",
}
"""By form, as they are stored."""

SELF = "[self]"
"""What pyinstrument calls a function's own time beside what it calls, as if it were another."""

Stack = tuple[str, ...]

_LINE = re.compile(r":\d+\)$")  # of what runs, not of the function: as py-spy has it, a function would be many


class Profile(Struct, frozen=True):
    """How much each stack (outermost first) weighs. `unit`: `samples`, which can be counted, or a unit of time, which cannot.

    `recorded`: when, in seconds since 1970, where the file says it (pyinstrument's does).
    """

    form: str
    unit: str
    stacks: dict[Stack, float]
    recorded: float | None = None

    @property
    def total(self) -> float:
        return sum(self.stacks.values())


class Function(Struct, frozen=True, kw_only=True):
    """A function's share of a profile: where it was on top, and where it was on the stack at all (counted once a stack)."""

    name: str
    own: float
    total: float
    own_share: float
    total_share: float


class Shift(Struct, frozen=True, kw_only=True):
    """A function's own share of samples in two profiles; `adjusted`: p of the two-proportion z-test, Holm over all functions.

    `low` and `high`: 95 % interval of the difference of the shares (Newcombe).
    """

    name: str
    before: float
    after: float
    low: float
    high: float
    adjusted: float


def read_profile(data: bytes) -> Profile:
    """The profile in a file, whose form is seen from its content. Raises OutcomeError that says what is wrong."""
    if len(data) > BYTES_MAX:
        raise OutcomeError(f"the profile is {len(data):,} bytes; at most {BYTES_MAX:,} are read")
    if data[:1] in (b"{", b"\xfb") and b"\0" in data[:200]:
        raise OutcomeError(REMEDY)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise OutcomeError(f"the file is no profile in text; {REMEDY}") from None
    profile = _of_json(text) if text.lstrip().startswith("{") else _collapsed(text)
    if not profile.stacks:
        raise OutcomeError("the profile holds no stacks")
    if not math.isfinite(profile.total):
        raise OutcomeError("the weights of the profile add up to no number")
    return profile


def _of_json(text: str) -> Profile:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OutcomeError(f"the file is not JSON: {error}") from error
    try:
        if "speedscope" in str(tree.get("$schema", "")):
            return _speedscope(tree)
        if "root_frame" in tree:
            return _pyinstrument(tree)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise OutcomeError(f"the file is not a profile as its form has them: {type(error).__name__} {error}") from error
    raise OutcomeError("the JSON is no profile that is known here: speedscope's or pyinstrument's")


def _collapsed(text: str) -> Profile:
    stacks: Counter[Stack] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdecimal():
            raise OutcomeError(f"line {number} is not a stack with a count (`outer;inner 12`): {line[:80]!r}")
        _put(stacks, [_LINE.sub(")", name) for name in stack.split(";")], float(count))
    return Profile("collapsed stacks", "samples", dict(stacks))


def _put(stacks: "Counter[Stack]", stack: Sequence[str], weight: float) -> None:
    if not math.isfinite(weight):
        raise OutcomeError("the profile holds a weight that is no number")
    if not stack or weight <= 0:
        return
    if len(stack) > DEPTH_MAX:
        raise OutcomeError(f"a stack is deeper than {DEPTH_MAX:,} functions")
    stacks[tuple(name.strip()[:FUNCTION_CHARS_MAX] for name in stack)] += weight  # type: ignore[assignment]  # weights may be fractions
    if len(stacks) > STACKS_MAX:
        raise OutcomeError(f"the profile holds more than {STACKS_MAX:,} different stacks")


def _speedscope(tree: Mapping[str, Any]) -> Profile:
    frames = [_frame(one) for one in tree["shared"]["frames"]]
    stacks: Counter[Stack] = Counter()
    units: set[str] = set()
    for profile in tree["profiles"]:
        if profile["type"] == "sampled":
            unit, weights = _weights(profile)
            units.add(unit)
            for sample, weight in zip(profile["samples"], weights, strict=True):
                _put(stacks, [frames[at] for at in sample], weight)
        else:
            units.add(str(profile.get("unit", "time")))
            for stack, weight in _spans(profile["events"]):
                _put(stacks, [frames[at] for at in stack], weight)
    if len(units) > 1:
        raise OutcomeError(f"the profile mixes units: {', '.join(sorted(units))}")
    return Profile("speedscope", next(iter(units), "samples"), dict(stacks))


def _weights(profile: Mapping[str, Any]) -> tuple[str, list[float]]:
    """Equal weights are one sample each, whole ones without a unit so many samples; any other are in their unit."""
    weights = [float(one) for one in profile.get("weights") or [1.0] * len(profile["samples"])]
    if len(set(weights)) <= 1:
        return "samples", [1.0] * len(weights)
    counted = profile.get("unit", "none") == "none" and all(one.is_integer() for one in weights)
    return "samples" if counted else str(profile.get("unit")), weights


def _frame(frame: Mapping[str, Any]) -> str:
    name, file = str(frame["name"]), frame.get("file")
    return f"{name} ({file})" if file and "(" not in name else _LINE.sub(")", name)


def _spans(events: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[int], float]]:
    """Between one opening or closing and the next the stack does not change."""
    stack: list[int] = []
    for event, following in pairwise(events):
        if event["type"] == "O":
            stack.append(int(event["frame"]))
        elif stack:
            stack.pop()
        weight = float(following["at"]) - float(event["at"])
        if stack and weight > 0:
            yield list(stack), weight


def _pyinstrument(tree: Mapping[str, Any]) -> Profile:
    stacks: Counter[Stack] = Counter()
    waiting: list[tuple[Mapping[str, Any], Stack]] = [(tree["root_frame"], ())]
    while waiting:
        frame, above = waiting.pop()
        file = frame.get("file_path_short") or ""
        name = str(frame["function"])
        stack = above if name == SELF else (*above, f"{name} ({file})" if file else name)
        children = frame.get("children") or []
        own = float(frame["time"]) - sum(float(child["time"]) for child in children)
        if own > 0:
            _put(stacks, stack, own)
        waiting += [(child, stack) for child in children]
    started = tree.get("start_time")
    recorded = float(started) if isinstance(started, int | float) and math.isfinite(started) else None
    return Profile("pyinstrument", "seconds", dict(stacks), recorded)


def functions(profile: Profile) -> list[Function]:
    """By own share, the largest first."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for stack, weight in profile.stacks.items():
        own[stack[-1]] += weight  # type: ignore[assignment]  # weights may be fractions
        for name in set(stack):
            total[name] += weight  # type: ignore[assignment]  # weights may be fractions
    whole = profile.total
    found = [
        Function(
            name=name, own=own[name], total=total[name], own_share=own[name] / whole, total_share=total[name] / whole
        )
        for name in total
    ]
    return sorted(found, key=lambda one: (-one.own, -one.total, one.name))


def shifts(before: Profile, after: Profile) -> list[Shift]:
    """Functions by how much their own share changed. Raises OutcomeError where samples cannot be counted, or are too few."""
    import numpy as np
    from scipy.stats import norm
    from statsmodels.stats.proportion import confint_proportions_2indep

    if before.unit != "samples" or after.unit != "samples":
        raise OutcomeError(
            "only profiles of samples can be compared with significance: time that was summed up has none"
        )
    wholes = round(before.total), round(after.total)
    if min(wholes) < SAMPLES_MIN:
        raise OutcomeError(
            f"two profiles are compared from {SAMPLES_MIN} samples each; these have {wholes[0]} and {wholes[1]}"
        )
    earlier, later = ({one.name: round(one.own) for one in functions(some)} for some in (before, after))
    names = sorted(name for name in earlier.keys() | later.keys() if earlier.get(name, 0) + later.get(name, 0) > 0)
    counts = np.array([(earlier.get(name, 0), later.get(name, 0)) for name in names], dtype=float).T
    shares = counts / np.array([wholes]).T
    # All functions at once: statsmodels' `proportions_ztest` takes one at a time, a profile may hold a hundred thousand.
    pooled = counts.sum(axis=0) / sum(wholes)
    error = np.sqrt(pooled * (1 - pooled) * (1 / wholes[0] + 1 / wholes[1]))
    z = np.divide(shares[1] - shares[0], error, out=np.zeros(len(names)), where=error > 0)  # 0: all samples of both
    adjusted = holm((2 * norm.sf(np.abs(z))).tolist())
    low, high = confint_proportions_2indep(counts[1], wholes[1], counts[0], wholes[0], method="newcomb")
    found = [
        Shift(
            name=name,
            before=float(shares[0, at]),
            after=float(shares[1, at]),
            low=float(low[at]),
            high=float(high[at]),
            adjusted=adjusted[at],
        )
        for at, name in enumerate(names)
    ]
    return sorted(found, key=lambda one: -abs(one.after - one.before))
