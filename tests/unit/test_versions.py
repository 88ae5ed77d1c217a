"""Versions are put in order by the rules of their ecosystem; the lists are those of each ecosystem's own documents."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.artemis.tools.analysers.versions import ECOSYSTEMS, VERSION_CHARS_MAX, Ordered, parsed

ASCENDING = {
    "PyPI": "1.0.dev456 1.0a1 1.0a2.dev456 1.0a12 1.0b1.dev456 1.0b2 1.0rc1 1.0 1.0+abc.5 1.0.post456 1.1.dev1 1!0.1",
    "npm": "1.0.0-0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.9 1.0.0-alpha.10 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.0.10 2",
    "crates.io": "0.1.0-pre 0.1.0 0.2.0-alpha.2 0.2.0-alpha.10+2026.11 0.2.0",
    "Go": "v0.0.0-20190101000000-abcdefabcdef v0.0.0-20200101000000-0bcdefabcdef 1.2 v1.2.4-0.20200101000000-abcdefabcdef v1.2.4",
    "Maven": "1.0.0-alpha-1 1-alpha-2 1-beta 1-milestone-1 1-rc-1 1-cr-2 1-SNAPSHOT 1 1-sp 1-abc 1-1 1.0.1 1.2 1.10 31-jre 31.1",
    "RubyGems": "1.0.a.2 1.0.b1 1.0.0.pre 1.0 1.0.1 5.2.4 5.2.4.3 5.2.10",
}
ALIKE = {
    "PyPI": [("1.0", "1"), ("1.0-RC1", "1.0rc1"), ("v1", "1")],
    "npm": [("1.2.3+b1", "1.2.3+b2"), ("v1.2.3", "1.2.3"), ("1.2", "1.2.0")],
    "crates.io": [("1.2.3+x", "1.2.3")],
    "Go": [("v2.0.0+incompatible", "2.0.0")],
    "Maven": [("1", "1.0.0"), ("1.ga", "1"), ("1.0.RELEASE", "1-final"), ("1-a1", "1-alpha-1"), ("1.RC1", "1-cr1")],
    "RubyGems": [("1.0", "1.0.0"), ("1.0-1", "1.0.pre.1")],
}
NONE = {
    "PyPI": ["", "not.a.version", "latest", "1.0-x_64"],
    "npm": ["", "latest", "1.2.3.4", "01.2.3", "file:../x", "git+ssh://x/y#v1", "^1.2.3", "1.x"],
    "crates.io": ["1.0.0-", "*", "1.0.0-01"],
    "Go": ["", "v", "master", "1.2.3-"],
    "Maven": ["", "latest", "[1,2)", "${version}", "1 2"],
    "RubyGems": ["", " ", "abc", "1.0 2", "1..2"],
    "Packagist": ["1.0.0"],
}


@pytest.mark.parametrize("ecosystem", sorted(ECOSYSTEMS))
def test_each_ecosystem_has_its_own_order(ecosystem: str) -> None:
    written = ASCENDING[ecosystem].split()
    for lower, higher in itertools.combinations(written, 2):
        assert compare(ecosystem, lower, higher) == "<", (lower, higher)
        assert compare(ecosystem, higher, lower) == ">", (lower, higher)
    for one, other in ALIKE[ecosystem]:
        assert compare(ecosystem, one, other) == "=", (one, other)


@pytest.mark.parametrize("ecosystem", sorted(NONE))
def test_what_is_no_version_has_no_order(ecosystem: str) -> None:
    assert [text for text in NONE[ecosystem] if parsed(ecosystem, text) is not None] == []
    for hostile in ("1-" * 20_000 + "1", "9" * 100_000, "1" * (VERSION_CHARS_MAX + 1), "²", "1.٣.0"):
        assert parsed(ecosystem, hostile) is None


def compare(ecosystem: str, one: str, other: str) -> str:
    """Exactly one of the three, or the assertion fails."""
    a, b = order(ecosystem, one), order(ecosystem, other)
    (sign,) = [sign for sign, holds in (("<", a < b), ("=", a == b), (">", b < a)) if holds]
    return sign


def order(ecosystem: str, text: str) -> Ordered:
    found = parsed(ecosystem, text)
    assert found is not None, text
    return found


VERSIONS = st.text("0123.-+abrcv", max_size=12) | st.text(max_size=8) | st.text("1-.", min_size=190, max_size=200)


@given(st.sampled_from(sorted(ECOSYSTEMS)), VERSIONS, VERSIONS)
def test_two_versions_that_are_read_are_in_one_order(ecosystem: str, one: str, other: str) -> None:
    if parsed(ecosystem, one) is not None and parsed(ecosystem, other) is not None:
        assert compare(ecosystem, one, one) == "="
        assert {compare(ecosystem, one, other), compare(ecosystem, other, one)} in ({"<", ">"}, {"="})
