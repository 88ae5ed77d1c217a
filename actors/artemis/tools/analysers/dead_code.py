"""Code that nothing seems to use, by vulture: names that no file of the tree mentions again, and what is never reached."""

import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from actors.artemis.tools.analysers.programs import Deadline, folder_of, run
from actors.artemis.tools.source_tree import SourceFile

FOUND_NONE, FOUND_SOME = 0, 3  # vulture's exit codes
_LINE = re.compile(r"(.+?):(\d+): (.+) \((\d+)% confidence(?:, \d+ lines?)?\)")
_NOQA = re.compile("# noqa", re.IGNORECASE)  # vulture obeys it and has no option not to


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
    told = [replace(file, text=_NOQA.sub("# no qa", file.text)) for file in files]
    with folder_of(told) as folder:
        printed = run(["-m", "vulture", "."], folder, deadline.left(), ends=(FOUND_NONE, FOUND_SOME))
    matches = (_LINE.fullmatch(line) for line in printed.decode(errors="replace").splitlines())
    return [
        Dead(path=match[1], line=int(match[2]), what=match[3], confidence=int(match[4])) for match in matches if match
    ]
