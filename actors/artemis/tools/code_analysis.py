"""Code analysis: what a source tree is made of, how complex it is, what is wrong in it, and where trouble is likeliest.

The figures are those of well-known analysers: lizard (complexity), ruff (lint), vulture (unused code), grimp (imports).
Ours is the order of the files: how often one changed × its complexity, after A. Tornhill, "Your Code as a Crime Scene" (2015).
Where no history is known, complexity × log of the lines × (1 + log of the importing modules) stands for it, as an estimate.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType

from actors.artemis.tools import code_findings
from actors.artemis.tools.analysers import complexity, dead_code, imports, lint, parsing
from actors.artemis.tools.analysers.complexity import Function
from actors.artemis.tools.analysers.dead_code import Dead
from actors.artemis.tools.analysers.programs import Deadline, ProgramError, Unread, unread_sentences
from actors.artemis.tools.history import History, taken_out
from actors.artemis.tools.places import Count
from actors.artemis.tools.source_tree import PROSE_AND_DATA, Refused, SourceFile, SourceTree, read_archive
from actors.tool import Fetch, tool
from contracts.grounds import Basis
from runtime.ports import Tool, ToolLimits

TOP_MAX = 10
ANALYSES = 4
"""Lint, complexity, imports, unused code."""
ATTENTION_MAX = 5
COMPLEX_FROM = 11
SECONDS_MAX = 240.0


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
    """A file that wants attention, and why: the figures of its score and what else speaks for it. `commits` None: not known."""

    path: str
    score: float
    complexity: int
    functions: int
    worst: Function
    lines: int
    imported_by: int
    lint: int
    commits: int | None = None
    added: int = 0
    deleted: int = 0


class Packages(Struct, frozen=True, kw_only=True):
    """The packages of one folder: modules, imports among them, cycles and layers (see `imports.Imports`)."""

    folder: str
    packages: tuple[str, ...]
    modules: int
    imports: int
    cycles: tuple[tuple[str, ...], ...]
    layers: tuple[tuple[str, ...], ...]


class CodeAnalysisResult(Struct, frozen=True, kw_only=True):
    """All counts are of everything that was read; lists hold the first of each kind. Shares are 0 to 1.

    `lint_hushed` counts the lint findings, among all, at a comment that asks to pass them over (`# noqa`).
    """

    findings: tuple[str, ...]
    files: int
    lines: int
    skipped: int
    languages: tuple[Language, ...]
    functions: int
    mean_complexity: float
    complex_functions: int
    most_complex: tuple[Function, ...]
    lint: tuple[Count, ...]
    dead: int
    dead_certain: tuple[Dead, ...]
    packages: tuple[Packages, ...]
    test_files: int
    test_line_share: float
    history: int | None
    attention: tuple[HotSpot, ...]
    parse_failures: tuple[Unread, ...]
    refused: tuple[Refused, ...]
    basis: Basis | UnsetType = UNSET
    lint_hushed: int = 0


def analyse(tree: SourceTree, seconds: float = SECONDS_MAX) -> CodeAnalysisResult:
    """The whole analysis; what an analyser cannot do, or not in time, is said in the findings."""
    tree, history = taken_out(tree)
    deadline, missing = Deadline(seconds), tree.passed_over
    python, failures = parsing.parsed(tree.python, deadline)
    linted, linted_not = lint.lint(python, deadline)
    missing += unread_sentences("lint (ruff)", linted_not)
    functions, counted_not = complexity.functions(tree.files, deadline)
    missing += unread_sentences("complexity (lizard)", counted_not)
    unanalysed = {one.path for one in (*failures, *linted_not, *counted_not)}
    graphs: Sequence[imports.Imports] = ()
    done = ANALYSES
    try:
        graphs = imports.imports(python, deadline)
    except ProgramError as error:
        missing.append(f"Imports could not be read (grimp): {error}.")
        done -= 1
    unused: Sequence[Dead] = ()
    try:
        unused = dead_code.dead_code(python, deadline)
    except ProgramError as error:
        missing.append(f"Unused code could not be looked for (vulture): {error}.")
        done -= 1
    languages, code = languages_of(tree.files), [file for file in tree.files if file.language not in PROSE_AND_DATA]
    tests = {file.path for file in code if file.is_test}
    code_lines = sum(map(lines_of, code))
    result = CodeAnalysisResult(
        findings=(),
        files=len(tree.files),
        lines=sum(one.lines for one in languages),
        skipped=tree.skipped,
        languages=languages,
        functions=len(functions),
        mean_complexity=statistics.fmean(one.complexity for one in functions) if functions else 0.0,
        complex_functions=sum(one.complexity >= COMPLEX_FROM for one in functions),
        most_complex=most_complex(functions),
        lint=_by_rule(linted, tests),
        dead=len(unused),
        dead_certain=tuple(sorted(unused, key=lambda one: (-one.confidence, one.path, one.line))[:TOP_MAX]),
        packages=tuple(map(_packages, graphs)),
        test_files=len(tests),
        test_line_share=sum(lines_of(file) for file in code if file.path in tests) / code_lines if code_lines else 0.0,
        history=history.commits if history else None,
        attention=_attention(code, functions, linted, imports.importers(graphs, (file.path for file in code)), history),
        parse_failures=tuple(failures),
        refused=tree.refused,
        basis=tree.basis({file.path for file in code}, unanalysed, ANALYSES, done),
        lint_hushed=sum(one.hushed for one in linted),
    )
    return code_findings.told(result, history, tree.warnings, missing)


def lines_of(file: SourceFile) -> int:
    """Lines that are not blank."""
    return sum(bool(line.strip()) for line in file.text.splitlines())


def languages_of(files: Sequence[SourceFile]) -> tuple[Language, ...]:
    """Those with the most lines first."""
    counts: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for file in files:
        counts[file.language] += 1
        lines[file.language] += lines_of(file)
    return tuple(
        Language(name, counts[name], lines[name]) for name in sorted(counts, key=lambda name: (-lines[name], name))
    )


def most_complex(functions: Sequence[Function]) -> tuple[Function, ...]:
    """The first TOP_MAX."""
    return tuple(sorted(functions, key=lambda one: (-one.complexity, one.path, one.line))[:TOP_MAX])


def _by_rule(linted: Sequence[lint.Lint], tests: set[str]) -> tuple[Count, ...]:
    rules = Counter(f"{one.code} {one.name}" for one in linted)
    inside = Counter(f"{one.code} {one.name}" for one in linted if one.path in tests)
    return tuple(
        Count(rule, count - inside[rule], inside[rule]) for rule, count in sorted(rules.items(), key=_commonest)
    )


def _commonest(one: tuple[str, int]) -> tuple[int, str]:
    return -one[1], one[0]


def _packages(found: imports.Imports) -> Packages:
    return Packages(
        folder=found.folder,
        packages=found.packages,
        modules=len(found.graph),
        imports=found.count,
        cycles=found.cycles[:TOP_MAX],
        layers=found.layers,
    )


def _attention(
    code: Sequence[SourceFile],
    functions: Sequence[Function],
    linted: Sequence[lint.Lint],
    importers: Mapping[str, int],
    history: History | None,
) -> tuple[HotSpot, ...]:
    """The files most worth attention, tests left out, by the score that the module's text names."""
    of_file: dict[str, list[Function]] = defaultdict(list)
    for one in functions:
        of_file[one.path].append(one)
    lints = Counter(one.path for one in linted)
    found = []
    for file in code:
        inside = of_file.get(file.path)
        if not inside or file.is_test:
            continue
        total, lines, imported = sum(one.complexity for one in inside), lines_of(file), importers.get(file.path, 0)
        churn = history.files.get(file.path) if history else None
        if history:
            score = float(total * (churn.commits if churn else 0))
        else:
            score = total * math.log1p(lines) * (1 + math.log1p(imported))
        found.append(
            HotSpot(
                path=file.path,
                score=round(score, 1),
                complexity=total,
                functions=len(inside),
                worst=most_complex(inside)[0],
                lines=lines,
                imported_by=imported,
                lint=lints[file.path],
                commits=(churn.commits if churn else 0) if history else None,
                added=churn.added if churn else 0,
                deleted=churn.deleted if churn else 0,
            )
        )
    return tuple(sorted(found, key=lambda spot: (-spot.score, spot.path))[:ATTENTION_MAX])


def _run(arguments: CodeAnalysisArguments, blobs: Fetch) -> CodeAnalysisResult:
    return analyse(read_archive(blobs(arguments.archive)))


CODE_ANALYSIS: Tool = tool(
    "code_analysis",
    _run,
    "Reads a stored archive of source code: which files want attention first, size, complexity, lint, unused code, imports.",
    permission="artemis:read",
    limits=ToolLimits(s_max=SECONDS_MAX + 30, memory_bytes_max=2 << 30),
)
