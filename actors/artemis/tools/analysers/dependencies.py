"""What a tree depends on, with versions: files of Python, npm, yarn, pnpm, Cargo, Go, Bundler, Maven and Gradle."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import PurePosixPath

from msgspec import Struct

from actors.artemis.tools.analysers import lock_files, manifests
from actors.artemis.tools.analysers.programs import Unread
from actors.artemis.tools.source_tree import SourceFile

DEPENDENCIES_MAX = 20_000
FILE_CHARS_MAX = 1_000_000
VERSION_LINES_MAX = 3  # a name's own and those below it that may give its version
LINES_CHARS_MAX = 500
PLACES_MAX = 1_000  # of a name in a file, of which the right one is looked for

_REQUIREMENTS = re.compile(r"(.*[-_.])?(requirements|constraints)([-_.].*)?\.(txt|in|lock)")


class Dependency(Struct, frozen=True, order=True):
    """A package that a file names; `version` is "" where the file leaves it open."""

    ecosystem: str
    name: str
    version: str
    path: str


def dependencies(files: Sequence[SourceFile]) -> tuple[list[Dependency], list[Unread]]:
    """All of them, each once a file, and the files that could not be read. A range that a lock file decides does not count."""
    found: set[Dependency] = set()
    unread: list[Unread] = []
    names = frozenset(file.path for file in files)
    for file in files:
        path = PurePosixPath(file.path)
        if path.name in NOT_READ:
            unread.append(Unread(file.path, "dependencies in files of its kind are not read"))
        kind = _kind(path)
        if kind is None:
            continue
        if len(file.text) > FILE_CHARS_MAX:
            unread.append(Unread(file.path, f"longer than {FILE_CHARS_MAX:,} characters"))
            continue
        ecosystem, reader = kind
        try:
            pairs = [pair for pair in reader(file.text) if pair[1] or not manifests.locked(path, names)]
            read = {_dependency(ecosystem, name, version, file.path) for name, version in pairs}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SyntaxError) as error:
            unread.append(Unread(file.path, f"not of its form ({type(error).__name__})"))
            continue
        if len(found) + len(read) > DEPENDENCIES_MAX:
            unread.append(Unread(file.path, f"more than {DEPENDENCIES_MAX:,} dependencies"))
            continue
        found.update(read)
    return sorted(found), unread


def _dependency(ecosystem: str, name: object, version: object, path: str) -> Dependency:
    """Raises TypeError for a name or version that is no text, ValueError for text that cannot be written down."""
    if not isinstance(name, str) or not isinstance(version, str):
        raise TypeError(path)
    (name + version).encode()
    return Dependency(ecosystem, normalised(ecosystem, name), version, path)


def line_of(dependency: Dependency, text: str) -> int:
    """Where the file names it (from 1): where its version is nearest, as it is in or below that line; 1 if it cannot be told."""
    python = dependency.ecosystem == "PyPI"
    name = re.escape(dependency.name.rpartition(":")[2])  # of Maven's group:artifact the second has a line
    if python:
        name = name.replace(r"\-", "[-_.]+")
    found: list[tuple[int, int]] = []
    places = re.finditer(rf"(?<![\w.-]){name}(?![\w-])", text, re.IGNORECASE if python else 0)
    for place in islice(places, PLACES_MAX):
        lines = text[place.end() : place.end() + LINES_CHARS_MAX].split("\n")[:VERSION_LINES_MAX]
        away = next((at for at, line in enumerate(lines) if dependency.version in line), VERSION_LINES_MAX)
        found.append((away, place.start()))
        if away == 0:
            break
    return text.count("\n", 0, min(found)[1]) + 1 if found else 1


def normalised(ecosystem: str, name: str) -> str:
    """The name as its registry compares it (PyPI: PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower() if ecosystem == "PyPI" else name


Reader = Callable[[str], Iterator[tuple[str, str]]]


def _kind(path: PurePosixPath) -> tuple[str, Reader] | None:
    """The ecosystem that the file is of, and what reads it."""
    if path.name in _READ:
        return _READ[path.name]
    inside = path.parent.name in ("requirements", "constraints") and path.suffix in (".txt", ".in", ".lock")
    return ("PyPI", _requirements) if inside or _REQUIREMENTS.fullmatch(path.name) else None


def _requirements(text: str) -> Iterator[tuple[str, str]]:
    for line in text.replace("\\\n", " ").splitlines():
        written = re.split(r"\s#|\s--", line.strip(), maxsplit=1)[0].strip()
        if written and not written.startswith(("#", "-")):
            yield from _requirement(written)


def _requirement(written: str) -> Iterator[tuple[str, str]]:
    """None for a URL or a path, which no advisory names."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        one = Requirement(written)
    except InvalidRequirement:
        return
    exact = [part.version for part in one.specifier if part.operator in ("==", "===") and "*" not in part.version]
    yield one.name, exact[0] if exact else ""


def _pyproject(text: str) -> Iterator[tuple[str, str]]:
    read = tomllib.loads(text)
    project = read.get("project", {})
    groups = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    for written in (one for group in [*groups, *read.get("dependency-groups", {}).values()] for one in group):
        if isinstance(written, str):
            yield from _requirement(written)
    for name in read.get("tool", {}).get("poetry", {}).get("dependencies", {}):
        if name != "python":
            yield name, ""


def _pipfile(text: str) -> Iterator[tuple[str, str]]:
    read = json.loads(text)
    for section in ("default", "develop"):
        for name, one in read.get(section, {}).items():
            yield name, one.get("version", "").removeprefix("==")


_READ: dict[str, tuple[str, Reader]] = {
    "pyproject.toml": ("PyPI", _pyproject),
    "poetry.lock": ("PyPI", lock_files.packages),
    "uv.lock": ("PyPI", lock_files.packages),
    "pdm.lock": ("PyPI", lock_files.packages),
    "Pipfile.lock": ("PyPI", _pipfile),
    "package.json": ("npm", manifests.npm),
    "Pipfile": ("PyPI", manifests.pipfile),
    "Cargo.toml": ("crates.io", manifests.cargo),
    "Cargo.lock": ("crates.io", lock_files.packages),
    "package-lock.json": ("npm", lock_files.npm),
    "npm-shrinkwrap.json": ("npm", lock_files.npm),
    "yarn.lock": ("npm", lock_files.yarn),
    "pnpm-lock.yaml": ("npm", lock_files.pnpm),
    "go.mod": ("Go", lock_files.go),
    "Gemfile.lock": ("RubyGems", lock_files.gems),
    "pom.xml": ("Maven", lock_files.maven),
    "gradle.lockfile": ("Maven", lock_files.gradle),
}
NOT_READ = frozenset(
    {
        "bun.lock",
        "build.gradle",
        "build.gradle.kts",
        "build.sbt",
        "composer.lock",
        "conan.lock",
        "mix.lock",
        "packages.lock.json",
        "Package.resolved",
        "Podfile.lock",
        "pubspec.lock",
    }
)
"""Files that name dependencies, too, and are told as not read."""
