"""How often files changed: what version control knows of a tree, as a small file that travels inside its archive.

Who packs a folder puts it there (deploy/source_archive.py); names and texts of commits stay at home.
"""

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.artemis.tools.source_tree import SourceTree

HISTORY_FILE = ".diarchy-history.json"
COMMITS_MAX = 1_000  # the last ones
FILES_MAX = 20_000


class Churn(Struct, frozen=True):
    """In how many commits a file changed, and how many lines came and went."""

    commits: int
    added: int
    deleted: int


class History(Struct, frozen=True, kw_only=True):
    """The last `commits` commits that are no merges, from the day `since` to the day `until`, and what they changed."""

    commits: int
    since: str
    until: str
    files: dict[str, Churn]


def taken_out(tree: SourceTree) -> tuple[SourceTree, History | None]:
    """The tree without the file, and what it says; None where there is none, or where it is not ours."""
    file = next((file for file in tree.files if file.path == HISTORY_FILE), None)
    if file is None:
        return tree, None
    rest = replace(tree, files=tuple(one for one in tree.files if one is not file))
    try:
        history = msgspec.json.decode(file.text, type=History)
    except (msgspec.DecodeError, UnicodeError):
        return rest, None
    return rest, history if history.commits > 0 else None
