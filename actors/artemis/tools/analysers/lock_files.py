"""Names and exact versions out of the files of other ecosystems than Python: npm, yarn, pnpm, Cargo, Go, Bundler, Maven, Gradle.

Each reader takes a file's text and gives pairs of a name and a version, "" where the file leaves the version open. A file that is
not of its form raises ValueError, KeyError, TypeError or AttributeError.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as Xml

Pairs = Iterator[tuple[str, str]]

DEPTH_MAX = 50
PROPERTIES_MAX = 10  # within each other

_YARN = re.compile(r"^(?P<key>\S.*):\n {2}version:? \"?(?P<version>[^\"\s]+)\"?$", re.MULTILINE)
_PNPM = re.compile(r"^ {2}['\"]?/?(?P<name>(?:@[^/@\s]+/)?[^/@\s'\"]+)[/@](?P<version>[^_(@/\s'\"]+)[^\s]*:(?: \{\})?$")
_GEM = re.compile(r"^ {4}(?P<name>\S+) \((?P<version>[^-)\s]+)(?:-[^)]*)?\)$")
_PROPERTY = re.compile(r"\$\{([^${}]+)\}")


def packages(text: str) -> Pairs:
    """A list of tables `package`: Cargo.lock, poetry.lock, uv.lock, pdm.lock."""
    for one in tomllib.loads(text).get("package", []):
        yield one["name"], str(one.get("version", ""))


def npm(text: str) -> Pairs:
    """package-lock.json of each of its three forms; an alias counts as what it stands for, own workspaces do not count."""
    read = json.loads(text)
    for place, one in read.get("packages", {}).items():
        if "node_modules/" in place and "version" in one:
            yield one.get("name", place.rpartition("node_modules/")[2]), one["version"]
    if "packages" not in read:
        yield from _npm_nested(read.get("dependencies", {}), DEPTH_MAX)


def _npm_nested(dependencies: Mapping[str, Any], depth: int) -> Pairs:
    if depth == 0:
        raise ValueError("nested too deep")
    for name, one in dependencies.items():
        alias, _, version = one.get("version", "").removeprefix("npm:").rpartition("@")
        yield (alias, version) if one.get("version", "").startswith("npm:") else (name, one.get("version", ""))
        yield from _npm_nested(one.get("dependencies", {}), depth - 1)


def yarn(text: str) -> Pairs:
    """yarn.lock, old (`name@^1:`) and new (`"name@npm:^1":`)."""
    for entry in _YARN.finditer(text):
        first = entry["key"].partition(",")[0].strip().strip('"')
        at = first.find("@", 1)
        name, wanted = first[:at], first[at + 1 :].removeprefix("npm:")
        if at < 0 or wanted.startswith("workspace:"):
            continue
        alias = wanted.rpartition("@")[0]  # `other@npm:name@^1` stands for `name`.
        yield alias if alias and ":" not in alias else name, entry["version"]


def pnpm(text: str) -> Pairs:
    """pnpm-lock.yaml: the keys below `packages`, `/name/1.0`, `/name@1.0` or `name@1.0`, without what they were resolved for."""
    inside = False
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            inside = line.startswith("packages:")
        elif inside and (entry := _PNPM.match(line)):
            yield entry["name"], entry["version"]


def go(text: str) -> Pairs:
    """go.mod: what is required, and what replaces it (open where that is a folder); what is excluded or retracted is not used."""
    required: dict[str, str] = {}
    replaced: dict[str, tuple[str, str]] = {}
    block = ""
    for written in text.splitlines():
        line = written.partition("//")[0].strip()
        if block and line == ")":
            block = ""
            continue
        word, _, rest = (block, "", line) if block else line.partition(" ")
        if rest.strip() == "(":
            block = word
            continue
        parts = rest.replace('"', "").split()
        if word == "require" and len(parts) >= 2:
            required[parts[0]] = parts[1]
        elif word == "replace" and "=>" in parts:
            at = parts.index("=>")
            replaced[parts[0]] = (parts[at + 1], parts[at + 2]) if len(parts) > at + 2 else (parts[0], "")
    for name, version in required.items():
        now, at_version = replaced.get(name, (name, version))
        yield now, at_version.removeprefix("v")


def gems(text: str) -> Pairs:
    """Gemfile.lock: what comes from a server of gems, without the platform that one was built for."""
    section = ""
    for line in text.splitlines():
        section = line.strip() if line and not line.startswith(" ") else section
        if section == "GEM" and (entry := _GEM.match(line)):
            yield entry["name"], entry["version"]


def gradle(text: str) -> Pairs:
    """gradle.lockfile: `group:artifact:version=configurations`."""
    for line in text.splitlines():
        if not line.startswith(("#", "empty=")) and line.strip():
            group, artifact, version = line.partition("=")[0].split(":")
            yield f"{group}:{artifact}", version


def maven(text: str) -> Pairs:
    """pom.xml: dependencies, managed ones and plug-ins, with the properties of the same file put in; open what a parent sets."""
    if "<!" in re.sub(r"<!--.*?-->|<!\[CDATA\[", "", text, flags=re.DOTALL):
        raise ValueError("a document type: entities are not looked into")
    top = Xml.fromstring(text.strip())  # noqa: S314 - without a document type there are no entities.
    for one in top.iter():
        one.tag = one.tag.rpartition("}")[2] if isinstance(one.tag, str) else ""
    properties = {one.tag: one.text or "" for one in top.iterfind("properties/*")}
    for name in ("version", "groupId"):
        properties[f"project.{name}"] = top.findtext(name) or top.findtext(f"parent/{name}") or ""
    pairs = [
        tuple(_filled(one.findtext(part, default), properties) for part, default in _POM_PARTS)
        for kind in ("dependency", "plugin", "parent", "extension")
        for one in top.iter(kind)
    ]
    managed = {(group, artifact): version for group, artifact, version in pairs if version}
    for group, artifact, version in pairs:
        exact = version or managed.get((group, artifact), "")
        if exact.startswith("[") and exact.endswith("]") and "," not in exact:
            exact = exact[1:-1]
        yield f"{group}:{artifact}", "" if exact.startswith(("[", "(")) or "${" in exact else exact


_POM_PARTS = (("groupId", "org.apache.maven.plugins"), ("artifactId", ""), ("version", ""))


def _filled(text: str, properties: Mapping[str, str]) -> str:
    """What is not set in this file stays as it is written; a property that names itself ends."""
    for _ in range(PROPERTIES_MAX):
        filled = _PROPERTY.sub(lambda name: properties.get(name[1], name[0]), text)
        if filled == text or len(filled) > 1_000:
            break
        text = filled
    return text.strip()
