"""Dependencies out of every kind of file that names them, with their lines; what cannot be judged is told."""

import json

import pytest

from actors.artemis.tools.analysers.dependencies import Dependency, dependencies, line_of
from actors.artemis.tools.security import scan
from actors.artemis.tools.source_tree import read_archive
from tests.archives import zipped


def test_the_line_of_a_dependency_is_looked_for_among_few_places() -> None:
    assert line_of(Dependency("npm", "a", "9.9.9", "f"), "x\n" + "a " * 400_000 + "\na 9.9.9\n") == 2


def test_manifests_are_judged_where_they_are_exact_and_told_where_neither_they_nor_a_lock_file_are() -> None:
    wanted = {"lodash": "4.17.4", "a": "^1.0.0", "b": "*", "c": "npm:real@=2.0.0", "d": "file:../d", "e": "user/repo"}
    files = {
        "web/package.json": json.dumps({"dependencies": wanted, "devDependencies": {"f": "~2"}}, indent=1),
        "locked/package.json": json.dumps({"dependencies": {"g": "^1"}}),
        "locked/yarn.lock": 'g@^1:\n  version "1.0.1"\n',
        "mono/package-lock.json": '{"packages": {}}',
        "mono/packages/one/package.json": json.dumps({"dependencies": {"h": "^1", "i": "1.0.0"}}),
        "Pipfile": '[packages]\nx = "==1.0"\ny = "*"\nz = {git = "x"}\n[dev-packages]\nw = {version = "==2"}\n',
        "Cargo.toml": '[dependencies]\np = "1.2.3"\nq = { version = "=1.2.3", package = "real" }\nr = { path = "r" }\n',
        "broken/package.json": '{"dependencies": ["x"]}',
    }
    found, unread = dependencies(read_archive(zipped(files)).files)
    assert {(one.path, one.name, one.version) for one in found} == {
        ("web/package.json", "lodash", "4.17.4"),
        ("web/package.json", "a", ""),
        ("web/package.json", "b", ""),
        ("web/package.json", "real", "2.0.0"),
        ("web/package.json", "f", ""),
        ("locked/yarn.lock", "g", "1.0.1"),
        ("mono/packages/one/package.json", "i", "1.0.0"),
        ("Pipfile", "x", "1.0"),
        ("Pipfile", "y", ""),
        ("Pipfile", "w", "2"),
        ("Cargo.toml", "p", ""),
        ("Cargo.toml", "real", "1.2.3"),
    }
    assert [one.path for one in unread] == ["broken/package.json"]
    record = {
        "id": "GHSA-lodash",
        "affected": [
            {
                "package": {"ecosystem": "npm", "name": "lodash"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "4.17.11"}]}],
            }
        ],
    }
    result = scan(read_archive(zipped(files)), json.dumps(record).encode())
    (place,) = (one for one in result.places if one.rule == "GHSA-lodash")
    assert (place.path, place.line) == ("web/package.json", 3)
    assert (
        "Not judged, for neither the file nor a lock file beside or above it gives an exact version: web/package.json:"
        " 3 dependencies, Pipfile: 1 dependency, Cargo.toml: 1 dependency." in result.findings
    )


LOCKS = {
    "poetry.lock": '[[package]]\nname = "A_b"\nversion = "1.0"\n',
    "Cargo.lock": '[[package]]\nname = "serde"\nversion = "1.2.3"\n',
    "package-lock.json": '{"packages": {"": {}, "node_modules/@x/y": {"version": "4.0.1"}}}',
    "old/package-lock.json": '{"dependencies": {"a": {"version": "1", "dependencies": {"b": {"version": "2"}}}}}',
    "Pipfile.lock": '{"default": {"flask": {"version": "==2.0"}}}',
    "go.mod": "module m\nrequire (\n\tgithub.com/x/y v1.2.3\n)\nrequire golang.org/x/net v0.1.0\n",
    "pyproject.toml": '[project]\ndependencies = ["httpx==0.1", "rich"]\n',
    "bad/poetry.lock": "not toml [",
}


def test_dependencies_are_read_out_of_every_kind_of_file() -> None:
    found, unread = dependencies(read_archive(zipped(LOCKS)).files)
    assert {(one.ecosystem, one.name, one.version) for one in found} == {
        ("PyPI", "a-b", "1.0"),
        ("crates.io", "serde", "1.2.3"),
        ("npm", "@x/y", "4.0.1"),
        ("npm", "a", "1"),
        ("npm", "b", "2"),
        ("PyPI", "flask", "2.0"),
        ("Go", "github.com/x/y", "1.2.3"),
        ("Go", "golang.org/x/net", "0.1.0"),
        ("PyPI", "httpx", "0.1"),
    }
    assert [one.path for one in unread] == ["bad/poetry.lock"]


@pytest.mark.parametrize(
    ("dependency", "text", "line"),
    [
        (("PyPI", "jinja2", "2.4", "requirements.txt"), "# Jinja2 is old\nflask==1.0\nJinja2==2.4\n", 3),
        (
            ("PyPI", "a-b", "1.0", "uv.lock"),
            'd = [\n{ name = "a-b" },\n]\n[[package]]\nname = "A_b"\nversion = "1.0"\n',
            5,
        ),
        (("npm", "lodash", "4.17.4", "package-lock.json"), '{"a": {\n"node_modules/lodash": {\n"version": "4.17.4"', 2),
        (("npm", "lodash", "4.17.4", "yarn.lock"), 'x:\n  lodash "^4"\n\nlodash@^4:\n  version "4.17.4"\n', 4),
        (("Go", "golang.org/x/net", "0.1.0", "go.mod"), "module m\nrequire golang.org/x/net v0.1.0\n", 2),
        (("Maven", "g:art", "1.0", "pom.xml"), "<a>\n<artifactId>art</artifactId>\n<version>1.0</version>\n", 2),
        (("PyPI", "gone", "1.0", "x"), "nothing\n", 1),
    ],
)
def test_a_dependency_has_the_line_that_names_it(dependency: tuple[str, str, str, str], text: str, line: int) -> None:
    assert line_of(Dependency(*dependency), text) == line
