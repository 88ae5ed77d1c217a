"""What Artemis's monitoring and performance teams do for a question: read our own figures of its time, and stored files."""

from collections.abc import Sequence
from datetime import timedelta

from msgspec import UNSET

from actors.artemis.tools.earlier import Upload
from actors.artemis.tools.performance_analysis import PerformanceAnalysisArguments
from actors.artemis.tools.profiles import MEDIA_TYPES
from actors.artemis.tools.system_monitoring import SystemMonitoringArguments
from actors.artemis.windows import windows
from actors.given import files
from actors.team import RELEVANT_FROM, Examined, evidence_of, run_tool, speaks_of
from contracts.domains import Partition
from contracts.retrieval import Hit
from runtime.effects import Effects
from runtime.errors import OutcomeError
from runtime.text import clip

PARTITIONS: tuple[Partition, ...] = ("artemis_technical", "code_knowledge", "shared_knowledge")
METRICS = "text/csv"
TIMED = "performance_analysis"
DAY = timedelta(days=1)
PROFILES_MAX = 2  # that are compared
QUOTED_CHARS_MAX = 200  # of the question

OURS = (
    "unusual", "anomal", "now", "current", "health", "metric", "jetstream", "host", "cpu", "load", "disk", "memory", "monitor",
    "status", "last", "past", "today", "yesterday", "since", "hour", "minute", "strange", "abnormal", "wrong", "backlog", "queue",
)  # fmt: skip
"""Word beginnings of a question about how we are ourselves; one about incidents that stand in notes has none."""
UPLOADED = ("profil", "hotspot", "function", "flame", "stack")
ALONE = "One stored profile is near enough to the question: there is no other to compare it with."
UPLOADED_METRICS = ("metric", "csv", "table", "upload", "import")


async def monitor(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
    """Notes that were found, a table of metrics where one is spoken of, and our own measurements where it may be about us."""
    span = windows(question, effects.asked_at, default=DAY)
    found = [hit for _, hit in files(hits, "table")[:1]]
    if not found and speaks_of(question, UPLOADED_METRICS):
        found += await _files(question, METRICS, 1, effects)
    measured: str | None = None
    notes: tuple[str, ...] = ()
    if not found and (not hits or speaks_of(question, OURS)):
        try:
            measured = (await effects.measurements(span.since, span.until)).digest
        except OutcomeError as error:
            notes = (_unread(question, error),)
    if not hits and not found and measured is None and not notes:
        return Examined()
    arguments = SystemMonitoringArguments(
        evidence=evidence_of(hits),
        metrics=found[0].entry.attachment if found else None,
        question=question,
        measured=measured or UNSET,
        window=span.said if measured else UNSET,
        notes=notes or UNSET,
    )
    told = await run_tool("system_monitoring", arguments, "the figures", effects)
    computed = bool(found) or measured is not None
    return Examined(told.findings, tuple(found), computed=computed, works=told.work("system_monitoring", *found))


async def time_taken(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
    """The profiles or source code that a question hands over, else the stored profile that it is about, else our own spans: of
    one window. Two of them where it asks for a change.

    Two profiles are those nearest to the question; which of them is the earlier, says the tool.
    """
    span = windows(question, effects.asked_at)
    if handed := files(hits, "profile"):
        profiles = [hit for _, hit in handed[:PROFILES_MAX]]
        return await _profiled(question, profiles, len(profiles), effects)
    if code := files(hits, "archive"):
        digest, hit = code[0]
        told = await run_tool(TIMED, PerformanceAnalysisArguments(archive=digest), hit.entry.title, effects)
        return Examined(told.findings, (hit,), works=told.work(TIMED, hit))
    if speaks_of(question, UPLOADED):
        wanted = 2 if span.compares else 1
        found = [hit for kind in MEDIA_TYPES.values() for hit in await _files(question, kind, wanted, effects)]
        nearest = sorted(found, key=lambda hit: -hit.relevance)[:wanted]
        if found := sorted(nearest, key=lambda hit: hit.entry.title):
            return await _profiled(question, found, wanted, effects)
    try:
        now = (await effects.spans(span.since, span.until)).digest
        before = (await effects.spans(span.before_since, span.before_until)).digest if span.compares else UNSET
    except OutcomeError as error:
        return Examined((_unread(question, error),))
    arguments = PerformanceAnalysisArguments(question=question, spans=now, before=before, window=span.said)
    told = await run_tool(TIMED, arguments, "the spans", effects)
    return Examined(told.findings, computed=True, works=told.work(TIMED))


async def _profiled(question: str, found: Sequence[Hit], wanted: int, effects: Effects) -> Examined:
    digests = tuple(hit.entry.attachment for hit in found if hit.entry.attachment)
    uploads = tuple(Upload(title=hit.entry.title, imported=hit.entry.updated) for hit in found)
    given = PerformanceAnalysisArguments(
        question=question,
        profiles=digests,
        uploads=uploads if len(found) > 1 else UNSET,
        notes=(ALONE,) if len(found) < wanted else UNSET,
    )
    told = await run_tool(TIMED, given, "the profiles", effects)
    return Examined(told.findings, tuple(found), computed=True, works=told.work(TIMED, *found))


def _unread(question: str, error: OutcomeError) -> str:
    """With the question's words: what shares none with it is no answer to it."""
    return f"Asked “{clip(' '.join(question.split()), QUOTED_CHARS_MAX)}”, {error}."


async def _files(question: str, media_type: str, limit: int, effects: Effects) -> list[Hit]:
    """Stored files of a kind that are near enough to the question."""
    hits = await effects.search(PARTITIONS, question, limit=limit, media_type=media_type, score_min=RELEVANT_FROM)
    return [hit for hit in hits if hit.entry.attachment]
