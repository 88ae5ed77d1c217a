"""Artemis's four teams."""

from collections.abc import Sequence

from msgspec import UNSET

from actors.artemis.tools.analysers.advisories import OSV
from actors.artemis.tools.code_analysis import CodeAnalysisArguments
from actors.artemis.tools.performance_analysis import PerformanceAnalysisArguments
from actors.artemis.tools.security import SecurityArguments
from actors.artemis.tools.system_monitoring import SystemMonitoringArguments
from actors.artemis.watching import monitor, time_taken
from actors.team import (
    Examined,
    Team,
    examine_evidence,
    examine_file,
    on_repository,
    repository_of,
    run_tool,
)
from contracts.domains import Partition
from contracts.model import Section
from contracts.retrieval import Hit
from runtime.effects import Effects

PARTITIONS: tuple[Partition, ...] = ("artemis_technical", "code_knowledge", "shared_knowledge")
ARCHIVES = ("application/zip", "application/gzip")

system_monitoring = Team(
    name="system_monitoring",
    role="Artemis's system monitoring team",
    cues=(
        "incident",
        "outage",
        "monitor",
        "alert",
        "uptime",
        "availab",
        "down",
        "health",
        "latency",
        "error",
        "recover",
        "operat",
    ),
    partitions=PARTITIONS,
    sections=(
        Section("summary", "The answer in a few sentences."),
        Section("incidents", "What happened, to which services, how bad and how long."),
        Section("causes", "The causes, and what they have in common."),
        Section("recommendations", "What to change so that it does not happen again."),
    ),
    examine=examine_evidence("system_monitoring", lambda _, evidence: SystemMonitoringArguments(evidence=evidence)),
    work=monitor,
    more_cues=("unusual", "anomal", "jetstream", "metric"),
    answers=(
        Section("summary", "The answer in a few sentences."),
        Section(
            "state", "Health, machine, JetStream, roles and requests, at the last measurement and over the window."
        ),
        Section(
            "unusual",
            "What is unusual: at which times, which figures went from what to what together, by which methods.",
        ),
        Section("incidents", "Incidents that are described: severity, services, recovery, causes."),
    ),
)


def _code_arguments(digest: str, _: str) -> CodeAnalysisArguments:
    return CodeAnalysisArguments(archive=digest)


_stored_code = examine_file("code_analysis", PARTITIONS, ARCHIVES, _code_arguments)

code_analysis = Team(
    name="code_analysis",
    role="Artemis's code analysis team",
    cues=(
        "code",
        "source",
        "module",
        "function",
        "class",
        "refactor",
        "complex",
        "depend",
        "maintain",
        "test",
        "architect",
        "debt",
        "quality",
    ),
    partitions=PARTITIONS,
    sections=(
        Section("summary", "The answer in a few sentences."),
        Section("structure", "How the code is built: languages, size, modules, dependencies."),
        Section("hot_spots", "The most complex and riskiest places, with file and line."),
        Section("recommendations", "What to change first."),
    ),
    examine=_stored_code,
    work=on_repository("code_analysis", _code_arguments, _stored_code),
    more_cues=("file", "repositor"),
)


async def scanned(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
    """The security scan of the code that the question names, or of the most relevant stored archive, with stored advisories."""
    archive = repository_of(hits) or await _archive(question, effects)
    if archive is None or archive.entry.attachment is None:
        return Examined()
    known = await effects.search(PARTITIONS, "Advisory database", limit=1, media_type=OSV)
    digest = known[0].entry.attachment if known else None
    arguments = SecurityArguments(archive=archive.entry.attachment, advisories=digest or UNSET)
    return Examined(await run_tool("security", arguments, archive.entry.title, effects), (archive, *known))


async def _archive(question: str, effects: Effects) -> Hit | None:
    for media_type in ARCHIVES:
        for hit in await effects.search(PARTITIONS, question, limit=1, media_type=media_type):
            if hit.entry.attachment:
                return hit
    return None


security = Team(
    name="security",
    role="Artemis's security team",
    cues=(
        "secur",
        "vulnerab",
        "attack",
        "secret",
        "password",
        "encrypt",
        "threat",
        "exploit",
        "inject",
        "leak",
        "breach",
    ),
    partitions=PARTITIONS,
    sections=(
        Section("summary", "The answer in a few sentences."),
        Section("vulnerabilities", "What was found, by severity, with file and line."),
        Section("exposure", "What it could lead to."),
        Section("recommendations", "What to fix first."),
    ),
    examine=examine_file("security", PARTITIONS, ARCHIVES, lambda digest, _: SecurityArguments(archive=digest)),
    work=scanned,
)


def _performance_arguments(digest: str, _: str) -> PerformanceAnalysisArguments:
    return PerformanceAnalysisArguments(archive=digest)


_stored_profile = examine_file("performance_analysis", PARTITIONS, ARCHIVES, _performance_arguments)

performance_analysis = Team(
    name="performance_analysis",
    role="Artemis's performance analysis team",
    cues=(
        "performance",
        "slow",
        "fast",
        "speed",
        "throughput",
        "bottleneck",
        "profil",
        "optimi",
        "memory",
        "cpu",
        "scal",
        "latency",
    ),
    partitions=PARTITIONS,
    sections=(
        Section("summary", "The answer in a few sentences."),
        Section("bottlenecks", "Where time goes, with file and line."),
        Section("capacity", "What the system can take, and what it cannot."),
        Section("recommendations", "What to speed up first."),
    ),
    examine=_stored_profile,
    work=on_repository("performance_analysis", _performance_arguments, time_taken),
    more_cues=("operation", "regress", "hottest", "hotspot", "flame"),
    answers=(
        Section("summary", "The answer in a few sentences."),
        Section("slowest", "The slowest operations, or hottest functions: times, p50, p95, p99 with intervals."),
        Section(
            "changes",
            "What became slower or faster, or fails more often, against the window before, with significance.",
        ),
        Section("time", "Where most time goes by itself, and the critical path of the slowest run."),
    ),
)

ARTEMIS_TEAMS = (system_monitoring, code_analysis, security, performance_analysis)
