"""Code analysis: what a source tree is made of, how complex it is, and where trouble is likeliest.

Hot spots are a heuristic, stated so: complexity of the file's functions times its size (log) times how many modules import it.
"""

import ast
import math
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from actors.artemis.tools import python_source
from actors.artemis.tools.python_source import Function, ParseFailure
from actors.artemis.tools.source_tree import PROSE_AND_DATA, SourceFile, SourceTree, read_archive, read_folder
from actors.tables import percent
from actors.tool import Fetch, tool
from runtime.ports import Tool

TOP_MAX = 10
COMPLEX_FROM = 11
LONG_LINES_FROM = 71

_TODO = re.compile(r"(?:#|//|/\*|--|<!--|\*)\s*.{0,80}?\b(TODO|FIXME|XXX|HACK)\b")


class CodeAnalysisArguments(Struct, frozen=True, kw_only=True):
    """`archive` is the digest of a stored zip or tar.gz of a source tree."""

    archive: str
    question: str = ""


class Language(Struct, frozen=True):
    """Files and lines (blank ones left out) of one language."""

    name: str
    files: int
    lines: int


class HotSpot(Struct, frozen=True, kw_only=True):
    """A file where change is likely to hurt: its summed complexity, lines, how many modules import it, and the score."""

    path: str
    complexity: int
    lines: int
    imported_by: int
    score: float


class CodeAnalysisResult(Struct, frozen=True, kw_only=True):
    """Shares are 0 to 1, of public functions for docstrings and of all functions for types; None where there are none."""

    findings: tuple[str, ...]
    files: int
    lines: int
    skipped: int
    languages: tuple[Language, ...]
    functions: int
    classes: int
    mean_complexity: float
    most_complex: tuple[Function, ...]
    longest: tuple[Function, ...]
    complex_functions: int
    long_functions: int
    documented_share: float | None
    annotated_share: float | None
    modules: int
    imports: int
    cycles: tuple[tuple[str, ...], ...]
    todos: int
    test_files: int
    test_line_share: float
    hot_spots: tuple[HotSpot, ...]
    parse_failures: tuple[ParseFailure, ...]


def analyse_tree(path: Path) -> CodeAnalysisResult:
    """The same analysis of a folder on this machine. Raises OutcomeError when it is no folder or breaks a limit."""
    return analyse(read_folder(path))


def analyse(tree: SourceTree) -> CodeAnalysisResult:
    """The whole analysis."""
    trees, failures = python_source.parsed(tree.python)
    measured = [
        python_source.measure(path, name, node)
        for path, root in trees.items()
        for name, node in python_source.functions(root)
    ]
    graph = python_source.import_graph(trees)
    languages = _languages(tree.files)
    code = [file for file in tree.files if file.language not in PROSE_AND_DATA]
    tests = [file for file in code if file.is_test]
    code_lines = sum(map(lines_of, code))
    public = [one for one in measured if one.public]
    result = CodeAnalysisResult(
        findings=(),
        files=len(tree.files),
        lines=sum(one.lines for one in languages),
        skipped=tree.skipped,
        languages=languages,
        functions=len(measured),
        classes=sum(isinstance(node, ast.ClassDef) for root in trees.values() for node in ast.walk(root)),
        mean_complexity=statistics.fmean(one.complexity for one in measured) if measured else 0.0,
        most_complex=tuple(sorted(measured, key=lambda one: (-one.complexity, one.path, one.line))[:TOP_MAX]),
        longest=tuple(sorted(measured, key=lambda one: (-one.lines, one.path, one.line))[:TOP_MAX]),
        complex_functions=sum(one.complexity >= COMPLEX_FROM for one in measured),
        long_functions=sum(one.lines >= LONG_LINES_FROM for one in measured),
        documented_share=sum(one.documented for one in public) / len(public) if public else None,
        annotated_share=sum(one.annotated for one in measured) / len(measured) if measured else None,
        modules=len(graph),
        imports=sum(len(targets) for targets in graph.values()),
        cycles=tuple(python_source.cycles(graph)[:TOP_MAX]),
        todos=sum(len(_TODO.findall(file.text)) for file in code),
        test_files=len(tests),
        test_line_share=sum(map(lines_of, tests)) / code_lines if code_lines else 0.0,
        hot_spots=hot_spots(tree.python, measured, graph),
        parse_failures=tuple(failures),
    )
    return _with_findings(result)


def lines_of(file: SourceFile) -> int:
    """Lines that are not blank."""
    return sum(bool(line.strip()) for line in file.text.splitlines())


def _languages(files: Sequence[SourceFile]) -> tuple[Language, ...]:
    counts: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for file in files:
        counts[file.language] += 1
        lines[file.language] += lines_of(file)
    return tuple(
        Language(name, counts[name], lines[name]) for name in sorted(counts, key=lambda name: (-lines[name], name))
    )


def hot_spots(
    files: Sequence[SourceFile], measured: Sequence[Function], graph: dict[str, set[str]]
) -> tuple[HotSpot, ...]:
    """Python files that are no tests, by the heuristic above, highest first."""
    complexity: Counter[str] = Counter()
    for one in measured:
        complexity[one.path] += one.complexity
    importers: Counter[str] = Counter(target for targets in graph.values() for target in targets)
    found = []
    for file in files:
        if not complexity[file.path] or file.is_test:
            continue
        lines = lines_of(file)
        imported_by = importers[python_source.module_name(file.path)]
        score = complexity[file.path] * math.log1p(lines) * (1 + math.log1p(imported_by))
        found.append(
            HotSpot(
                path=file.path,
                complexity=complexity[file.path],
                lines=lines,
                imported_by=imported_by,
                score=round(score, 1),
            )
        )
    return tuple(sorted(found, key=lambda spot: (-spot.score, spot.path))[:TOP_MAX])


def _with_findings(result: CodeAnalysisResult) -> CodeAnalysisResult:
    listed = ", ".join(f"{one.name} {one.lines:,} lines in {one.files:,} files" for one in result.languages[:5])
    findings = [f"{result.lines:,} lines in {result.files:,} files were read: {listed}."]
    if result.functions:
        findings += _function_findings(result)
    if result.modules:
        findings.append(f"{result.modules:,} Python modules import one another {result.imports:,} times.")
        findings += [f"Import cycle of {len(group)} modules: {', '.join(group[:8])}." for group in result.cycles[:5]]
        if not result.cycles:
            findings.append("0 import cycles were found.")
    findings += [
        f"Hot spot {spot.path}: complexity {spot.complexity} over {spot.lines:,} lines, imported by {spot.imported_by} modules."
        for spot in result.hot_spots[:5]
    ]
    findings.append(
        f"{result.test_files:,} test files hold {percent(result.test_line_share)} of the code lines;"
        f" {result.todos:,} TODO or FIXME notes were found."
    )
    findings += [f"Not parsed: {one.path} ({one.reason})." for one in result.parse_failures[:5]]
    return replace(result, findings=tuple(findings))


def _function_findings(result: CodeAnalysisResult) -> list[str]:
    findings = [
        f"{result.functions:,} Python functions and {result.classes:,} classes; mean cyclomatic complexity"
        f" {result.mean_complexity:.1f}; {result.complex_functions:,} functions are at {COMPLEX_FROM} or more and"
        f" {result.long_functions:,} are longer than {LONG_LINES_FROM - 1} lines."
    ]
    findings += [
        f"Complexity {one.complexity}: {one.name} in {one.path}:{one.line} ({one.lines} lines)."
        for one in result.most_complex[:5]
        if one.complexity > 1
    ]
    longest = result.longest[0]
    findings.append(
        f"The longest function is {longest.name} with {longest.lines} lines ({longest.path}:{longest.line})."
    )
    if result.documented_share is not None:
        findings.append(f"{percent(result.documented_share)} of the public functions have a docstring.")
    if result.annotated_share is not None:
        findings.append(f"{percent(result.annotated_share)} of the functions are fully annotated with types.")
    return findings


def _run(arguments: CodeAnalysisArguments, blobs: Fetch) -> CodeAnalysisResult:
    return analyse(read_archive(blobs(arguments.archive)))


CODE_ANALYSIS: Tool = tool(
    "code_analysis",
    _run,
    "Reads a stored archive of source code: languages, size, modules, dependencies, the most complex places.",
    permission="artemis:read",
)
