"""Advisories by ecosystem: the planted version is found, its fixed neighbour is not, and what cannot be judged is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.artemis.tools.analysers.advisories import UNJUDGED_MAX, compared
from actors.artemis.tools.analysers.dependencies import NOT_READ, Dependency, dependencies
from actors.artemis.tools.security import scan
from actors.artemis.tools.source_tree import read_archive
from tests.archives import zipped

YARN = '# yarn lockfile v1\n\n"@x/y@^1.0.0", "@x/y@^1.2.0":\n  version "{}"\n  resolved "https://r/y.tgz#0"\n'
BERRY = '__metadata:\n  version: 8\n\n"@x/y@npm:^1.0.0":\n  version: {}\n  resolution: "@x/y@npm:0"\n'
POM = (
    "<?xml version='1.0' encoding='UTF-8'?><project xmlns='http://maven.apache.org/POM/4.0.0'><properties><v>{}</v></properties>"
    "<!-- <!DOCTYPE no> --><dependencies><dependency><groupId>org.x</groupId><artifactId>y</artifactId>"
    "<version>${{v}}</version></dependency></dependencies></project>"
)
CASES = {
    # file: (its text, ecosystem, name, what is fixed, known-bad versions, near misses)
    "requirements.txt": (
        "X.y=={}\n",
        "PyPI",
        "x-y",
        "1.2.10",
        ["1.2.9", "1.2.10rc1", "1.2"],
        ["1.2.10", "1.2.10.post1", "1.10"],
    ),
    "package-lock.json": (
        '{{"lockfileVersion": 3, "packages": {{"": {{}}, "node_modules/@x/y": {{"version": "{}"}}}}}}',
        *("npm", "@x/y", "1.2.3", ["1.2.3-rc.9", "1.2.3-alpha.10", "1.2.2+b9"], ["1.2.3", "1.2.3+b1", "1.2.4-alpha.1"]),
    ),
    "yarn.lock": (YARN, "npm", "@x/y", "1.2.3-rc.10", ["1.2.3-rc.9", "1.2.2"], ["1.2.3-rc.10", "1.2.3-rc.11", "1.2.3"]),
    "new/yarn.lock": (BERRY, "npm", "@x/y", "1.2.3", ["1.2.2"], ["1.2.3"]),
    "pnpm-lock.yaml": (
        "lockfileVersion: '9.0'\n\npackages:\n\n  '@x/y@{}':\n    resolution: {{integrity: sha512-0}}\n",
        *("npm", "@x/y", "1.2.3", ["1.2.3-rc.1"], ["1.2.3"]),
    ),
    "Cargo.lock": (
        'version = 4\n[[package]]\nname = "x_y"\nversion = "{}"\n',
        *(
            "crates.io",
            "x_y",
            "0.4.0-alpha.10",
            ["0.4.0-alpha.9", "0.3.99"],
            ["0.4.0-alpha.10", "0.4.0-alpha.11+b", "0.4.0"],
        ),
    ),
    "go.mod": (
        "module m\n\ngo 1.22\n\nrequire (\n\tgolang.org/x/net v{} // indirect\n)\n",
        *("Go", "golang.org/x/net", "0.7.1-0.20230601000000-0123456789ab"),
        ["0.7.0", "0.7.1-0.20230501000000-ffffffffffff", "0.0.0-20990101000000-abcdefabcdef"],
        ["0.7.1-0.20230601000000-0123456789ab", "0.7.1-0.20230701000000-000000000000", "0.7.1", "2.0.0+incompatible"],
    ),
    "pom.xml": (
        POM,
        "Maven",
        "org.x:y",
        "2.17.0",
        ["2.17.0-SNAPSHOT", "2.17.0-rc1", "2.9.10.8"],
        ["2.17.0", "2.17", "2.17.0.RELEASE", "2.17.0-sp1"],
    ),
    "gradle.lockfile": (
        "# generated\norg.x:y:{}=compileClasspath\nempty=\n",
        *("Maven", "org.x:y", "31.1-jre", ["31.0.1-jre", "31.1-alpha1"], ["31.1-jre", "32.0.0-jre"]),
    ),
    "Gemfile.lock": (
        "GEM\n  remote: https://rubygems.org/\n  specs:\n    x-y ({})\n      rack (~> 2.0)\n\nPLATFORMS\n  ruby\n",
        *(
            "RubyGems",
            "x-y",
            "5.2.4.3",
            ["5.2.4.3.rc1", "5.2.4.2", "5.2.4"],
            ["5.2.4.3", "5.2.4.3-x86_64-linux", "5.2.10"],
        ),
    ),
}


def advisory(ecosystem: str, name: str, *events: dict[str, str], **more: object) -> bytes:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    entry = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges} | more
    return json.dumps({"id": "X-1", "summary": "bad", "affected": [entry]}).encode()


def judged(file: str, text: str, database: bytes) -> tuple[list[str], list[str]]:
    """The versions that the advisory holds, and the reasons for which others are not judged."""
    found, unread = dependencies(read_archive(zipped({file: text})).files)
    assert unread == []
    result = compared(found, database)
    return [one.dependency.version for one in result.vulnerable], [one.reason for one in result.unjudged]


@pytest.mark.parametrize("file", sorted(CASES))
def test_what_is_known_bad_is_found_and_its_fixed_neighbour_is_not(file: str) -> None:
    text, ecosystem, name, fixed, bad, good = CASES[file]
    database = advisory(ecosystem, name, {"introduced": "0"}, {"fixed": fixed})
    assert [one for one in bad if judged(file, text.format(one), database) != ([one], [])] == []
    assert [one for one in good if judged(file, text.format(one), database) != ([], [])] == []
    other = advisory(ecosystem, name + "z", {"introduced": "0"})
    assert judged(file, text.format(bad[0]), other) == ([], [])


def one(ecosystem: str, version: str, database: bytes) -> tuple[bool, str]:
    result = compared([Dependency(ecosystem, "p", version, "f")], database)
    assert result.unjudged_all == len(result.unjudged)
    return bool(result.vulnerable), "".join(each.reason for each in result.unjudged)


def test_what_cannot_be_put_in_order_is_not_judged_and_said() -> None:
    spans = [{"introduced": "1.0.0"}, {"fixed": "2.0.0"}]
    assert one("npm", "1.2.3.4", advisory("npm", "p", *spans)) == (False, "1.2.3.4 is no version by the rules of npm")
    assert one("NuGet", "1.5.0", advisory("NuGet", "p", *spans)) == (False, "1.5.0 has no known order")
    assert one("NuGet", "1.5.0", advisory("NuGet", "p", *spans, versions=["1.5.0"])) == (True, "")
    told = one("npm", "1.5.0", advisory("npm", "p", {"introduced": "1.0.0"}, {"fixed": "x"}))
    assert told == (False, "its x is no version by the rules of npm")
    git = [{"type": "GIT", "repo": "https://x/y", "events": [{"introduced": "0"}]}]
    assert one("npm", "1.5.0", advisory("npm", "p", ranges=git)) == (False, "it names no versions, but git commits")
    assert one("npm", "1.5.0", advisory("npm", "p")) == (False, "it names no versions")
    assert one("npm", "1.5.0", advisory("npm", "p", ranges=git, versions=["1.4.0"])) == (False, "")
    assert one("PyPI", "1.5.0", advisory("PyPI", "p", versions=["1.5"])) == (True, "")
    assert one("npm", "9" * 900, advisory("npm", "p", *spans))[1].startswith("9" * 40)


def test_a_weakness_that_is_known_is_not_also_told_as_not_judged() -> None:
    first = json.loads(advisory("npm", "p", {"introduced": "0"}, {"fixed": "x"}))
    first["affected"] += json.loads(advisory("npm", "p", {"introduced": "0"}))["affected"]
    assert one("npm", "1.5.0", json.dumps(first).encode()) == (True, "")


def test_the_fix_that_is_told_is_the_first_after_the_version() -> None:
    events = [
        {"introduced": "0"},
        {"fixed": "9.1.0"},
        {"introduced": "10.0.0"},
        {"fixed": "10.0.4"},
        {"introduced": "11.0.0"},
    ]
    database = advisory("npm", "p", *events)

    def fix(version: str) -> str:
        return compared([Dependency("npm", "p", version, "f")], database).vulnerable[0].fixed

    assert (fix("9.0.9"), fix("10.0.1"), fix("11.2.0")) == ("9.1.0", "10.0.4", "")
    listed = advisory("npm", "p", *events, versions=["odd"])
    assert compared([Dependency("npm", "p", "odd", "f")], listed).vulnerable[0].fixed == "9.1.0, 10.0.4"


def test_the_scan_says_what_was_not_judged_and_which_files_were_not_read() -> None:
    files = {
        "package-lock.json": json.dumps({"packages": {"node_modules/p": {"version": "1.2.3.4"}}}),
        "composer.lock": "{}",
    }
    result = scan(read_archive(zipped(files)), advisory("npm", "p", {"introduced": "0"}))
    assert (
        "Not judged, so not known to be safe: 1 pairs of a dependency and an advisory that names it: p 1.2.3.4 in"
        " package-lock.json by X-1 (1.2.3.4 is no version by the rules of npm)." in result.findings
    )
    assert any("composer.lock" in line and "not read" in line for line in result.findings)
    assert any(
        "0 of 1 dependencies have known weaknesses" in line and "1 one that cannot" in line for line in result.findings
    )


def test_each_dependency_with_a_known_weakness_is_named() -> None:
    packages = {f"node_modules/p{number:02}": {"version": "1.2.3"} for number in range(22)}
    records = [json.loads(advisory("npm", f"p{number:02}", {"introduced": "0"})) for number in range(22)]
    files = {"package-lock.json": json.dumps({"packages": packages})}
    result = scan(read_archive(zipped(files)), json.dumps(records).encode())
    (told,) = (line for line in result.findings if line.startswith("Dependencies with known weaknesses: "))
    assert all(f"p{number:02} 1.2.3 in package-lock.json (" in told for number in range(20))
    assert told.endswith("; 2 more.")


def test_dependencies_of_an_ecosystem_that_the_database_does_not_hold_are_told() -> None:
    both = [
        Dependency("npm", "p", "1.0.0", "f"),
        Dependency("npm", "q", "1.0.0", "f"),
        Dependency("PyPI", "p", "1", "f"),
    ]
    assert compared(both, advisory("PyPI", "other", {"introduced": "0"})).uncovered == {"npm": 2}
    assert compared(both, advisory("Debian:12", "x", {"introduced": "0"})).uncovered == {"npm": 2, "PyPI": 1}
    files = {"package-lock.json": json.dumps({"packages": {"node_modules/p": {"version": "1.2.3"}}})}
    result = scan(read_archive(zipped(files)), advisory("PyPI", "p", {"introduced": "0"}))
    assert "Not judged: the database holds no advisories of npm (1 dependencies)." in result.findings


def test_of_many_that_are_not_judged_the_first_are_listed_and_all_are_counted() -> None:
    many = [Dependency("npm", "p", f"{n}.x", "f") for n in range(UNJUDGED_MAX + 5)]
    result = compared(many, advisory("npm", "p", {"introduced": "0"}))
    assert (len(result.unjudged), result.unjudged_all, result.strange) == (
        UNJUDGED_MAX,
        UNJUDGED_MAX + 5,
        UNJUDGED_MAX + 5,
    )


def read(file: str, text: str) -> set[tuple[str, str]]:
    found, unread = dependencies(read_archive(zipped({file: text})).files)
    assert unread == []
    return {(one.name, one.version) for one in found}


def test_an_alias_counts_as_what_it_stands_for_and_ones_own_packages_do_not_count() -> None:
    new = {"packages": {"": {}, "tools/own": {"version": "1.0.0"}, "node_modules/own": {"link": True}}}
    new["packages"] |= {
        "node_modules/a": {"name": "real", "version": "1.0.0"},
        "node_modules/a/node_modules/b": {"version": "2.0.0"},
    }
    assert read("package-lock.json", json.dumps(new)) == {("real", "1.0.0"), ("b", "2.0.0")}
    old = {"dependencies": {"a": {"version": "npm:@s/real@1.0.0", "dependencies": {"b": {"version": "2.0.0"}}}}}
    assert read("npm-shrinkwrap.json", json.dumps(old)) == {("@s/real", "1.0.0"), ("b", "2.0.0")}
    yarn = 'a@npm:@s/real@^1:\n  version "1.0.0"\n\nb@^2, b@^2.1:\n  version "2.1.0"\n\n"own@workspace:.":\n  version: 0.0.0\n'
    assert read("yarn.lock", yarn) == {("@s/real", "1.0.0"), ("b", "2.1.0")}
    pnpm = "dependencies:\n  c: 1.0.0\npackages:\n  /@s/a/1.0.0_x@2:\n    dev: false\n  /b/2.0.0:\n  /c@3.0.0(react@18.0.0):\n"
    pnpm += "  d@4.0.0: {}\nsnapshots:\n  e@5.0.0: {}\n"
    assert read("pnpm-lock.yaml", pnpm) == {("@s/a", "1.0.0"), ("b", "2.0.0"), ("c", "3.0.0"), ("d", "4.0.0")}


def test_go_modules_count_as_what_replaces_them_and_not_where_they_are_excluded() -> None:
    text = "module m\nrequire a.b/c v1.0.0\nrequire (\n\td.e/f v2.0.0+incompatible // indirect\n\tg.h/i v3.0.0\n"
    text += "\tj.k/l v4.0.0\n)\nexclude (\n\tx.y/z v9.0.0\n)\nexclude x.y/w v9.0.0\nretract v0.1.0\n"
    text += "replace (\n\tg.h/i => g.h/other v3.1.0\n)\nreplace j.k/l v4.0.0 => ../l\n"
    assert read("go.mod", text) == {
        ("a.b/c", "1.0.0"),
        ("d.e/f", "2.0.0+incompatible"),
        ("g.h/other", "3.1.0"),
        ("j.k/l", ""),
    }


def test_a_pom_is_read_with_its_properties_and_its_managed_versions() -> None:
    def entry(name: str, version: str = "", kind: str = "dependency") -> str:
        told = f"<version>{version}</version>" if version else ""
        return f"<{kind}><groupId>org.x</groupId><artifactId>{name}</artifactId>{told}</{kind}>"

    listed = entry("a", "${v.a}") + entry("b") + entry("c", "[1.0]") + entry("d", "[1.0,2.0)") + entry("e", "${loop}")
    listed += entry("f", "${project.version}") + entry("g", "${nowhere}")
    text = "<project><parent><groupId>org.p</groupId><artifactId>p</artifactId><version>7</version></parent>"
    text += f"<dependencies>{listed}</dependencies>"
    text += "<properties><v.a>${v.b}</v.a><v.b>1.5</v.b><loop>${loop}${loop}</loop></properties>"
    text += f"<dependencyManagement><dependencies>{entry('b', '2.5')}</dependencies></dependencyManagement>"
    text += (
        "<build><plugins><plugin><artifactId>q</artifactId><version>3</version></plugin></plugins></build></project>"
    )
    found = read("pom.xml", text)
    assert found == {
        *(
            ("org.x:a", "1.5"),
            ("org.x:b", "2.5"),
            ("org.x:c", "1.0"),
            ("org.x:d", ""),
            ("org.x:e", ""),
            ("org.x:f", "7"),
        ),
        *(("org.x:g", ""), ("org.apache.maven.plugins:q", "3"), ("org.p:p", "7")),
    }


def test_a_gem_of_a_commit_or_a_folder_is_not_one_of_the_server() -> None:
    text = "GIT\n  remote: https://x/y\n  specs:\n    own (1.0)\n\nGEM\n  specs:\n    a (1.0)\n    b (2.0-java)\n      c (>= 1)\n"
    assert read("Gemfile.lock", text + "\nDEPENDENCIES\n    d (1)\n") == {("a", "1.0"), ("b", "2.0")}


BROKEN = {
    "bombs/pom.xml": '<!DOCTYPE p [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><project>&b;</project>',
    "broken/pom.xml": "<project><dependencies>",
    "number/package-lock.json": '{"packages": {"node_modules/a": {"version": 1}}}',
    "half/package-lock.json": '{"packages": {"node_modules/a": {"version": "\\ud800"}}}',
    "list/package-lock.json": '{"packages": [1]}',
    "deep/package-lock.json": '{"dependencies": {"a": ' * 60 + "{}" + "}}" * 60,
    "odd/gradle.lockfile": "org.x:y=compileClasspath\n",
    "long/Cargo.lock": "#" * 999_999 + "é",
} | {f"kinds/{name}": "x" for name in NOT_READ}


def test_what_cannot_be_read_is_told_file_by_file() -> None:
    found, unread = dependencies(read_archive(zipped(BROKEN)).files)
    assert found == []
    assert {one.path for one in unread} | {"long/Cargo.lock"} == set(BROKEN)


FILES = [
    "pom.xml",
    "yarn.lock",
    "pnpm-lock.yaml",
    "go.mod",
    "Gemfile.lock",
    "gradle.lockfile",
    "Cargo.lock",
    "package-lock.json",
]
PIECES = st.sampled_from(
    [
        "GEM\n",
        "    a (1)\n",
        "packages:\n",
        "  /a@1:\n",
        "a@1:\n",
        '  version "1"\n',
        "require (\n",
        "a.b/c v1\n",
        "=> ",
    ]
) | st.sampled_from(
    ["<project>", "<dependency>", "</dependency>", "</project>", "${a}", "a:b:1=c\n", '{"packages": {', "}}"]
)


@given(st.lists(PIECES | st.text(max_size=9), max_size=12).map("".join), st.sampled_from(FILES))
def test_any_lock_file_is_read_or_told(text: str, name: str) -> None:
    dependencies(read_archive(zipped({name: text.encode("utf-8", "replace"), "a.py": "x"})).files)
