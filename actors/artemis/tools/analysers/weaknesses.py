"""Weak places in Python code, by bandit. Its sentences may quote the code (`hardcoded password: '…'`): that is left out."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, Unread, folder_of, in_parts, run
from actors.artemis.tools.source_tree import SourceFile

_QUOTED = re.compile(r"""(['"`]).*\1""", re.DOTALL)


class Weakness(Struct, frozen=True, kw_only=True):
    """One place, by bandit's test and severity."""

    test: str
    name: str
    severity: Literal["HIGH", "MEDIUM", "LOW", "UNDEFINED"]
    path: str
    line: int
    message: str


class Weaknesses(Struct, frozen=True, kw_only=True):
    """`suppressed` counts places that a comment in the code (`# nosec`) has bandit pass over."""

    found: tuple[Weakness, ...]
    suppressed: int
    unread: tuple[Unread, ...]


class _Hit(Struct):
    test_id: str
    test_name: str
    issue_severity: Literal["HIGH", "MEDIUM", "LOW", "UNDEFINED"]
    issue_text: str
    filename: str
    line_number: int


class _Error(Struct):
    filename: str
    reason: str


class _Metrics(Struct):
    nosec: int = 0
    skipped_tests: int = 0


class _Report(Struct):
    results: list[_Hit]
    errors: list[_Error]
    metrics: dict[str, _Metrics]


def weaknesses(files: Sequence[SourceFile], deadline: Deadline) -> Weaknesses:
    """All that bandit finds with its own tests, whatever their severity."""
    reports, unread = in_parts(files, _scanned, deadline)
    totals = [report.metrics["_totals"] for report in reports]
    return Weaknesses(
        found=tuple(
            Weakness(
                test=hit.test_id,
                name=hit.test_name,
                severity=hit.issue_severity,
                path=hit.filename.removeprefix("./"),
                line=hit.line_number,
                message=_QUOTED.sub("…", hit.issue_text).rstrip(": .…"),
            )
            for report in reports
            for hit in report.results
        ),
        suppressed=sum(one.nosec + one.skipped_tests for one in totals),
        unread=(
            *unread,
            *(Unread(one.filename.removeprefix("./"), one.reason) for report in reports for one in report.errors),
        ),
    )


def _scanned(files: Sequence[SourceFile], seconds: float) -> _Report:
    with folder_of(files) as folder:
        printed = run(["-m", "bandit", "-r", "-q", "-f", "json", "--exit-zero", "."], folder, seconds)
    return msgspec.json.decode(printed, type=_Report)
