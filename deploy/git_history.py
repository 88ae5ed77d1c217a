"""How often the files of a folder changed, out of the git repository that it belongs to; no program is run, no hook, no filter.

dulwich reads the objects; what the repository's configuration says plays no part. Lines that came and went are counted as sets of
lines, so that a moved line counts nothing: a fraction of the time that git's own count takes.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from actors.artemis.tools.history import COMMITS_MAX, FILES_MAX, Churn, History
from actors.artemis.tools.source_tree import FILE_BYTES_MAX

if TYPE_CHECKING:
    from dulwich.diff_tree import TreeChange
    from dulwich.object_store import BaseObjectStore
    from dulwich.objects import ObjectID
    from dulwich.walk import WalkEntry

CHANGES_MAX = 500  # files in one commit: what changes more is a move of everything, and says nothing about one


def history_of(folder: Path) -> bytes | None:
    """`History` as JSON, of the last COMMITS_MAX commits before HEAD that are no merges; None where no git repository is.

    The same commits give the same bytes. A repository that cannot be read has none: its files can be imported all the same.
    """
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        repository = Repo.discover(str(folder))
    except (NotGitRepository, OSError, ValueError):
        return None
    with repository:
        try:
            inside = folder.resolve().relative_to(Path(repository.path).resolve()).as_posix()
            walked = repository.get_walker(max_entries=COMMITS_MAX)
            found = _history(repository.object_store, walked, "" if inside == "." else f"{inside}/")
        except (KeyError, ValueError, AssertionError, OSError, AttributeError):
            return None
    return msgspec.json.encode(found, order="sorted") if found else None


def history_at(objects: "BaseObjectStore", commit: "ObjectID", cut_off: "Collection[ObjectID]") -> bytes | None:
    """The same before a commit, `cut_off` being commits whose parents are not here. Raises dulwich's errors."""
    from dulwich.walk import Walker

    walked = Walker(
        objects,
        [commit],
        max_entries=COMMITS_MAX,
        get_parents=lambda one: [] if one.id in cut_off else one.parents,
    )
    found = _history(objects, walked, "")
    return msgspec.json.encode(found, order="sorted") if found else None


def _history(objects: "BaseObjectStore", walked: "Iterable[WalkEntry]", prefix: str) -> History | None:
    commits, days = 0, list[int]()
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for entry in walked:
        if len(entry.commit.parents) > 1:
            continue
        commits += 1
        days.append(entry.commit.commit_time)
        for path, added, deleted in _changes(objects, entry, prefix):
            if path in counts or len(counts) < FILES_MAX:
                counts[path] = [counts[path][0] + 1, counts[path][1] + added, counts[path][2] + deleted]
    if not commits:
        return None
    return History(
        commits=commits,
        since=_day(min(days)),
        until=_day(max(days)),
        files={path: Churn(*of) for path, of in counts.items()},
    )


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _changes(objects: "BaseObjectStore", entry: "WalkEntry", prefix: str) -> Iterator[tuple[str, int, int]]:
    changes = entry.changes()
    for change in changes if len(changes) <= CHANGES_MAX else ():
        if isinstance(change, list):
            continue
        side = change.new if change.new is not None and change.new.path is not None else change.old
        path = side.path.decode("utf-8", "replace") if side is not None and side.path is not None else ""
        if path.startswith(prefix):
            yield path.removeprefix(prefix), *_lines(objects, change)


def _lines(objects: "BaseObjectStore", change: "TreeChange") -> tuple[int, int]:
    old, new = (_counted(objects, side.sha if side is not None else None) for side in (change.old, change.new))
    return (new - old).total(), (old - new).total()


def _counted(objects: "BaseObjectStore", sha: "ObjectID | None") -> Counter[bytes]:
    if sha is None:
        return Counter()
    try:
        content: bytes = objects[sha].as_raw_string()
    except KeyError:  # a commit of another repository, or cut off
        return Counter()
    return (
        Counter(content.splitlines()) if len(content) <= FILE_BYTES_MAX and b"\0" not in content[:8_192] else Counter()
    )
