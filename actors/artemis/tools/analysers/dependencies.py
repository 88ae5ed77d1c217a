"""What a tree depends on, with versions: requirements files, pyproject.toml and the lock files of Python, npm, Cargo and Go."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct

from actors.artemis.tools.analysers.programs import Unread
from actors.artemis.tools.source_tree import SourceFile

DEPENDENCIES_MAX = 20_000
FILE_CHARS_MAX = 1_000_000
DEPTH_MAX = 50

_REQUIREMENTS = re.compile(r"(.*[-_.])?(requirements|constraints)([-_.].*)?\.(txt|in|lock)")
_GO = re.compile(r"^\s*(?:require\s+)?([\w.~/-]+\.[\w.~/-]+)\s+v(\d\S*)", re.MULTILINE)


class Dependency(Struct, frozen=True, order=True):
    """A package that a file names; `version` is "" where the file leaves it open."""

    ecosystem: str
    name: str
    version: str
    path: str


def dependencies(files: Sequence[SourceFile]) -> tuple[list[Dependency], list[Unread]]:
    """All of them, each once a file, and the files that could not be read."""
    found: set[Dependency] = set()
    unread: list[Unread] = []
    for file in files:
        reader = _reader(PurePosixPath(file.path))
        if reader is None:
            continue
        try:
            read = list(reader(file))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            unread.append(Unread(file.path, f"not of its form ({type(error).__name__})"))
            continue
        if len(found) + len(read) > DEPENDENCIES_MAX:
            unread.append(Unread(file.path, f"more than {DEPENDENCIES_MAX:,} dependencies"))
            continue
        found.update(read)
    return sorted(found), unread


def normalised(ecosystem: str, name: str) -> str:
    """The name as its registry compares it (PyPI: PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower() if ecosystem == "PyPI" else name


Reader = Callable[[SourceFile], Iterator[Dependency]]


def _reader(path: PurePosixPath) -> Reader | None:
    named: dict[str, Reader] = {
        "pyproject.toml": _pyproject,
        "poetry.lock": _locked("PyPI"),
        "uv.lock": _locked("PyPI"),
        "pdm.lock": _locked("PyPI"),
        "Cargo.lock": _locked("crates.io"),
        "Pipfile.lock": _pipfile,
        "package-lock.json": _npm,
        "go.mod": _go,
    }
    if path.name in named:
        return named[path.name]
    inside = path.parent.name in ("requirements", "constraints") and path.suffix in (".txt", ".in", ".lock")
    return _requirements if inside or _REQUIREMENTS.fullmatch(path.name) else None


def _text(file: SourceFile) -> str:
    if len(file.text) > FILE_CHARS_MAX:
        raise ValueError(file.path)
    return file.text


def _requirements(file: SourceFile) -> Iterator[Dependency]:
    for line in _text(file).replace("\\\n", " ").splitlines():
        written = re.split(r"\s#|\s--", line.strip(), maxsplit=1)[0].strip()
        if written and not written.startswith(("#", "-")):
            yield from _requirement(written, file.path)


def _requirement(written: str, path: str) -> Iterator[Dependency]:
    """None for a URL or a path, which no advisory names."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        one = Requirement(written)
    except InvalidRequirement:
        return
    exact = [part.version for part in one.specifier if part.operator in ("==", "===") and "*" not in part.version]
    yield Dependency("PyPI", normalised("PyPI", one.name), exact[0] if exact else "", path)


def _pyproject(file: SourceFile) -> Iterator[Dependency]:
    read = tomllib.loads(_text(file))
    project = read.get("project", {})
    groups = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    for written in (one for group in [*groups, *read.get("dependency-groups", {}).values()] for one in group):
        if isinstance(written, str):
            yield from _requirement(written, file.path)
    for name in read.get("tool", {}).get("poetry", {}).get("dependencies", {}):
        if name != "python":
            yield Dependency("PyPI", normalised("PyPI", name), "", file.path)


def _locked(ecosystem: str) -> Reader:
    def read(file: SourceFile) -> Iterator[Dependency]:
        for one in tomllib.loads(_text(file)).get("package", []):
            yield Dependency(ecosystem, normalised(ecosystem, one["name"]), str(one.get("version", "")), file.path)

    return read


def _pipfile(file: SourceFile) -> Iterator[Dependency]:
    read = json.loads(_text(file))
    for section in ("default", "develop"):
        for name, one in read.get(section, {}).items():
            yield Dependency("PyPI", normalised("PyPI", name), one.get("version", "").removeprefix("=="), file.path)


def _npm(file: SourceFile) -> Iterator[Dependency]:
    read = json.loads(_text(file))
    for place, one in read.get("packages", {}).items():
        if place and "version" in one:
            yield Dependency("npm", place.rpartition("node_modules/")[2], one["version"], file.path)
    if "packages" not in read:
        yield from _npm_nested(read.get("dependencies", {}), file.path, DEPTH_MAX)


def _npm_nested(dependencies_: Mapping[str, Any], path: str, depth: int) -> Iterator[Dependency]:
    if depth == 0:
        raise ValueError(path)
    for name, one in dependencies_.items():
        yield Dependency("npm", name, one.get("version", ""), path)
        yield from _npm_nested(one.get("dependencies", {}), path, depth - 1)


def _go(file: SourceFile) -> Iterator[Dependency]:
    for name, version in _GO.findall(_text(file)):
        yield Dependency("Go", name, version, file.path)
