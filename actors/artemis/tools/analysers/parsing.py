"""Which Python files analysers can take: the others would end or mislead them."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from actors.artemis.tools.analysers.programs import Deadline, Unread, folder_of, in_parts, run
from actors.artemis.tools.source_tree import SourceFile

_PROGRAM = str(Path(__file__).with_name("parse_program.py"))


def parsed(files: Sequence[SourceFile], deadline: Deadline) -> tuple[tuple[SourceFile, ...], list[Unread]]:
    """The files that are valid Python of this version, and the others with the reason."""
    found, unread = in_parts(files, _failures, deadline)
    unread += [Unread(path, reason) for part in found for path, reason in part.items()]
    bad = {one.path for one in unread}
    return tuple(file for file in files if file.path not in bad), sorted(unread, key=lambda one: one.path)


def _failures(files: Sequence[SourceFile], seconds: float) -> dict[str, str]:
    with folder_of(files) as folder:
        return msgspec.json.decode(run([_PROGRAM], folder, seconds), type=dict[str, str])
