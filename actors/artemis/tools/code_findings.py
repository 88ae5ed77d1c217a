"""The sentences of a code analysis: which files want attention first, then what the tree is made of, with every figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.artemis.tools.history import History
from actors.tables import percent

if TYPE_CHECKING:
    from actors.artemis.tools.code_analysis import CodeAnalysisResult, HotSpot, Packages

LISTED_MAX = 5


def told(
    result: "CodeAnalysisResult", history: History | None, warnings: Sequence[str], missing: Sequence[str]
) -> "CodeAnalysisResult":
    """The result with its findings; `warnings` are what is wrong with the archive, `missing` what could not be analysed."""
    findings = [*warnings, *_attention(result.attention, history), *_size(result), *_functions(result)]
    findings += [sentence for one in result.packages for sentence in _packages(one)]
    findings += [*_lint(result), *_dead(result), *missing]
    findings += [f"Not parsed: {one.path} ({one.reason})." for one in result.parse_failures[:LISTED_MAX]]
    if len(result.parse_failures) > LISTED_MAX:
        findings.append(f"{len(result.parse_failures):,} Python files in all were not parsed.")
    return replace(result, findings=tuple(findings))


def _attention(spots: "Sequence[HotSpot]", history: History | None) -> list[str]:
    if not spots:
        return ["No file of the code has functions that were read, so none needs attention first."]
    if history:
        how = f"changes × complexity over the last {history.commits:,} commits ({history.since} to {history.until})"
    else:
        how = "complexity × log of lines × (1 + log of importing modules), an estimate: no history of changes is known"
    listed = "; ".join(f"{at}. {spot.path}: {_why(spot)}" for at, spot in enumerate(spots, start=1))
    return [f"{_of(len(spots), 'file')} of the code {_need(len(spots))} attention first, by {how}: {listed}."]


def _need(count: int) -> str:
    return "needs" if count == 1 else "need"


def _why(spot: "HotSpot") -> str:
    parts = []
    if spot.commits is not None:
        parts.append(f"changed in {_of(spot.commits, 'commit')} (+{spot.added:,} −{spot.deleted:,} lines)")
    worst = spot.worst
    parts.append(
        f"complexity {spot.complexity:,} in {_of(spot.functions, 'function')}, most in {worst.name} ({worst.complexity},"
        f" line {worst.line})"
    )
    parts.append(f"{_of(spot.lines, 'line')}")
    if spot.imported_by:
        parts.append(f"imported by {_of(spot.imported_by, 'module')}")
    if spot.lint:
        parts.append(f"{_of(spot.lint, 'lint finding')}")
    return ", ".join(parts)


def _of(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _size(result: "CodeAnalysisResult") -> list[str]:
    listed = ", ".join(
        f"{one.name} {_of(one.lines, 'line')} in {_of(one.files, 'file')}" for one in result.languages[:5]
    )
    return [
        f"{result.lines:,} lines in {_of(result.files, 'file')} were read: {listed}.",
        f"{_of(result.test_files, 'test file')} with {percent(result.test_line_share)} of the code's lines.",
    ]


def _functions(result: "CodeAnalysisResult") -> list[str]:
    if not result.functions:
        return []
    findings = [
        f"{_of(result.functions, 'function')} with a mean cyclomatic complexity of {result.mean_complexity:.1f};"
        f" {result.complex_functions:,} of them at 11 or more (lizard)."
    ]
    told = {(spot.path, spot.worst.line) for spot in result.attention}
    more = [one for one in result.most_complex if one.complexity > 1 and (one.path, one.line) not in told]
    return findings + [
        f"Complexity {one.complexity:,}: {one.name} in {one.path}:{one.line} ({_of(one.lines, 'line')})."
        for one in more[:LISTED_MAX]
    ]


def _packages(one: "Packages") -> list[str]:
    where = ", ".join(one.packages[:LISTED_MAX]) + (" …" if len(one.packages) > LISTED_MAX else "")
    findings = [
        f"{_of(one.modules, 'module')} of {where} import one another {one.imports:,} times;"
        f" {_of(len(one.cycles), 'import cycle') if one.cycles else '0 import cycles'} (grimp)."
    ]
    findings += [
        f"Import cycle of {_of(len(group), 'module')}: {', '.join(group[:6])}{' …' if len(group) > 6 else ''}."
        for group in one.cycles[:3]
    ]
    if len(one.layers) > 1:
        shown = [
            " | ".join(layer[:4]) + (f" | {len(layer) - 4} more" if len(layer) > 4 else "") for layer in one.layers
        ]
        findings.append(f"{len(one.layers)} layers, from the top: {' → '.join(shown[:8])}.")
    return findings


def _lint(result: "CodeAnalysisResult") -> list[str]:
    total = sum(one.places + one.in_tests for one in result.lint)
    if not total:
        return ["0 lint findings (ruff)."] if any(one.name == "Python" for one in result.languages) else []
    listed = ", ".join(f"{one.places + one.in_tests:,} × {one.name}" for one in result.lint[:6])
    inside = sum(one.in_tests for one in result.lint)
    hushed = f", {result.lint_hushed:,} at a comment that asks to pass them over" if result.lint_hushed else ""
    return [f"{_of(total, 'lint finding')}, {inside:,} of them in tests{hushed}: {listed} (ruff)."]


def _dead(result: "CodeAnalysisResult") -> list[str]:
    if not result.dead:
        return []
    certain = [one for one in result.dead_certain if one.confidence >= 90]
    findings = [
        f"{result.dead:,} names or places that nothing in the tree seems to use (vulture; by name, so not proof)."
    ]
    findings += [f"{one.confidence} % sure: {one.what} at {one.path}:{one.line}." for one in certain[:LISTED_MAX]]
    return findings
