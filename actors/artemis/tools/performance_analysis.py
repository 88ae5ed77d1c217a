"""Performance analysis: shapes in Python code that are known to be slow, each with its file and line.

Reading code shows where time can go, not where it does go: the findings are candidates to measure.
"""

import ast
from collections.abc import Iterator, Sequence

from msgspec import Struct

from actors.artemis.tools import python_source
from actors.artemis.tools.places import Count, Place, Severity, code_at, counts, ordered, sentences_of
from actors.artemis.tools.python_source import FunctionNode, ParseFailure
from actors.artemis.tools.source_tree import SourceFile, SourceTree, read_archive
from actors.tool import Fetch, tool
from runtime.ports import Tool

Loop = ast.For | ast.AsyncFor | ast.While
Hit = tuple[str, Severity, int, str]

_BLOCKING = frozenset(
    {
        "time.sleep",
        "urllib.request.urlopen",
        "subprocess.run",
        "subprocess.call",
        "subprocess.check_call",
        "subprocess.check_output",
        "os.system",
        "socket.create_connection",
        "sqlite3.connect",
        "psycopg2.connect",
        "smtplib.SMTP",
    }
)
_BLOCKING_MODULES = ("requests",)
_HTTP_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "request"})
_QUERIES = frozenset(
    {"execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchone", "query", "scalar", "scalars"}
)


class PerformanceAnalysisArguments(Struct, frozen=True, kw_only=True):
    """`archive` is the digest of a stored zip or tar.gz of a source tree."""

    archive: str
    question: str = ""


class PerformanceAnalysisResult(Struct, frozen=True, kw_only=True):
    """The places, worst first, with counts by severity and rule."""

    findings: tuple[str, ...]
    files: int
    functions: int
    places: tuple[Place, ...]
    by_severity: tuple[Count, ...]
    by_rule: tuple[Count, ...]
    parse_failures: tuple[ParseFailure, ...]


def scan(tree: SourceTree) -> PerformanceAnalysisResult:
    """The whole scan of the Python files."""
    trees, failures = python_source.parsed(tree.python)
    found: list[Place] = []
    count = 0
    for file in tree.python:
        if file.path not in trees:
            continue
        root = trees[file.path]
        known, lines = python_source.aliases(root), file.text.splitlines()
        scopes = [node for _, node in python_source.functions(root)]
        count += len(scopes)
        for scope in (root, *scopes):
            found.extend(_places(file, lines, scope, known))
    places = ordered(found)
    findings = sentences_of(places, "places that may be slow", len(tree.python))
    findings += [f"Not scanned: {one.path} ({one.reason})." for one in failures[:5]]
    return PerformanceAnalysisResult(
        findings=tuple(findings),
        files=len(tree.python),
        functions=count,
        places=places,
        by_severity=counts(places, "severity"),
        by_rule=counts(places, "rule"),
        parse_failures=tuple(failures),
    )


def _places(
    file: SourceFile, lines: Sequence[str], scope: FunctionNode | ast.Module, known: dict[str, str]
) -> Iterator[Place]:
    hits = [*in_loops(scope, known), *(blocking(scope, known) if isinstance(scope, ast.AsyncFunctionDef) else ())]
    for rule, severity, line, message in hits:
        yield Place(
            rule=rule,
            severity=severity,
            path=file.path,
            line=line,
            code=code_at(lines, line),
            message=message,
            in_test=file.is_test,
        )


def blocking(scope: ast.AsyncFunctionDef, known: dict[str, str]) -> Iterator[Hit]:
    """Calls that stop the event loop, inside an async function."""
    for node in python_source.walk_scope(scope):
        if isinstance(node, ast.Call):
            name = python_source.dotted(node.func, known)
            if name in _BLOCKING or _blocking_http(name):
                yield (
                    "blocking call in async",
                    "high",
                    node.lineno,
                    f"{name} stops the event loop inside async {scope.name}",
                )
            elif name == "open":
                yield (
                    "file access in async",
                    "low",
                    node.lineno,
                    f"open blocks the event loop inside async {scope.name}",
                )


def _blocking_http(name: str) -> bool:
    module, _, verb = name.rpartition(".")
    return module in _BLOCKING_MODULES and verb in _HTTP_VERBS


def in_loops(scope: FunctionNode | ast.Module, known: dict[str, str]) -> Iterator[Hit]:
    """What loops of this scope do over and over. Nested functions count for themselves."""
    texts = _text_names(scope)
    lists = _list_names(scope)
    stack: list[tuple[ast.AST, int]] = [(scope, 0)]
    while stack:
        node, depth = stack.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, FunctionNode | ast.ClassDef | ast.Lambda):
                continue
            inner = depth + isinstance(child, Loop)
            if isinstance(child, Loop) and inner >= 2:
                severity: Severity = "medium" if inner >= 3 else "low"
                yield "nested loops", severity, child.lineno, f"loops are nested {inner} deep"
            if depth:
                yield from _repeated(child, known, texts, lists)
            stack.append((child, inner))


def _repeated(node: ast.AST, known: dict[str, str], texts: frozenset[str], lists: frozenset[str]) -> Iterator[Hit]:
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and _is_text(node, texts):
        yield (
            "text concatenation in a loop",
            "medium",
            node.lineno,
            "a text grows by += in a loop (join a list instead)",
        )
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        held = node.comparators[0]
        if isinstance(held, ast.Name) and held.id in lists:
            yield (
                "list search in a loop",
                "medium",
                node.lineno,
                f"the list {held.id} is searched in a loop (use a set)",
            )
    if isinstance(node, ast.Call):
        yield from _repeated_call(node, known)


def _repeated_call(node: ast.Call, known: dict[str, str]) -> Iterator[Hit]:
    name = python_source.dotted(node.func, known)
    last = name.rpartition(".")[2]
    if last in _QUERIES and "." in name:
        yield "query in a loop", "high", node.lineno, f"a query ({last}) runs once a turn of a loop"
    elif _blocking_http(name) or (name.partition(".")[0] == "httpx" and last in _HTTP_VERBS):
        yield "request in a loop", "high", node.lineno, f"an HTTP request ({name}) runs once a turn of a loop"
    elif name == "re.compile":
        yield "pattern compiled in a loop", "low", node.lineno, "a regular expression is compiled once a turn of a loop"
    elif last == "iterrows":
        yield "row by row", "medium", node.lineno, "a data frame is walked row by row"
    elif last == "insert" and len(node.args) == 2 and _zero(node.args[0]):
        yield "front of a list", "medium", node.lineno, "a list is filled from the front in a loop (use a deque)"
    elif last == "pop" and len(node.args) == 1 and _zero(node.args[0]):
        yield "front of a list", "medium", node.lineno, "a list is emptied from the front in a loop (use a deque)"
    elif name == "copy.deepcopy":
        yield "deep copy in a loop", "medium", node.lineno, "a deep copy is made once a turn of a loop"


def _zero(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0 and node.value is not False


def _is_text(node: ast.AugAssign, texts: frozenset[str]) -> bool:
    written = isinstance(node.value, ast.JoinedStr) or (
        isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )
    return written or (isinstance(node.target, ast.Name) and node.target.id in texts)


def _text_names(scope: ast.AST) -> frozenset[str]:
    return frozenset(
        target.id
        for node in python_source.walk_scope(scope)
        if isinstance(node, ast.Assign)
        and (
            isinstance(node.value, ast.JoinedStr)
            or (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str))
        )
        for target in node.targets
        if isinstance(target, ast.Name)
    )


def _list_names(scope: ast.AST) -> frozenset[str]:
    """Names that hold a list built here, and nothing else."""
    lists: set[str] = set()
    others: set[str] = set()
    for node in python_source.walk_scope(scope):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            kind = lists if isinstance(node.value, ast.List | ast.ListComp) else others
            kind.update(target.id for target in targets if isinstance(target, ast.Name))
    return frozenset(lists - others)


def _run(arguments: PerformanceAnalysisArguments, blobs: Fetch) -> PerformanceAnalysisResult:
    return scan(read_archive(blobs(arguments.archive)))


PERFORMANCE_ANALYSIS: Tool = tool(
    "performance_analysis",
    _run,
    "Reads a stored archive of source code: places that are slow by construction, by file and line.",
    permission="artemis:read",
)
