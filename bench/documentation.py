"""Real English that every Python has: the documentation strings of its standard library, as documents with names."""

import ast
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
REST_CHARS_MIN = 150


class Documented(Struct, frozen=True):
    """A function or class: its name, the first sentence about it and the rest."""

    name: str
    first: str
    rest: str


def documented(count: int) -> list[Documented]:
    """A sample, always the same for one Python version; no name and no sentence twice."""
    found: dict[str, Documented] = {}
    for one in _all():
        found.setdefault(one.first, one)
    unique = list({one.name: one for one in found.values()}.values())
    random.Random(1).shuffle(unique)  # noqa: S311 - a sample
    return unique[:count]


def _all() -> Iterator[Documented]:
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("**/*.py")):
        if {"test", "tests", "site-packages"} & set(file.parts):
            continue
        try:
            tree = ast.parse(file.read_text())
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, NAMED) and (text := ast.get_docstring(node)):
                first, _, rest = text.partition("\n\n")
                first = " ".join(first.split())
                if 20 < len(first) < 200 and len(rest) >= REST_CHARS_MIN:
                    yield Documented(f"{file.stem}.{node.name}", first, rest.strip())
