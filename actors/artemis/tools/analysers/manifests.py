"""Dependencies out of files that say what is wanted: exact versions as such, a range as "", for which a lock file decides.

What stands for a folder, an address or a package of the tree's own is left out: no advisory names it.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

Pairs = Iterator[tuple[str, str]]

LOCKS = {
    "package.json": ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock"),
    "pyproject.toml": ("poetry.lock", "uv.lock", "pdm.lock"),
    "Pipfile": ("Pipfile.lock",),
    "Cargo.toml": ("Cargo.lock",),
}
"""The files whose ranges a lock file makes exact, beside it or, in a workspace, in a folder above it."""

_NPM_EXACT = re.compile(r"[v=\s]*(\d+\.\d+\.\d+(?:[-+][\w.+-]+)?)\s*")
_ELSEWHERE = re.compile(r"(?:file|link|workspace|portal|git|github|https?)(?:\+\w+)?:|[\w.-]+/[\w.-]+(?:#|$)")


def locked(path: PurePosixPath, names: frozenset[str]) -> bool:
    """Whether a lock file of the tree, which has files of these names, makes this one's ranges exact."""
    return any((folder / lock).as_posix() in names for folder in path.parents for lock in LOCKS.get(path.name, ()))


def npm(text: str) -> Pairs:
    """package.json, what it wants to run, to be developed and where that can be had."""
    read = json.loads(text)
    for section in ("dependencies", "devDependencies", "optionalDependencies"):
        for name, wanted in read.get(section, {}).items():
            alias, _, version = wanted.removeprefix("npm:").rpartition("@")
            real, asked = (alias, version) if wanted.startswith("npm:") and alias else (name, wanted)
            if not _ELSEWHERE.match(asked):
                exact = _NPM_EXACT.fullmatch(asked)
                yield real, exact[1] if exact else ""


def pipfile(text: str) -> Pairs:
    read = tomllib.loads(text)
    for section in ("packages", "dev-packages"):
        for name, wanted in read.get(section, {}).items():
            version = _version(wanted)
            if version is not None:
                yield name, version[2:].strip() if version.startswith("==") and "*" not in version else ""


def cargo(text: str) -> Pairs:
    """Cargo.toml, where `1.2.3` is a range and `=1.2.3` is exact."""
    read = tomllib.loads(text)
    tables = [read, read.get("workspace", {}), *read.get("target", {}).values()]
    for table in tables:
        for section in ("dependencies", "dev-dependencies", "build-dependencies"):
            for name, wanted in table.get(section, {}).items():
                version = _version(wanted)
                if version is not None:
                    real = wanted.get("package", name) if isinstance(wanted, dict) else name
                    yield real, version[1:].strip() if re.fullmatch(r"=\s*\d+\.\d+\.\d+\S*", version) else ""


def _version(wanted: Any) -> str | None:
    """None for what comes from elsewhere than the registry."""
    if isinstance(wanted, dict):
        elsewhere = {"path", "git", "url", "file", "ref"} & wanted.keys()
        return None if elsewhere or wanted.get("workspace") else str(wanted.get("version", ""))
    return str(wanted)
