"""The sentences of a security scan: how much of what, the worst places, and what was not looked at."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.artemis.tools.analysers.advisories import Vulnerable
from actors.artemis.tools.analysers.dependencies import Dependency
from actors.artemis.tools.analysers.misconfiguration import KINDS, kind_of
from actors.artemis.tools.places import PLACES_MAX, SEVERITIES, Place, Severity
from actors.artemis.tools.source_tree import PROSE_AND_DATA, SourceFile
from runtime.text import clip

if TYPE_CHECKING:
    from actors.artemis.tools.security import SecurityResult

WORST_MAX = 10  # of each severity
RULES_MAX = 8
FIRST_MAX = 3
UNLOCKED_MAX = 5  # files that are listed
NAMED_MAX = 20  # bad dependencies that are listed
SAME_RULE_MAX = 3


def told(
    result: "SecurityResult", found: Sequence[Place], warnings: Sequence[str], missing: Sequence[str]
) -> "SecurityResult":
    """The result with its findings; `warnings` are what is wrong with the archive, `missing` what was not done."""
    findings = [*warnings, *_total(result, found), *_first(result), *missing, *_worst(result.places)]
    findings += [*_rules(result), *_dependencies(result)]
    findings += [
        f"Not parsed, so not scanned for weak code: {one.path} ({one.reason})." for one in result.parse_failures[:5]
    ]
    return replace(result, findings=tuple(findings))


def scope(files: Sequence[SourceFile], named: Sequence[Dependency], passed: Sequence[str]) -> list[str]:
    """What kinds of files were looked at for what, so that nobody takes for clean what was not read."""
    kinds = Counter(kind for file in files if (kind := kind_of(file)))
    looked = ", ".join(f"{kinds[kind]:,} {kind}{'' if kinds[kind] == 1 else 's'}" for kind in KINDS)
    other = Counter(file.language for file in files if file.language not in PROSE_AND_DATA | {"Python", "HTML", "CSS"})
    listed = ", ".join(f"{count:,} {name} file{'' if count == 1 else 's'}" for name, count in other.most_common())
    rest = (
        f"; weak code, SQL injection among it, is looked for in Python only: {listed} {'was' if other.total() == 1 else 'were'}"
        " searched for secrets only"
        if other
        else ""
    )
    unsearched = (
        f"; {len(passed):,} lock files, style sheets and drawings, full of random text, were searched for no secrets, such as"
        f" {', '.join(passed[:3])}"
        if passed
        else ""
    )
    lines = [f"Misconfiguration was looked for in {looked}{rest}{unsearched}."]
    unlocked = Counter(one.path for one in named if not one.version)
    if unlocked:
        most = ", ".join(
            f"{path}: {count:,} dependenc{'y' if count == 1 else 'ies'}"
            for path, count in unlocked.most_common(UNLOCKED_MAX)
        )
        more = f", and {len(unlocked) - UNLOCKED_MAX:,} more files" if len(unlocked) > UNLOCKED_MAX else ""
        lines.append(
            f"Not judged, for neither the file nor a lock file beside or above it gives an exact version: {most}{more}."
        )
    return lines


def _total(result: "SecurityResult", found: Sequence[Place]) -> list[str]:
    own = Counter(place.severity for place in found if not place.in_test)
    listed = ", ".join(f"{own[severity]:,} {severity}" for severity in SEVERITIES)
    inside = sum(place.in_test for place in found)
    more = f"; the first {PLACES_MAX} are listed" if len(found) > PLACES_MAX else ""
    hushed = (
        f" {result.suppressed:,} of all these have a comment that asks to pass them over (# nosec, pragma: allowlist secret);"
        " no comment of a tree does."
        if result.suppressed
        else ""
    )
    return [
        f"{own.total():,} possible security problems outside tests in the {result.files:,} files of the code: {listed};"
        f" {inside:,} more in tests{more}.{hushed}"
    ]


def _worst(places: Sequence[Place]) -> list[str]:
    """By severity the first places outside tests; each rule's first before its second, so that one loud rule hides no other."""
    lines: list[str] = []
    for severity in SEVERITIES:
        seen: Counter[str] = Counter()
        turns: list[tuple[int, Place]] = []
        for place in places:
            if not place.in_test and place.severity == severity:
                turns.append((seen[place.rule], place))
                seen[place.rule] += 1
        first = [place for turn, place in sorted(turns, key=lambda one: one[0]) if turn < SAME_RULE_MAX][:WORST_MAX]
        if first:
            told = "; ".join(f"{one.message}, at {one.path}:{one.line} ({one.rule})" for one in first)
            lines.append(f"Severity {severity}, {len(first):,} of {len(turns):,} listed: {told}.")
    return lines


def _first(result: "SecurityResult") -> list[str]:
    """What to do about the worst places outside tests, each rule's first: secrets, then dependencies, before others."""
    first: dict[str, Place] = {}
    for place in result.places:
        if not place.in_test and place.severity != "low":
            first.setdefault(place.rule, place)
    known = {bad.advisory for bad in result.compared.vulnerable} if result.compared else set()
    worst = sorted(
        first.values(),
        key=lambda one: (SEVERITIES.index(one.severity), not one.rule.startswith("secret"), one.rule not in known),
    )
    listed = "; ".join(f"{at}. {_step(one, result)}" for at, one in enumerate(worst[:FIRST_MAX], start=1))
    return [f"Fix first: {listed}."] if listed else []


def _step(place: Place, result: "SecurityResult") -> str:
    where = f"{place.path}:{place.line}"
    if place.rule.startswith("secret"):
        return f"take what is written out at {where} out of the code, and make it invalid where it is real"
    for bad in result.compared.vulnerable if result.compared else ():
        if bad.advisory == place.rule and bad.dependency.path == place.path:
            to = f"to {bad.fixed}" if bad.fixed else "or replace it, for no later version is named as fixed"
            return f"raise {bad.dependency.name} in {place.path} {to}"
    return f"look at {where} ({place.rule})"


def _rules(result: "SecurityResult") -> list[str]:
    listed = ", ".join(f"{one.places:,} × {one.name}" for one in result.by_rule[:RULES_MAX] if one.places)
    return [f"By rule outside tests: {listed}."] if listed else []


def _dependencies(result: "SecurityResult") -> list[str]:
    if not result.dependencies:
        return ["0 dependencies are named in files that are read for them."]
    if result.compared is None:
        return [
            f"{result.dependencies:,} dependencies were read; whether any is known to be vulnerable was not looked at: they were"
            " compared with no advisories, for no database is given (`diarchy import --source` takes one in the OSV format)."
        ]
    one = result.compared
    lines = [
        f"{len({bad.dependency for bad in one.vulnerable}):,} of {result.dependencies:,} dependencies have known weaknesses, by"
        f" {one.records:,} advisories of which the newest is of {one.newest or 'an unknown day'}; {one.open:,} name no exact"
        f" version, so these were not compared, and {one.strange:,} one that cannot be put in order."
    ]
    if one.vulnerable:
        lines.append(_named(one.vulnerable))
    if one.uncovered:
        listed = ", ".join(f"{name} ({count:,} dependencies)" for name, count in sorted(one.uncovered.items()))
        lines.append(f"Not judged: the database holds no advisories of {listed}.")
    if one.unjudged_all:
        listed = "; ".join(
            f"{open_.dependency.name} {clip(open_.dependency.version, 50)} in {open_.dependency.path} by {open_.advisory}"
            f" ({open_.reason})"
            for open_ in one.unjudged[:WORST_MAX]
        )
        told = f", of which {WORST_MAX} are listed" if one.unjudged_all > WORST_MAX else ""
        lines.append(
            f"Not judged, so not known to be safe: {one.unjudged_all:,} pairs of a dependency and an advisory that names"
            f" it{told}: {listed}."
        )
    return lines


def _named(vulnerable: Sequence[Vulnerable]) -> str:
    """Every dependency once, by the worst of its weaknesses."""
    worst: dict[Dependency, Severity] = {}
    for one in sorted(vulnerable, key=lambda one: SEVERITIES.index(one.severity)):
        worst.setdefault(one.dependency, one.severity)
    listed = "; ".join(f"{one.name} {one.version} in {one.path} ({worst[one]})" for one in list(worst)[:NAMED_MAX])
    more = f"; {len(worst) - NAMED_MAX:,} more" if len(worst) > NAMED_MAX else ""
    return f"Dependencies with known weaknesses: {listed}{more}."
