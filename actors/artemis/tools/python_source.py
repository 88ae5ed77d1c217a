"""Python files as syntax trees: parsed without failing, names resolved through their imports, complexity, import graph."""

import ast
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from msgspec import Struct

from actors.artemis.tools.source_tree import SourceFile

PARSE_ATTEMPTS_MAX = 3
_PARSING = (
    threading.Lock()
)  # Tools run in threads; the warning filters, and in CPython 3.11 the parser's depth, are shared.

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class ParseFailure(Struct, frozen=True):
    """A Python file that could not be parsed, and why."""

    path: str
    reason: str


class Function(Struct, frozen=True, kw_only=True):
    """A function's place, length in lines, cyclomatic complexity, and whether it is documented and fully annotated."""

    name: str
    path: str
    line: int
    lines: int
    complexity: int
    public: bool
    documented: bool
    annotated: bool


def parse(file: SourceFile) -> ast.Module | ParseFailure:
    """The module's tree, or why there is none. Never raises: source from outside may be anything."""
    for _ in range(PARSE_ATTEMPTS_MAX):
        try:
            with _PARSING, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # A scanned file's odd escapes are its own business.
                return ast.parse(file.text)
        except SyntaxError as error:
            return ParseFailure(file.path, f"line {error.lineno}: {error.msg}")
        except (ValueError, RecursionError, MemoryError) as error:
            return ParseFailure(file.path, str(error) or type(error).__name__)
        except SystemError:
            continue  # A parse elsewhere came between and spoilt the depth count: to be repeated.
    return ParseFailure(file.path, "the interpreter could not build its syntax tree")


def walk_scope(root: ast.AST) -> Iterator[ast.AST]:
    """The nodes under `root` in source order, not entering nested functions and classes (they are yielded themselves)."""
    stack = list(reversed(list(ast.iter_child_nodes(root))))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, FunctionNode | ast.ClassDef | ast.Lambda):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))


def functions(tree: ast.Module) -> Iterator[tuple[str, FunctionNode]]:
    """Every function with its dotted name (`Class.method`, `outer.inner`), in source order."""
    stack: list[tuple[str, ast.AST]] = [("", tree)]
    while stack:
        prefix, node = stack.pop()
        inner: list[tuple[str, ast.AST]] = []
        for child in ast.iter_child_nodes(node):
            if isinstance(child, FunctionNode | ast.ClassDef):
                name = f"{prefix}{child.name}"
                if isinstance(child, FunctionNode):
                    yield name, child
                inner.append((f"{name}.", child))
            else:
                inner.append((prefix, child))
        stack.extend(reversed(inner))


def complexity(function: ast.AST) -> int:
    """Cyclomatic complexity (T. J. McCabe, 1976, "A complexity measure"): decisions plus one.

    Counted: if/elif, for, while, except, conditional expressions, each further operand of and/or, loops and conditions of
    comprehensions, match cases but the catch-all. Nested functions count for themselves.
    """
    total = 1
    for node in walk_scope(function):
        if isinstance(node, ast.If | ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler | ast.IfExp):
            total += 1
        elif isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            total += 1 + len(node.ifs)
        elif isinstance(node, ast.match_case):
            total += not (isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None)
    return total


def measure(path: str, name: str, node: FunctionNode) -> Function:
    """The figures of one function."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    if "." in name and arguments and arguments[0].arg in ("self", "cls"):
        arguments = arguments[1:]
    return Function(
        name=name,
        path=path,
        line=node.lineno,
        lines=(node.end_lineno or node.lineno) - node.lineno + 1,
        complexity=complexity(node),
        public=not any(part.startswith("_") for part in name.split(".")),
        documented=ast.get_docstring(node, clean=False) is not None,
        annotated=node.returns is not None and all(argument.annotation is not None for argument in arguments),
    )


def aliases(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: `sp` → `subprocess`, `md5` → `hashlib.md5`."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                found[one.asname or one.name.split(".")[0]] = one.name if one.asname else one.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for one in node.names:
                found[one.asname or one.name] = f"{node.module}.{one.name}"
    return found


def dotted(node: ast.AST, known: dict[str, str]) -> str:
    """The full dotted name of a name or attribute through the file's imports; the unknown start of one is `?`."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(known.get(node.id, node.id) if isinstance(node, ast.Name) else "?")
    return ".".join(reversed(parts))


def module_name(path: str) -> str:
    """The dotted module name a path would be imported by; a leading `src` folder is not part of it."""
    pure = PurePosixPath(path)
    parts = [*(part.replace(".", "_") for part in pure.parts[:-1]), pure.stem]  # `project-1.2` is one part.
    if parts[0] in ("src", "lib") and len(parts) > 1:
        parts = parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def import_graph(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Which module of the tree imports which other when it is loaded.

    Imports inside functions and under `if TYPE_CHECKING` are left out (they run later or never), and so is the implied
    loading of parent packages. One folder around everything (`project-1.2/pkg/a.py`) is not part of the names.
    """
    paths = {module_name(path): path for path in trees}
    tops = {name.partition(".")[0] for name in paths}
    wrapped = len(tops) == 1 and tops.isdisjoint(paths)
    importable = {name: name for name in paths}
    if wrapped:
        shorter = {name.partition(".")[2]: name for name in paths}
        importable = {
            short: name for short, name in shorter.items() if short not in sys.stdlib_module_names
        } | importable
    graph: dict[str, set[str]] = {}
    for name, path in paths.items():
        package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
        targets = {importable.get(target, name) for target in _imported(trees[path], package, set(importable))}
        graph[name] = targets - {name}
    return graph


def _imported(tree: ast.Module, package: str, known: set[str]) -> Iterator[str]:
    stack: list[ast.AST] = [tree]
    while stack:
        for node in ast.iter_child_nodes(stack.pop()):
            if isinstance(node, FunctionNode | ast.Lambda):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                stack.extend(node.orelse)
            elif isinstance(node, ast.Import):
                yield from (one.name for one in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(node, package)
                for one in node.names:
                    whole = f"{base}.{one.name}" if base else one.name
                    yield whole if whole in known else base
            else:
                stack.append(node)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    base = parts[: max(0, len(parts) - node.level + 1)]
    return ".".join([*base, *([node.module] if node.module else [])])


def cycles(graph: dict[str, set[str]]) -> list[tuple[str, ...]]:
    """The groups of modules that import one another, largest first (strongly connected components: Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    found: list[tuple[str, ...]] = []
    for start in sorted(graph):
        if start in index:
            continue
        work: list[tuple[str, list[str]]] = [(start, sorted(graph[start]))]
        index[start] = low[start] = len(index)
        path.append(start)
        on_path.add(start)
        while work:
            node, targets = work[-1]
            if targets:
                target = targets.pop(0)
                if target not in index:
                    index[target] = low[target] = len(index)
                    path.append(target)
                    on_path.add(target)
                    work.append((target, sorted(graph.get(target, ()))))
                elif target in on_path:
                    low[node] = min(low[node], index[target])
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])
            if low[node] == index[node]:
                group = _popped(path, on_path, node)
                if len(group) > 1:
                    found.append(tuple(sorted(group)))
    return sorted(found, key=lambda group: (-len(group), group))


def _popped(path: list[str], on_path: set[str], node: str) -> list[str]:
    group: list[str] = []
    while True:
        last = path.pop()
        on_path.discard(last)
        group.append(last)
        if last == node:
            return group


def parsed(files: Sequence[SourceFile]) -> tuple[dict[str, ast.Module], list[ParseFailure]]:
    """The trees by path, and the files that are not valid Python of this version."""
    trees: dict[str, ast.Module] = {}
    failures: list[ParseFailure] = []
    for file in files:
        result = parse(file)
        if isinstance(result, ParseFailure):
            failures.append(result)
        else:
            trees[file.path] = result
    return trees, failures
