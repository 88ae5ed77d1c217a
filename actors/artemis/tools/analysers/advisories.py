"""Known weaknesses of packages, out of a database in the OSV format that the operator gives; nothing is asked of the internet.

https://ossf.github.io/osv-schema: a version is affected where a record lists it, or where one of its ranges holds it: from an
`introduced` on, until a `fixed` (not included) or a `last_affected` (included). Versions are put in order by the rules of their
ecosystem; what cannot be put in order, and advisories that name git commits only, are told as not judged.
"""

import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.dependencies import Dependency, normalised
from actors.artemis.tools.analysers.versions import ECOSYSTEMS, Ordered, parsed
from actors.artemis.tools.places import Severity
from runtime.errors import OutcomeError
from runtime.text import clip

OSV = "application/vnd.osv"
"""The media type of a stored database, which `diarchy import` knows by its name."""

RECORDS_MAX = 500_000
RECORD_BYTES_MAX = 4_000_000
BYTES_MAX = 4_000_000_000  # of all records
UNJUDGED_MAX = 100  # that are listed; all are counted
_SEVERITIES: dict[str, Severity] = {
    "CRITICAL": "high",
    "HIGH": "high",
    "MODERATE": "medium",
    "MEDIUM": "medium",
    "LOW": "low",
}


class _Package(Struct, frozen=True):
    ecosystem: str = ""
    name: str = ""


class _Event(Struct):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None


class _Range(Struct):
    type: str = ""
    events: list[_Event] = []


class _Affected(Struct):
    package: _Package = _Package()
    ranges: list[_Range] = []
    versions: list[str] = []


class _Specific(Struct):
    severity: object = None


class _Record(Struct):
    id: str
    modified: str = ""
    withdrawn: str | None = None
    summary: str = ""
    aliases: list[str] = []
    affected: list[_Affected] = []
    database_specific: _Specific | None = None


class Vulnerable(Struct, frozen=True, kw_only=True):
    """A dependency whose version an advisory names; `severity` as the database says ("medium" where it says none)."""

    dependency: Dependency
    advisory: str
    aliases: tuple[str, ...]
    severity: Severity
    stated: bool
    summary: str
    fixed: str


class Unjudged(Struct, frozen=True, order=True):
    """A dependency that an advisory names, and why it cannot be said whether it is affected."""

    dependency: Dependency
    advisory: str
    reason: str


class Compared(Struct, frozen=True, kw_only=True):
    """`open` counts dependencies without a version, `strange` those whose version cannot be put in order.

    `unjudged` lists the first of the pairs of a dependency and an advisory that could not be judged, `unjudged_all` counts them;
    `uncovered` counts the dependencies of ecosystems of which the database holds no record.
    """

    vulnerable: tuple[Vulnerable, ...]
    records: int
    newest: str
    open: int
    strange: int
    unjudged: tuple[Unjudged, ...] = ()
    unjudged_all: int = 0
    uncovered: dict[str, int] = {}


def compared(found: Sequence[Dependency], database: bytes) -> Compared:
    """Each dependency against all records. Raises OutcomeError when the database is none in the OSV format."""
    by_name: dict[tuple[str, str], list[Dependency]] = defaultdict(list)
    for one in found:
        if one.version:
            by_name[one.ecosystem, one.name].append(one)
    vulnerable: dict[tuple[Dependency, str], Vulnerable] = {}
    unjudged: dict[tuple[Dependency, str], Unjudged] = {}
    records, newest, covered = 0, "", set[str]()
    for record in _records(database):
        records += 1
        newest = max(newest, record.modified[:10])
        if record.withdrawn:
            continue
        for affected in record.affected:
            ecosystem = affected.package.ecosystem.partition(":")[0]
            covered.add(ecosystem)
            for one in by_name.get((ecosystem, normalised(ecosystem, affected.package.name)), ()):
                match _judged(affected, one):
                    case True:
                        vulnerable[one, record.id] = _vulnerable(one, record, affected)
                    case str(reason):
                        unjudged[one, record.id] = Unjudged(one, record.id, reason)
    if not records:
        raise OutcomeError("the advisory database is no file in the OSV format: it holds no record")
    unknown = [unjudged[key] for key in sorted(unjudged) if key not in vulnerable]
    return Compared(
        vulnerable=tuple(vulnerable[key] for key in sorted(vulnerable)),
        records=records,
        newest=newest,
        open=sum(not one.version for one in found),
        strange=sum(bool(one.version) and parsed(one.ecosystem, one.version) is None for one in found),
        unjudged=tuple(unknown[:UNJUDGED_MAX]),
        unjudged_all=len(unknown),
        uncovered=Counter(one.ecosystem for one in found if one.ecosystem not in covered),
    )


def _vulnerable(one: Dependency, record: _Record, affected: _Affected) -> Vulnerable:
    said = str(record.database_specific.severity).upper() if record.database_specific else ""
    return Vulnerable(
        dependency=one,
        advisory=record.id,
        aliases=tuple(record.aliases[:5]),
        severity=_SEVERITIES.get(said, "medium"),
        stated=said in _SEVERITIES,
        summary=clip(" ".join(record.summary.split()), 200),
        fixed=_fixed(affected, one),
    )


def _fixed(affected: _Affected, one: Dependency) -> str:
    """The first version after the dependency's own that is told as a fix; where that has no order, those that are told."""
    fixes = dict.fromkeys(
        event.fixed for span in affected.ranges for event in span.events if event.fixed and span.type != "GIT"
    )
    own = parsed(one.ecosystem, one.version)
    later = [(order, fix) for fix in fixes if own and (order := parsed(one.ecosystem, fix)) is not None and own < order]
    return min(later)[1] if later else "" if own else ", ".join(list(fixes)[:5])


def _judged(affected: _Affected, one: Dependency) -> bool | str:
    """Whether the entry holds the dependency's version, or why that cannot be said."""
    if one.version in affected.versions:
        return True
    spans = [span for span in affected.ranges if span.type != "GIT"]
    if not spans and not affected.versions:
        return "it names no versions, but git commits" if affected.ranges else "it names no versions"
    version = parsed(one.ecosystem, one.version)
    if version is None:
        known = (
            f"is no version by the rules of {one.ecosystem}" if one.ecosystem in ECOSYSTEMS else "has no known order"
        )
        return f"{clip(one.version, 50)} {known}"
    if any(parsed(one.ecosystem, listed) == version for listed in affected.versions):
        return True
    answers = [_within(version, span.events, one.ecosystem) for span in spans]
    return True in answers or next((answer for answer in answers if isinstance(answer, str)), False)


def _within(version: Ordered, events: Sequence[_Event], ecosystem: str) -> bool | str:
    """The OSV schema's own evaluation: the last event at or before the version decides. Or which event has no order."""
    inside = any(event.introduced == "0" for event in events)  # Before every version.
    steps: list[tuple[Ordered, int]] = []
    for event in events:
        written = (event.introduced if event.introduced != "0" else None, event.fixed, event.last_affected)
        for kind, text in enumerate(written):
            if text is None:
                continue
            if (at := parsed(ecosystem, text)) is None:
                return f"its {clip(text, 50)} is no version by the rules of {ecosystem}"
            steps.append((at, kind))
    for at, kind in sorted(steps):
        if (at < version) if kind == 2 else not version < at:
            inside = kind == 0
    return inside


def _records(database: bytes) -> Iterator[_Record]:
    """The records of a zip of JSON files, of one JSON record or list of them, or of JSON lines."""
    try:
        for content in _contents(database):
            yield from _decoded(content)
    except (msgspec.DecodeError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise OutcomeError(f"the advisory database is no file in the OSV format: {type(error).__name__}") from error


def _decoded(content: bytes) -> list[_Record]:
    if content.lstrip()[:1] == b"[":
        return msgspec.json.decode(content, type=list[_Record])
    try:
        return [msgspec.json.decode(content, type=_Record)]
    except msgspec.DecodeError:  # One record a line.
        return [msgspec.json.decode(line, type=_Record) for line in content.splitlines() if line.strip()]


def _contents(database: bytes) -> Iterator[bytes]:
    if database[:4] != b"PK\x03\x04":
        yield database
        return
    with zipfile.ZipFile(io.BytesIO(database)) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.endswith(".json")]
        if len(entries) > RECORDS_MAX or sum(entry.file_size for entry in entries) > BYTES_MAX:
            raise OutcomeError(f"the advisory database holds more than {RECORDS_MAX:,} records or {BYTES_MAX:,} bytes")
        for entry in entries:
            with archive.open(entry) as member:
                yield member.read(RECORD_BYTES_MAX)
