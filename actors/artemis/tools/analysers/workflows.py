"""GitHub workflows and actions that can be misused, by zizmor, offline and without the tree's configuration of it."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, ProgramError, Unread, folder_of, in_parts, installed, run
from actors.artemis.tools.source_tree import SourceFile

OPTIONS = (
    "--offline",
    "--no-config",
    "--no-ignores",
    "--no-exit-codes",
    "--no-progress",
    "--quiet",
    "--strict-collection",
    "--collect=workflows",
)
Level = Literal["High", "Medium", "Low", "Informational", "Unknown"]


class Misuse(Struct, frozen=True, kw_only=True):
    """One finding at the line it is about first."""

    audit: str
    severity: Level
    path: str
    line: int
    message: str


class _Point(Struct):
    row: int


class _Range(Struct):
    start_point: _Point


class _Concrete(Struct):
    location: _Range


class _Local(Struct, frozen=True):
    verbatim_path: str = ""


class _Key(Struct, rename={"local": "Local"}):
    local: _Local = _Local()


class _Symbolic(Struct):
    key: _Key
    kind: str = ""


class _Location(Struct):
    symbolic: _Symbolic
    concrete: _Concrete


class _Determined(Struct):
    severity: Level


class _Finding(Struct):
    ident: str
    desc: str
    determinations: _Determined
    locations: list[_Location]


def is_workflow(file: SourceFile) -> bool:
    """By the place that GitHub reads workflows from, at any depth of the tree."""
    return PurePosixPath(file.path).parent.match(".github/workflows") and file.path.endswith((".yml", ".yaml"))


def misuses(files: Sequence[SourceFile], deadline: Deadline) -> tuple[list[Misuse], list[Unread]]:
    """What zizmor finds in the workflows among the files, and those it could not take."""
    workflows = [file for file in files if is_workflow(file)]
    found, unread = in_parts(workflows, _audited, deadline)
    return [one for part in found for one in part], unread


def _audited(files: Sequence[SourceFile], seconds: float) -> list[Misuse]:
    with folder_of(files) as folder:
        printed = run([installed("zizmor"), *OPTIONS, "--format", "json", "."], folder, seconds)
    try:
        findings = msgspec.json.decode(printed, type=list[_Finding])
    except msgspec.DecodeError as error:
        raise ProgramError("what it printed cannot be read") from error
    return [_misuse(finding) for finding in findings if finding.locations]


def _misuse(finding: _Finding) -> Misuse:
    primary = [one for one in finding.locations if one.symbolic.kind == "Primary"] or finding.locations
    return Misuse(
        audit=finding.ident,
        severity=finding.determinations.severity,
        path=primary[0].symbolic.key.local.verbatim_path.removeprefix("./"),
        line=primary[0].concrete.location.start_point.row + 1,
        message=finding.desc,
    )
