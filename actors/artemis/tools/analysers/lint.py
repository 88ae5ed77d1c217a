"""Lint of Python files by ruff, with rules of our own choice: what is likely to be wrong, not what is a matter of taste."""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, Unread, folder_of, in_parts, run
from actors.artemis.tools.source_tree import SourceFile

RULES = ("E4", "E7", "E9", "F", "B", "PLE", "ASYNC")
"""Imports, statements and syntax (pycodestyle), Pyflakes, bugbear, Pylint's errors, blocking calls in async functions."""

OPTIONS = (
    "--isolated",
    "--no-cache",
    "--no-respect-gitignore",
    "--ignore-noqa",
    "--exit-zero",
    "--target-version",
    "py313",
    "--config",
    "exclude = []",
)
"""Nothing of the tree decides what is looked at: no configuration, no comment (`# noqa`), no folder by its name."""

_NOQA = re.compile(r"# noqa\b|# ruff: ?noqa\b", re.IGNORECASE)


class Lint(Struct, frozen=True, kw_only=True):
    """One place that breaks a rule; `hushed` where a comment in the place's lines asks to pass it over (`# noqa`)."""

    code: str
    name: str
    path: str
    line: int
    hushed: bool = False


class _Place(Struct):
    row: int


class _Hit(Struct):
    filename: str
    location: _Place
    end_location: _Place
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
    lines = {file.path: file.text.split("\n") for file in files}
    return [
        Lint(
            code=hit.code or "invalid-syntax",
            name=hit.name or "invalid-syntax",
            path=hit.filename.removeprefix(start),
            line=hit.location.row,
            hushed=_hushed(lines.get(hit.filename.removeprefix(start), ()), hit),
        )
        for hit in msgspec.json.decode(printed, type=list[_Hit])
    ]


def _hushed(lines: Sequence[str], hit: _Hit) -> bool:
    return any(_NOQA.search(line) for line in lines[hit.location.row - 1 : hit.end_location.row])
