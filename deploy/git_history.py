"""How often the files of a folder changed, out of the git repository that it belongs to; no program is run, no hook, no filter.

dulwich reads the objects; what the repository's configuration says plays no part. Lines that came and went are counted as sets of
lines, so that a moved line counts nothing: a fraction of the time that git's own count takes.

A file keeps its history when it is renamed, as in `git log --follow`: what has no other content, or half of it, is the same file.
"""

import stat
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from actors.artemis.tools.history import COMMITS_MAX, FILES_MAX, Churn, History
from actors.artemis.tools.source_tree import FILE_BYTES_MAX

if TYPE_CHECKING:
    from dulwich.diff_tree import TreeChange
    from dulwich.object_store import BaseObjectStore
    from dulwich.objects import ObjectID, TreeEntry
    from dulwich.walk import WalkEntry

CHANGES_MAX = 500  # files in one commit: what changes more is a move of everything, which counts for none
RENAME_SIMILAR_PERCENT = 50  # git's own; measured by dulwich in lines that both have
COMPARED_BYTES_MAX = (
    200_000_000  # of all that is compared to find renames; then files with the same content only are found
)


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


class _Names:
    """By which path of today a file is known that once had another; a walk goes from the newest commit to the oldest."""

    def __init__(self, objects: "BaseObjectStore") -> None:
        self._objects = objects
        self._today: dict[bytes, bytes | None] = {}
        self._left_bytes = COMPARED_BYTES_MAX

    def today(self, path: bytes) -> bytes | None:
        """None where the path was of another file before the one of today was given it."""
        return self._today.get(path, path)

    def renamed(self, changes: "Sequence[TreeChange]") -> "list[TreeChange]":
        """The same changes, each pair of a file that went and one that came with its content as one."""
        from dulwich.diff_tree import RenameDetector, TreeChange
        from dulwich.object_store import MemoryObjectStore, OverlayObjectStore
        from dulwich.objects import Tree

        gone = [one.old for one in changes if one.type == "delete" and one.old and _is_file(one.old)]
        come = [one.new for one in changes if one.type == "add" and one.new and _is_file(one.new)]
        if not gone or not come:
            return list(changes)
        trees = Tree(), Tree()  # of these files only: what else changed is no file under another name
        for tree, entries, mark in zip(trees, (gone, come), (b"-", b"+"), strict=True):
            for number, entry in enumerate(entries):
                tree.add(mark + b"%08d" % number, entry.mode, entry.sha)
        own = MemoryObjectStore()
        own.add_objects([(tree, None) for tree in trees])
        detector = RenameDetector(
            OverlayObjectStore([own, self._objects]),
            rename_threshold=RENAME_SIMILAR_PERCENT - 1,  # it wants more than this
            max_files=CHANGES_MAX if self._afforded(gone, come, len(changes)) else 0,
            rewrite_threshold=None,
        )
        pairs = [
            (gone[int(one.old.path[1:])], come[int(one.new.path[1:])])
            for one in detector.changes_with_renames(trees[0].id, trees[1].id)
            if one.type == "rename" and one.old and one.new
        ]
        paired = {id(entry) for pair in pairs for entry in pair}
        rest = [one for one in changes if id(one.old) not in paired and id(one.new) not in paired]
        return rest + [TreeChange("rename", old, new) for old, new in pairs]

    def _afforded(self, gone: "Sequence[TreeEntry]", come: "Sequence[TreeEntry]", changes: int) -> bool:
        """Whether their contents may be compared, each of some with each of the others."""
        if changes > CHANGES_MAX:
            return False
        try:
            sizes = [sum(self._objects[entry.sha].raw_length() for entry in entries) for entries in (gone, come)]
        except KeyError:  # a clone without all contents
            return False
        needed = sizes[0] * len(come) + sizes[1] * len(gone)
        if needed > self._left_bytes:
            return False
        self._left_bytes -= needed
        return True

    def follow(self, changes: "Sequence[TreeChange]") -> None:
        """What was renamed has its old name in all older commits."""
        renames = [(one.old.path, one.new.path) for one in changes if one.type == "rename" and one.old and one.new]
        known = {old: self.today(new) for old, new in renames}
        self._today.update({new: None for _, new in renames})
        self._today.update(known)


def _is_file(entry: "TreeEntry") -> bool:
    return stat.S_ISREG(entry.mode)


def _history(objects: "BaseObjectStore", walked: "Iterable[WalkEntry]", prefix: str) -> History | None:
    commits, days = 0, list[int]()
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    names = _Names(objects)
    for entry in walked:
        if len(entry.commit.parents) > 1:
            continue
        commits += 1
        days.append(entry.commit.commit_time)
        changes = names.renamed([one for one in entry.changes() if not isinstance(one, list)])
        for path, added, deleted in _counted(objects, names, changes if len(changes) <= CHANGES_MAX else ()):
            if path.startswith(prefix) and (path in counts or len(counts) < FILES_MAX):
                counts[path] = [counts[path][0] + 1, counts[path][1] + added, counts[path][2] + deleted]
        names.follow(changes)
    if not commits:
        return None
    return History(
        commits=commits,
        since=_day(min(days)),
        until=_day(max(days)),
        files={path.removeprefix(prefix): Churn(*of) for path, of in counts.items()},
    )


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _counted(
    objects: "BaseObjectStore", names: _Names, changes: "Iterable[TreeChange]"
) -> Iterator[tuple[str, int, int]]:
    for change in changes:
        side = change.new if change.new is not None and change.new.path is not None else change.old
        path = names.today(side.path) if side is not None and side.path is not None else None
        if path is not None:
            yield path.decode("utf-8", "replace"), *_lines(objects, change)


def _lines(objects: "BaseObjectStore", change: "TreeChange") -> tuple[int, int]:
    old, new = (_lines_of(objects, side.sha if side is not None else None) for side in (change.old, change.new))
    return (new - old).total(), (old - new).total()


def _lines_of(objects: "BaseObjectStore", sha: "ObjectID | None") -> Counter[bytes]:
    if sha is None:
        return Counter()
    try:
        content: bytes = objects[sha].as_raw_string()
    except KeyError:  # a commit of another repository, or cut off
        return Counter()
    return (
        Counter(content.splitlines()) if len(content) <= FILE_BYTES_MAX and b"\0" not in content[:8_192] else Counter()
    )
