"""Security: weak code (bandit), secrets (detect-secrets), bad dependencies (OSV), workflows (zizmor), open settings (rules).

A scan finds candidates, not proof: each names its rule and place, and whether it stands in a test. The code of a place is not
repeated, for a secret may stand in it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from actors.artemis.tools import security_findings
from actors.artemis.tools.analysers import advisories, misconfiguration, parsing, secret_scan, weaknesses, workflows
from actors.artemis.tools.analysers.advisories import Compared, Vulnerable
from actors.artemis.tools.analysers.dependencies import Dependency, dependencies, line_of
from actors.artemis.tools.analysers.programs import Deadline, Unread, unread_sentences
from actors.artemis.tools.history import taken_out
from actors.artemis.tools.left_out import secret_kind
from actors.artemis.tools.places import Count, Place, Severity, counts, ordered
from actors.artemis.tools.source_tree import Refused, SourceFile, SourceTree, read_archive
from actors.tool import Fetch, tool
from contracts.alerts import Alarm
from contracts.grounds import Basis
from runtime.ports import Tool, ToolLimits

SECONDS_MAX = 240.0
ALARM_PRIORITY = 8
LOCATED_MAX = 500  # bad dependencies whose line is looked for
ANALYSES = 5
"""Code, secrets, workflows, settings, dependencies."""
ALARM_PLACES_MAX = 5
UNCERTAIN = frozenset({"Base64 High Entropy String", "Hex High Entropy String"})
"""Detectors that know a secret by its randomness only; many a checksum is random, too."""

_BANDIT: dict[str, Severity] = {"HIGH": "high", "MEDIUM": "medium", "LOW": "low", "UNDEFINED": "low"}
_ZIZMOR: dict[str, Severity] = {
    "High": "high",
    "Medium": "medium",
    "Low": "low",
    "Informational": "low",
    "Unknown": "low",
}


class SecurityArguments(Struct, frozen=True, kw_only=True):
    """`archive` is the digest of a stored zip or tar.gz of a source tree, `advisories` that of a database in the OSV format."""

    archive: str
    question: str = ""
    advisories: str | UnsetType = UNSET


class SecurityResult(Struct, frozen=True, kw_only=True):
    """The first places, worst first, and counts of all; `compared` is None where no advisory database was given.

    `suppressed` counts the places, among all, that a comment in the code asks to pass over.
    """

    findings: tuple[str, ...]
    files: int
    places: tuple[Place, ...]
    by_severity: tuple[Count, ...]
    by_rule: tuple[Count, ...]
    suppressed: int
    dependencies: int
    compared: Compared | None
    parse_failures: tuple[Unread, ...]
    refused: tuple[Refused, ...]
    alarms: tuple[Alarm, ...] = ()
    basis: Basis | UnsetType = UNSET


def scan(tree: SourceTree, database: bytes | None = None, seconds: float = SECONDS_MAX) -> SecurityResult:
    """The whole scan; what an analyser cannot do, or not in time, is said in the findings."""
    tree, _ = taken_out(tree)
    deadline, missing = Deadline(seconds), tree.passed_over
    tests = {file.path for file in tree.files if file.is_test}
    named, undeclared = dependencies(tree.files)
    missing += unread_sentences("dependencies", undeclared)
    compared = advisories.compared(named, database) if database is not None else None
    settings, unset = misconfiguration.misconfigured(tree.files)
    missing += unread_sentences("settings", unset)
    misused, unrun = workflows.misuses(tree.files, deadline)
    missing += unread_sentences("workflows (zizmor)", unrun)
    python, failures = parsing.parsed(tree.python, deadline)
    weak = weaknesses.weaknesses(python, deadline)
    leaks, unscanned, passed = secret_scan.leaks(sorted(tree.files, key=lambda file: file.is_test), deadline)
    missing += unread_sentences("weak code (bandit)", weak.unread)
    missing += unread_sentences("secrets (detect-secrets)", unscanned)
    unread = {one.path for one in (*undeclared, *unset, *unrun, *failures, *weak.unread, *unscanned)}
    found = [
        *(
            _place(f"{one.test} {one.name}", _BANDIT[one.severity], one.path, one.line, _told(one.message, one.hushed))
            for one in weak.found
        ),
        *(
            _place(f"secret: {one.kind}", _leak(one.kind), one.path, one.line, _told(_left(one.kind), one.hushed))
            for one in leaks
        ),
        *(_place(one.audit, _ZIZMOR[one.severity], one.path, one.line, one.message) for one in misused),
        *(_place(one.rule, one.severity, one.path, one.line, one.message) for one in settings),
        *_known(compared.vulnerable if compared else (), {file.path: file.text for file in tree.files}),
        *_secret_files(tree),
    ]
    found = [_in_test(place, tests) for place in found]
    result = SecurityResult(
        findings=(),
        files=len(tree.files),
        places=ordered(found),
        by_severity=counts(found, "severity"),
        by_rule=counts(found, "rule"),
        suppressed=sum(one.hushed for one in weak.found) + sum(one.hushed for one in leaks),
        dependencies=len(named),
        compared=compared,
        parse_failures=tuple(failures),
        refused=tree.refused,
        basis=tree.basis(
            {file.path for file in tree.files}, unread, ANALYSES, ANALYSES - (bool(named) and compared is None)
        ),
    )
    return security_findings.told(
        result, found, tree.warnings, [*security_findings.scope(tree.files, named, passed), *missing]
    )


def _secret_files(tree: SourceTree) -> Iterable[Place]:
    """Files that by their names, or as who packed the tree saw, hold secrets: that they are there is the finding."""
    read = [(secret_kind(file.path), file.path, "") for file in tree.files]
    left = [(one.why, name, "; it was not looked into") for one in tree.left for name in one.names]
    for why, path, more in (*read, *left):
        if why == "key":
            message = f"what looks like a file of a private key lies in the tree{more}"
            yield _place("secret file: private key", "high", path, 1, message)
        elif why == "environment":
            message = f"a file of environment variables, which often are secrets, lies in the tree{more}"
            yield _place("secret file: environment variables", "medium", path, 1, message)


def _place(rule: str, severity: Severity, path: str, line: int, message: str) -> Place:
    return Place(rule=rule, severity=severity, path=path, line=line, code="", message=message, in_test=False)


def _told(message: str, hushed: bool) -> str:
    return f"{message}, though a comment there asks to pass it over" if hushed else message


def _in_test(place: Place, tests: Iterable[str]) -> Place:
    return replace(place, in_test=place.path in tests or SourceFile(place.path, "", "").is_test)


def _leak(kind: str) -> Severity:
    return "low" if kind in UNCERTAIN else "medium" if kind == "Secret Keyword" else "high"


def _left(kind: str) -> str:
    return f"what looks like a secret ({kind}) is written out" + (
        ", known by its randomness only" if kind in UNCERTAIN else ""
    )


def _known(found: Sequence[Vulnerable], texts: Mapping[str, str]) -> Iterator[Place]:
    lines: dict[Dependency, int] = {}
    for one in found:
        if one.dependency not in lines:
            lines[one.dependency] = (
                line_of(one.dependency, texts[one.dependency.path]) if len(lines) < LOCATED_MAX else 1
            )
        also = f" ({', '.join(one.aliases)})" if one.aliases else ""
        fixed = f"; fixed in {one.fixed}" if one.fixed else "; no later version is named as fixed"
        unsure = "" if one.stated else "; its severity is not stated"
        named = f"{one.dependency.name} {one.dependency.version}"
        message = f"{named} has a known weakness{also}: {one.summary}{fixed}{unsure}"
        yield _place(one.advisory, one.severity, one.dependency.path, lines[one.dependency], message)


def _run(arguments: SecurityArguments, blobs: Fetch) -> SecurityResult:
    database = blobs(arguments.advisories) if isinstance(arguments.advisories, str) else None
    result = scan(read_archive(blobs(arguments.archive)), database)
    return replace(result, alarms=alarms(result, arguments.archive))


def alarms(result: SecurityResult, archive: str) -> tuple[Alarm, ...]:
    """One where anything of high severity was found outside of tests."""
    high = [place for place in result.places if place.severity == "high" and not place.in_test]
    if not high:
        return ()
    listed = "; ".join(f"{place.message} at {place.path}:{place.line}" for place in high[:ALARM_PLACES_MAX])
    more = len(high) - ALARM_PLACES_MAX
    alarm = Alarm(
        subject=archive,
        title=f"{len(high):,} security findings of high severity in a source tree",
        text=f"{listed}{f'; and {more:,} more' if more > 0 else ''}.",
        alert_priority=ALARM_PRIORITY,
        category="risk_management",
    )
    return (alarm,)


SECURITY: Tool = tool(
    "security",
    _run,
    "Reads a stored archive of source code: weak code, secrets, known-bad dependencies, open settings, by file and line.",
    permission="artemis:read",
    limits=ToolLimits(s_max=SECONDS_MAX + 30, memory_bytes_max=2 << 30),
)
