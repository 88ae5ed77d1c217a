"""Secrets left in files, by detect-secrets. A secret, and even its hash, goes no further than this module."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, Unread, folder_of, in_parts, run
from actors.artemis.tools.source_tree import SourceFile

_PROGRAM = str(Path(__file__).with_name("secrets_program.py"))


class Leak(Struct, frozen=True, kw_only=True, order=True):
    """Where what kind of secret seems to stand."""

    path: str
    line: int
    kind: str


def leaks(files: Sequence[SourceFile], deadline: Deadline) -> tuple[list[Leak], list[Unread]]:
    """What its detectors find, each kind once a line; nothing is asked of anybody."""
    found, unread = in_parts(files, _scanned, deadline)
    return sorted({leak for part in found for leak in part}), unread


def _scanned(files: Sequence[SourceFile], seconds: float) -> list[Leak]:
    with folder_of(files) as folder:
        report = msgspec.json.decode(run([_PROGRAM], folder, seconds), type=dict[str, list[tuple[int, str]]])
    return [
        Leak(path=path.removeprefix("./"), line=line, kind=kind) for path, hits in report.items() for line, kind in hits
    ]
