"""Code that nothing seems to use, by vulture: names that no file of the tree mentions again, and what is never reached."""

import re
from collections.abc import Sequence

from msgspec import Struct

from actors.artemis.tools.analysers.programs import Deadline, folder_of, run
from actors.artemis.tools.source_tree import SourceFile

FOUND_NONE, FOUND_SOME = 0, 3  # vulture's exit codes
_LINE = re.compile(r"(.+?):(\d+): (.+) \((\d+)% confidence(?:, \d+ lines?)?\)")


class Dead(Struct, frozen=True, kw_only=True):
    """What is unused and how sure vulture is (60, 90 or 100 %)."""

    path: str
    line: int
    what: str
    confidence: int


def dead_code(files: Sequence[SourceFile], deadline: Deadline) -> list[Dead]:
    """Of all the files together: a use in any of them counts. Raises ProgramError."""
    if not files:
        return []
    with folder_of(files) as folder:
        printed = run(["-m", "vulture", "."], folder, deadline.left(), ends=(FOUND_NONE, FOUND_SOME))
    matches = (_LINE.fullmatch(line) for line in printed.decode(errors="replace").splitlines())
    return [
        Dead(path=match[1], line=int(match[2]), what=match[3], confidence=int(match[4])) for match in matches if match
    ]
