"""Artemis's four teams."""

from collections.abc import Sequence

from msgspec import UNSET

from actors.artemis.tools.analysers.advisories import OSV
from actors.artemis.tools.code_analysis import CodeAnalysisArguments
from actors.artemis.tools.performance_analysis import PerformanceAnalysisArguments
from actors.artemis.tools.security import SecurityArguments
from actors.artemis.tools.system_monitoring import SystemMonitoringArguments
from actors.artemis.trees import ARCHIVES, PARTITIONS, chosen, on_tree
from actors.artemis.watching import monitor, time_taken
from actors.confidence import Work
from actors.given import files
from actors.team import (
    Examined,
    Team,
    examine_evidence,
    examine_file,
    run_tool,
)
from contracts.model import Section
from contracts.retrieval import Hit
from runtime.effects import Effects

_LOOKED_AT = Section("looked_at", "What was looked at and what was not, and what is hostile in the archive.")

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
    examine=examine_file(
        "code_analysis", PARTITIONS, ARCHIVES, lambda digest, _: CodeAnalysisArguments(archive=digest)
    ),
    work=on_tree("code_analysis", lambda digest: CodeAnalysisArguments(archive=digest)),
    more_cues=("file", "repositor"),
    general_cues=("code", "source", "module", "function", "class", "depend", "test", "file", "repositor"),
    answers=(
        Section("summary", "The answer in a few sentences."),
        Section("structure", "How the code is built: languages, size, modules, dependencies."),
        Section("hot_spots", "The most complex and riskiest places, with file and line."),
        _LOOKED_AT,
    ),
)


async def scanned(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
    """The security scan of the code that the question is about, with the advisories that it hands over, else with stored ones."""
    trees = await chosen(question, hits, effects)
    if not trees:
        return Examined()
    known = tuple(hit for _, hit in files(hits, "advisories")[:1]) or await advisories(effects)
    digest = known[0].entry.attachment if known else None
    findings: list[str] = []
    works: tuple[Work, ...] = ()
    for one in trees:
        arguments = SecurityArguments(archive=one.digest, advisories=digest or UNSET)
        found = await run_tool("security", arguments, one.tree.entry.title, effects)
        told = one.told(found.findings)
        findings += told
        works += found.work("security", one.tree, told=told, ids=[hit.entry.id for hit in known])
    return Examined(tuple(findings), (*(one.tree for one in trees), *known), computed=True, works=works)


async def advisories(effects: Effects) -> tuple[Hit, ...]:
    """The stored database of advisories, if there is one."""
    return tuple(await effects.search(PARTITIONS, "Advisory database", limit=1, media_type=OSV))


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
    answers=(
        Section("summary", "The answer in a few sentences."),
        Section("fix_first", "What to fix first, and how."),
        Section("vulnerabilities", "What was found, by severity, with file and line."),
        Section("dependencies", "How many dependencies were read, and which of them are known to be vulnerable."),
        _LOOKED_AT,
    ),
)


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
    examine=examine_file(
        "performance_analysis", PARTITIONS, ARCHIVES, lambda digest, _: PerformanceAnalysisArguments(archive=digest)
    ),
    work=time_taken,
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
