"""What a model that calls tools may choose of Artemis's; notes, measurements, spans and advisories are given."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct

from actors.artemis.teams import advisories
from actors.artemis.tools.code_analysis import CodeAnalysisArguments
from actors.artemis.tools.earlier import Upload
from actors.artemis.tools.performance_analysis import PerformanceAnalysisArguments
from actors.artemis.tools.security import SecurityArguments
from actors.artemis.tools.system_monitoring import SystemMonitoringArguments
from actors.artemis.watching import DAY
from actors.artemis.windows import windows
from actors.offers import File, FileOrNone, Given, Known, Offer, offer
from actors.team import evidence_of
from runtime.effects import Effects

PROFILES_MAX = 2


class CodeChoices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which archive of source code."""

    archive: File


class SystemMonitoringChoices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of metrics; without one: our own measurements of the time that the question speaks of."""

    metrics: FileOrNone = ""


class PerformanceChoices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One profile, or two to compare, or an archive of code; without any: our own spans of the time the question speaks of."""

    profiles: Annotated[tuple[File, ...], Meta(max_length=PROFILES_MAX)] = ()
    archive: FileOrNone = ""


async def _code_analysis(chosen: CodeChoices, known: Known, effects: Effects) -> Given:  # noqa: ARG001 - the form of all
    return Given(CodeAnalysisArguments(archive=chosen.archive))


async def _security(chosen: CodeChoices, known: Known, effects: Effects) -> Given:  # noqa: ARG001 - the form of all
    database = await advisories(effects)
    digest = database[0].entry.attachment if database else None
    return Given(SecurityArguments(archive=chosen.archive, advisories=digest or UNSET), hits=database)


async def _system_monitoring(chosen: SystemMonitoringChoices, known: Known, effects: Effects) -> Given:
    evidence = evidence_of(known.hits)
    if chosen.metrics:
        return Given(
            SystemMonitoringArguments(evidence=evidence, metrics=chosen.metrics, question=known.question), known.hits
        )
    span = windows(known.question, effects.asked_at, default=DAY)
    measured = await effects.measurements(span.since, span.until)
    arguments = SystemMonitoringArguments(
        evidence=evidence, question=known.question, measured=measured.digest, window=span.said
    )
    return Given(arguments, known.hits)


async def _performance_analysis(chosen: PerformanceChoices, known: Known, effects: Effects) -> Given:
    question = known.question
    if chosen.profiles:
        stored = {hit.entry.attachment: hit.entry for hit in known.hits}
        uploads = tuple(
            Upload(title=stored[one].title, imported=stored[one].updated) for one in chosen.profiles if one in stored
        )
        return Given(
            PerformanceAnalysisArguments(
                question=question, profiles=chosen.profiles, uploads=uploads if len(uploads) > 1 else UNSET
            )
        )
    if chosen.archive:
        return Given(PerformanceAnalysisArguments(archive=chosen.archive))
    span = windows(question, effects.asked_at)
    now = (await effects.spans(span.since, span.until)).digest
    before = (await effects.spans(span.before_since, span.before_until)).digest if span.compares else UNSET
    return Given(PerformanceAnalysisArguments(question=question, spans=now, before=before, window=span.said))


ARTEMIS_OFFERS: dict[str, Offer] = {
    "code_analysis": offer(_code_analysis),
    "security": offer(_security),
    "system_monitoring": offer(_system_monitoring),
    "performance_analysis": offer(_performance_analysis),
}
