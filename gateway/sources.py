"""The files that a question hands over, by the ids of the items they hang on, as the log has them now."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from contracts import subjects
from contracts.conversation import READS, TEAMS_OF, Ask
from contracts.domains import Domain
from contracts.http import AskQuestion
from contracts.sources import KINDS, TEXT_CHARS_MAX, Source
from gateway.commands import Incoming, may_read, named_actor
from gateway.curating import KNOWLEDGE_ITEM, folded
from gateway.execution import Command
from gateway.identity import Principal
from gateway.problems import NotFoundError, ValidationProblemError
from gateway.services import Services


async def handed_over(incoming: Incoming[Any], body: AskQuestion, command: Command) -> Command:
    """The question with its files, at least as confidential as they are. Raises ValidationProblemError for an item that the asker
    may not know of as for one that is not there, and for files that nobody who is asked would analyse."""
    if not body.sources or not isinstance(command.message, Ask):
        return command
    services, principal = incoming.services, incoming.principal
    sources = [
        await _source(services, principal, item, f"$.sources[{at}]")
        for at, item in enumerate(dict.fromkeys(body.sources))
    ]
    _read_by(sources, command.actor.domain, command.message)
    return replace(
        command,
        message=msgspec.structs.replace(command.message, sources=tuple(sources)),
        label=max(command.label, *(one.label for one in sources)),
    )


async def _source(services: Services, principal: Principal, item: str, field: str) -> Source:
    unknown = ValidationProblemError(field, f"there is no knowledge item {item}")
    try:
        actor = named_actor(Domain.CEO, KNOWLEDGE_ITEM, item, "knowledge item")
    except NotFoundError:
        raise unknown from None
    held = folded(await services.log.read(subjects.log(actor)))
    knowledge = held.knowledge if held else None
    if held is None or knowledge is None or held.label > principal.clearance:
        raise unknown
    if not may_read(principal, knowledge.partition) or _expired(knowledge.expires, services.clock()):
        raise unknown
    attachment = knowledge.attachment
    if attachment is None or attachment.media_type not in KINDS:
        has = f"is a {attachment.media_type}" if attachment else "has no file"
        raise ValidationProblemError(field, f"the knowledge item {item} {has}; analysed are {', '.join(KINDS)}")
    return Source(
        item=item,
        title=knowledge.title,
        text=knowledge.content[:TEXT_CHARS_MAX],
        label=held.label,
        partition=knowledge.partition,
        digest=attachment.digest,
        media_type=attachment.media_type,
        origin=knowledge.source,
        updated=held.updated,
    )


def _expired(expires: datetime | None, now: datetime) -> bool:
    return expires is not None and expires <= now


def _read_by(sources: list[Source], domain: Domain, question: Ask) -> None:
    """Raises ValidationProblemError where the team that is asked, or every team, would leave all of them unread."""
    asked = [question.team] if question.team else sorted(TEAMS_OF[domain])
    read = frozenset[str]().union(*(READS[team] for team in asked))
    if read.isdisjoint(one.kind or "" for one in sources):
        who = f"the team {question.team} analyses" if question.team else f"the teams of {domain.value} analyse"
        types = ", ".join(media_type for media_type, kind in KINDS.items() if kind in read) or "no files"
        given = ", ".join(f"{one.item} is a {one.media_type}" for one in sources)
        raise ValidationProblemError("$.sources", f"{who} {types}; {given}")
