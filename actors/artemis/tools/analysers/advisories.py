"""Known weaknesses of packages, out of a database in the OSV format that the operator gives; nothing is asked of the internet.

https://ossf.github.io/osv-schema: a version is affected where a record lists it, or where one of its ranges holds it: from an
`introduced` on, until a `fixed` (not included) or a `last_affected` (included). Ranges of git commits are not looked at.
"""

import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from actors.artemis.tools.analysers.dependencies import Dependency, normalised
from actors.artemis.tools.places import Severity
from runtime.errors import OutcomeError
from runtime.text import clip

OSV = "application/vnd.osv"
"""The media type of a stored database, which `diarchy import` knows by its name."""

RECORDS_MAX = 500_000
RECORD_BYTES_MAX = 4_000_000
BYTES_MAX = 4_000_000_000  # of all records
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


class Compared(Struct, frozen=True, kw_only=True):
    """`open` counts dependencies without a version, `strange` those whose version cannot be put in order."""

    vulnerable: tuple[Vulnerable, ...]
    records: int
    newest: str
    open: int
    strange: int


def compared(found: Sequence[Dependency], database: bytes) -> Compared:
    """Each dependency against all records. Raises OutcomeError when the database is none in the OSV format."""
    by_name: dict[tuple[str, str], list[Dependency]] = defaultdict(list)
    for one in found:
        if one.version:
            by_name[one.ecosystem, one.name].append(one)
    strange = {one for one in found if one.version and _ordered(one.ecosystem, one.version) is None}
    vulnerable: dict[tuple[Dependency, str], Vulnerable] = {}
    records, newest = 0, ""
    for record in _records(database):
        records += 1
        newest = max(newest, record.modified[:10])
        if record.withdrawn:
            continue
        for affected in record.affected:
            ecosystem = affected.package.ecosystem.partition(":")[0]
            for one in by_name.get((ecosystem, normalised(ecosystem, affected.package.name)), ()):
                if _holds(affected, one):
                    vulnerable[one, record.id] = _vulnerable(one, record, affected)
    if not records:
        raise OutcomeError("the advisory database is no file in the OSV format: it holds no record")
    return Compared(
        vulnerable=tuple(vulnerable[key] for key in sorted(vulnerable)),
        records=records,
        newest=newest,
        open=sum(not one.version for one in found),
        strange=len(strange),
    )


def _vulnerable(one: Dependency, record: _Record, affected: _Affected) -> Vulnerable:
    said = str(record.database_specific.severity).upper() if record.database_specific else ""
    fixes = sorted(
        {event.fixed for span in affected.ranges for event in span.events if event.fixed and span.type != "GIT"}
    )
    return Vulnerable(
        dependency=one,
        advisory=record.id,
        aliases=tuple(record.aliases[:5]),
        severity=_SEVERITIES.get(said, "medium"),
        stated=said in _SEVERITIES,
        summary=clip(" ".join(record.summary.split()), 200),
        fixed=", ".join(fixes[:5]),
    )


def _ordered(ecosystem: str, version: str) -> object:
    """The version as something that can be compared; None for one that follows no rule known here."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version.removeprefix("v") if ecosystem == "Go" else version)
    except InvalidVersion:
        return None


def _holds(affected: _Affected, one: Dependency) -> bool:
    from packaging.version import Version

    if one.version in affected.versions:
        return True
    version = _ordered(one.ecosystem, one.version)
    if not isinstance(version, Version):
        return False
    return any(span.type != "GIT" and _within(version, span.events, one.ecosystem) for span in affected.ranges)


def _within(version: object, events: Iterable[_Event], ecosystem: str) -> bool:
    """The OSV schema's own evaluation: the last event at or before the version decides."""
    from packaging.version import Version

    steps: list[tuple[Version, int, bool]] = []
    for event in events:
        if event.introduced is not None:
            at = Version("0.dev0") if event.introduced == "0" else _ordered(ecosystem, event.introduced)
            steps += [(at, 0, True)] if isinstance(at, Version) else []
        if event.fixed is not None and isinstance(at := _ordered(ecosystem, event.fixed), Version):
            steps.append((at, 1, False))
        if event.last_affected is not None and isinstance(at := _ordered(ecosystem, event.last_affected), Version):
            steps.append((at, 2, False))
    inside = False
    for at, kind, opens in sorted(steps):
        if isinstance(version, Version) and (version > at if kind == 2 else version >= at):
            inside = opens
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
