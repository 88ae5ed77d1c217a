"""Cyclomatic complexity of functions in the languages that lizard reads (T. Yin, "lizard"; McCabe's measure of 1976)."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, Unread, folder_of, in_parts, run
from actors.artemis.tools.source_tree import PROSE_AND_DATA, SourceFile

_PROGRAM = str(Path(__file__).with_name("lizard_program.py"))


class Function(Struct, frozen=True, kw_only=True):
    """A function as lizard sees it: where it begins, its length in lines and its complexity."""

    name: str
    path: str
    line: int
    lines: int
    complexity: int


def functions(files: Sequence[SourceFile], deadline: Deadline) -> tuple[list[Function], list[Unread]]:
    """All functions of the files that are code, and the files lizard could not take."""
    code = [file for file in files if file.language not in PROSE_AND_DATA]
    found, unread = in_parts(code, _measured, deadline)
    return [function for part in found for function in part], unread


def _measured(files: Sequence[SourceFile], seconds: float) -> list[Function]:
    with folder_of(files) as folder:
        printed = run([_PROGRAM], folder, seconds)
    return [
        Function(name=name, path=path, line=line, lines=lines, complexity=complexity)
        for path, found in msgspec.json.decode(printed, type=dict[str, list[tuple[str, int, int, int]]]).items()
        for name, line, lines, complexity in found
    ]
