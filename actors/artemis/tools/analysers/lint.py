"""Lint of Python files by ruff, with rules of our own choice: what is likely to be wrong, not what is a matter of taste."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, Unread, folder_of, in_parts, run
from actors.artemis.tools.source_tree import SourceFile

RULES = ("E4", "E7", "E9", "F", "B", "PLE", "ASYNC")
"""Imports, statements and syntax (pycodestyle), Pyflakes, bugbear, Pylint's errors, blocking calls in async functions."""

OPTIONS = ("--isolated", "--no-cache", "--no-respect-gitignore", "--exit-zero", "--target-version", "py313")


class Lint(Struct, frozen=True, kw_only=True):
    """One place that breaks a rule."""

    code: str
    name: str
    path: str
    line: int


class _Place(Struct):
    row: int


class _Hit(Struct):
    filename: str
    location: _Place
    code: str | None = None
    name: str = ""


def lint(files: Sequence[SourceFile], deadline: Deadline) -> tuple[list[Lint], list[Unread]]:
    """What ruff finds, in order, and the files it could not take."""
    found, unread = in_parts(files, _checked, deadline)
    return [one for part in found for one in part], unread


def _checked(files: Sequence[SourceFile], seconds: float) -> list[Lint]:
    options = [*OPTIONS, "--select", ",".join(RULES), "--output-format", "json"]
    with folder_of(files) as folder:
        printed = run(["-m", "ruff", "check", *options, "."], folder, seconds)
        start = f"{folder.resolve()}/"
    return [
        Lint(
            code=hit.code or "invalid-syntax",
            name=hit.name or "invalid-syntax",
            path=hit.filename.removeprefix(start),
            line=hit.location.row,
        )
        for hit in msgspec.json.decode(printed, type=list[_Hit])
    ]
