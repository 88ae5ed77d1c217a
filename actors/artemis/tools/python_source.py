"""Python files as syntax trees: parsed without failing, names resolved through their imports."""

import ast
import threading
import warnings
from collections.abc import Iterator, Sequence

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
