"""Cyclomatic complexity of functions in the languages that lizard reads (T. Yin, "lizard"; McCabe's measure of 1976)."""

import csv
import io
from collections.abc import Sequence

from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, Unread, folder_of, in_parts, run
from actors.artemis.tools.source_tree import PROSE_AND_DATA, SourceFile

FIELDS = 11


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
        printed = run(["-m", "lizard", "--csv", "-i", "-1", "."], folder, seconds)
    rows = csv.reader(io.StringIO(printed.decode(errors="replace")))
    return [
        Function(
            name=row[7], path=row[6].removeprefix("./"), line=int(row[9]), lines=int(row[4]), complexity=int(row[1])
        )
        for row in rows
        if len(row) == FIELDS
    ]
