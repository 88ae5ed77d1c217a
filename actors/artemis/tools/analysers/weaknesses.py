"""Weak places in Python code, by bandit. Its sentences may quote the code (`hardcoded password: '…'`): that is left out."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, Unread, folder_of, in_parts, run
from actors.artemis.tools.source_tree import SourceFile

OPTIONS = ("-r", "-q", "-f", "json", "--exit-zero", "--ignore-nosec", "-x", '"nothing"')
"""No comment (`# nosec`) and no folder's name (by default whatever holds `.git`, so `.github` too) has a file passed over."""

_NOSEC = re.compile(r"#\s*nosec:?\s*(?P<tests>[^#]*)")
_TEST = re.compile(r"\bB\d{3}\b")
_QUOTED = re.compile(r"""(['"`]).*\1""", re.DOTALL)


class Weakness(Struct, frozen=True, kw_only=True):
    """One place, by bandit's test and severity; `hushed` where a comment in its lines asks to pass it over (`# nosec`)."""

    test: str
    name: str
    severity: Literal["HIGH", "MEDIUM", "LOW", "UNDEFINED"]
    path: str
    line: int
    message: str
    hushed: bool


class Weaknesses(Struct, frozen=True, kw_only=True):
    """What was found, and the files that bandit could not take."""

    found: tuple[Weakness, ...]
    unread: tuple[Unread, ...]


class _Hit(Struct):
    test_id: str
    test_name: str
    issue_severity: Literal["HIGH", "MEDIUM", "LOW", "UNDEFINED"]
    issue_text: str
    filename: str
    line_number: int
    line_range: list[int] = []


class _Error(Struct):
    filename: str
    reason: str


class _Report(Struct):
    results: list[_Hit]
    errors: list[_Error]


def weaknesses(files: Sequence[SourceFile], deadline: Deadline) -> Weaknesses:
    """All that bandit finds with its own tests, whatever their severity."""
    reports, unread = in_parts(files, _scanned, deadline)
    lines = {file.path: file.text.split("\n") for file in files}
    return Weaknesses(
        found=tuple(
            Weakness(
                test=hit.test_id,
                name=hit.test_name,
                severity=hit.issue_severity,
                path=hit.filename.removeprefix("./"),
                line=hit.line_number,
                message=_QUOTED.sub("…", hit.issue_text).rstrip(": .…"),
                hushed=_hushed(lines.get(hit.filename.removeprefix("./"), ()), hit),
            )
            for report in reports
            for hit in report.results
        ),
        unread=(
            *unread,
            *(Unread(one.filename.removeprefix("./"), one.reason) for report in reports for one in report.errors),
        ),
    )


def _hushed(lines: Sequence[str], hit: _Hit) -> bool:
    """A comment that names tests is about these only."""
    for number in {hit.line_number, *hit.line_range}:
        for comment in _NOSEC.finditer(lines[number - 1]) if 0 < number <= len(lines) else ():
            named = _TEST.findall(comment["tests"])
            if not named or hit.test_id in named:
                return True
    return False


def _scanned(files: Sequence[SourceFile], seconds: float) -> _Report:
    with folder_of(files) as folder:
        printed = run(["-m", "bandit", *OPTIONS, "."], folder, seconds)
    return msgspec.json.decode(printed, type=_Report)
