"""Secrets left in files, by detect-secrets. A secret, and even its hash, goes no further than this module."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, Unread, folder_of, in_parts, run
from actors.artemis.tools.source_tree import SourceFile

_PROGRAM = str(Path(__file__).with_name("secrets_program.py"))


class Leak(Struct, frozen=True, kw_only=True, order=True):
    """Where what kind of secret seems to stand; `hushed` where a comment of the tree asks to pass it over."""

    path: str
    line: int
    kind: str
    hushed: bool = False


class _Report(Struct):
    found: dict[str, list[tuple[int, str, bool]]]
    passed: list[str]


def leaks(files: Sequence[SourceFile], deadline: Deadline) -> tuple[list[Leak], list[Unread], list[str]]:
    """What its detectors find, each kind once a line, the files they could not take, and those of kinds that are not searched.

    These are lock files, style sheets and drawings, which are full of random text. Nothing is asked of anybody.
    """
    reports, unread = in_parts(files, _scanned, deadline)
    found = {
        Leak(path=path.removeprefix("./"), line=line, kind=kind, hushed=hushed)
        for report in reports
        for path, hits in report.found.items()
        for line, kind, hushed in hits
    }
    passed = sorted(path.removeprefix("./") for report in reports for path in report.passed)
    return sorted(found), unread, passed


def _scanned(files: Sequence[SourceFile], seconds: float) -> _Report:
    with folder_of(files) as folder:
        return msgspec.json.decode(run([_PROGRAM], folder, seconds), type=_Report)
