"""Past versions of knowledge items, out of their logs: for who is cleared for what stood there and for what stands there now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct, structs

from contracts import subjects
from contracts.curating import KnowledgeVersion, KnowledgeVersions, VersionLine, VersionsQuery
from contracts.domains import Clearance, Domain
from contracts.envelope import Stored
from contracts.knowledge import (
    KnowledgeAdded,
    KnowledgeDeclassified,
    KnowledgeDeleted,
    KnowledgeExpired,
    KnowledgeUpdated,
)
from gateway.commands import CURATE, Incoming, event_of, may_read, named_actor
from gateway.curating import KNOWLEDGE_ITEM
from gateway.identity import Principal
from gateway.problems import NotFoundError

VERSION_DIGITS_MAX = 9


class History(Struct, frozen=True):
    """All versions of an item in order, how confidential it is now, and how it ended, if it has.

    The `label` of each version is what reading it takes: that of what it said, and at least what the item is labelled with now.
    """

    versions: tuple[KnowledgeVersion, ...]
    ended: Literal["deleted", "expired"] | None
    ended_at: datetime | None


async def versions(incoming: Incoming[VersionsQuery]) -> KnowledgeVersions:
    history = await _history(incoming)
    query = incoming.body
    seen = [one for one in _seen(incoming.principal, history) if query.before is None or one.number < query.before]
    page = seen[::-1][: query.limit]
    return KnowledgeVersions(
        id=incoming.path["item"],
        versions=tuple(map(_line, page)),
        ended=history.ended,
        ended_at=history.ended_at,
        more=len(page) < len(seen),
    )


async def version(incoming: Incoming[None]) -> KnowledgeVersion:
    text = incoming.path["version"]
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= VERSION_DIGITS_MAX else 0
    seen = _seen(incoming.principal, await _history(incoming))
    found = next((one for one in seen if one.number == number), None)
    if found is None:
        raise NotFoundError("version of the knowledge item")
    return found


def history_of(records: Sequence[Stored], now: datetime) -> History | None:
    """What the log of an item tells; None where there never was one. It ends when it says so, however late its timer is."""
    said: list[KnowledgeVersion] = []
    ended: Literal["deleted", "expired"] | None = None
    ended_at: datetime | None = None
    level = Clearance.PUBLIC
    for stored in records:
        event, time = event_of(stored), stored.record.envelope.time
        match event:
            case KnowledgeAdded() | KnowledgeUpdated() | KnowledgeDeclassified():
                level = event.label
                version = KnowledgeVersion(
                    number=len(said) + 1,
                    knowledge=event.knowledge,
                    by=event.by,
                    since=time,
                    label=max(stored.record.envelope.label, level),
                )
                said.append(version)
                ended, ended_at = None, None
            case KnowledgeDeleted() | KnowledgeExpired():
                ended, ended_at = "deleted" if isinstance(event, KnowledgeDeleted) else "expired", time
            case _:
                pass
    if not said:
        return None
    expires = said[-1].knowledge.expires
    if ended is None and expires is not None and expires <= now:
        ended, ended_at = "expired", expires
    raised = tuple(_at_least(level, one) for one in said)
    return History(raised, ended, ended_at)


def _at_least(label: Clearance, version: KnowledgeVersion) -> KnowledgeVersion:
    return version if version.label >= label else structs.replace(version, label=label)


async def _history(incoming: Incoming[VersionsQuery] | Incoming[None]) -> History:
    """Of an item that the asker may know of. Raises NotFoundError for any other, and where he may read no version of it."""
    principal = incoming.principal
    actor = named_actor(Domain.CEO, KNOWLEDGE_ITEM, incoming.path["item"], "knowledge item")
    history = history_of(await incoming.services.log.read(subjects.log(actor)), incoming.services.clock())
    if history is None or not _seen(principal, history):
        raise NotFoundError("knowledge item")
    if not may_read(principal, history.versions[-1].knowledge.partition):
        raise NotFoundError("knowledge item")
    if history.ended is not None and not any(map(principal.may, CURATE)):
        raise NotFoundError("knowledge item")
    return history


def _seen(principal: Principal, history: History) -> list[KnowledgeVersion]:
    return [
        one
        for one in history.versions
        if one.label <= principal.clearance and may_read(principal, one.knowledge.partition)
    ]


def _line(version: KnowledgeVersion) -> VersionLine:
    return VersionLine(
        number=version.number,
        title=version.knowledge.title,
        by=version.by,
        since=version.since,
        label=version.label,
    )
