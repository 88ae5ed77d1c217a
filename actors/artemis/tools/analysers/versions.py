"""Which of two versions comes first, by the rules of the ecosystem that they are of; what follows no rule here has no order.

Python's rules order npm's `1.2.3-alpha.10`, Go's pseudo-versions and Maven's `1.0-SNAPSHOT` wrongly or not at all, and a wrong
order is a weakness passed over. Each ecosystem's rules are a library's; what is written here only brings a version into its form.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

VERSION_CHARS_MAX = 200  # Maven's `1-1-1-…` is a nested list: a longer one is no version, but an attack on the stack.
PARSED_MAX = 20_000


class Ordered(Protocol):
    """A version in an order: exactly one of `<`, `==` and `>` holds for two of one ecosystem."""

    def __lt__(self, other: Any, /) -> bool: ...


@lru_cache(maxsize=PARSED_MAX)
def parsed(ecosystem: str, version: str) -> Ordered | None:
    """The version as something that can be compared; None where no rule known here reads it."""
    rule = _RULES.get(ecosystem)
    if rule is None or len(version) > VERSION_CHARS_MAX:
        return None
    try:
        return rule(version)
    except ValueError:  # Of which every library's own error is a kind.
        return None


def _python(version: str) -> Ordered:
    """PEP 440."""
    from packaging.version import Version

    return Version(version)


def _semantic(version: str) -> Ordered:
    """Semantic Versioning 2.0.0: pre-releases in order, build metadata of no account (so Go's `+incompatible`, too)."""
    from semver import Version

    return Version.parse(version.removeprefix("v"), optional_minor_and_patch=True)


def _maven(version: str) -> Ordered:
    """Maven's ComparableVersion as of 3.9: a dot before a qualifier is a hyphen, and `release` is `ga` and `final`."""
    from univers.maven import Version

    if not re.fullmatch(r"[\w.+-]*\d[\w.+-]*", version, re.ASCII):
        raise ValueError(version)
    order: Ordered = Version(re.sub(r"\.(?=[a-z])", "-", version.lower()).removesuffix("-release"))
    return order


def _gem(version: str) -> Ordered:
    """Gem::Version: a segment with letters is a pre-release."""
    from univers.gem import GemVersion

    if not version.strip():
        raise ValueError(version)
    order: Ordered = GemVersion(version)
    return order


_RULES: dict[str, Callable[[str], Ordered]] = {
    "PyPI": _python,
    "npm": _semantic,
    "crates.io": _semantic,
    "Go": _semantic,
    "Maven": _maven,
    "RubyGems": _gem,
}

ECOSYSTEMS = frozenset(_RULES)
"""Those whose versions can be put in order, by their names in the OSV format."""
