"""The read models as the gateway asks them: the projections' queries, in the words of the HTTP API."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast, get_args

from contracts import http
from contracts.conversation import Team
from contracts.domains import Clearance, Domain
from projections import analyses, knowledge, messages, runs, sessions
from runtime.read_models import Db


class ReadModels:
    """Implements `gateway.services.Reads`."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def sessions(
        self, *, owner: str | None, domains: Sequence[Domain], clearance: Clearance, limit: int
    ) -> list[http.Session]:
        page = await sessions.list_sessions(
            self._db, owner=owner, domains=tuple(domains), clearance=clearance, limit=limit
        )
        return [_session(row) for row in page.items]

    async def session(self, id: str, *, clearance: Clearance) -> http.Session | None:  # noqa: A002 - the field's name
        row = await sessions.get_session(self._db, id, clearance=clearance)
        return _session(row) if row else None

    async def turns(self, session: str, *, clearance: Clearance, limit: int) -> list[http.Turn]:
        page = await messages.list_turns(self._db, session, clearance=clearance, limit=limit)
        return [_turn(row) for row in page.items]

    async def analyses(self, *, by: str | None, clearance: Clearance, limit: int) -> list[http.Analysis]:
        page = await analyses.list_analyses(self._db, by=by, clearance=clearance, limit=limit)
        return [_analysis(row) for row in page.items]

    async def analysis(self, id: str, *, clearance: Clearance) -> http.Analysis | None:  # noqa: A002 - the field's name
        row = await analyses.get_analysis(self._db, id, clearance=clearance)
        return _analysis(row) if row else None

    async def knowledge(self, ids: Sequence[str], *, clearance: Clearance, now: datetime) -> list[http.KnowledgeItem]:
        rows = await knowledge.get_items(self._db, list(ids), clearance=clearance, now=now)
        return [_item(row) for row in rows]

    async def run(self, correlation: str, *, clearance: Clearance) -> list[http.EventView]:
        run = await runs.get_run(self._db, correlation, clearance=clearance)
        return [_event(record) for record in run.records] if run else []


def _session(row: sessions.Session) -> http.Session:
    return http.Session(
        id=row.id,
        domain=row.domain,
        title=row.title,
        context_type=row.context_type,
        owner=row.owner,
        status=row.status,
        label=row.label,
        started=row.created,
        turns=row.turns,
        last_active=row.updated,
    )


def _turn(row: messages.Turn) -> http.Turn:
    answer = None
    if row.status == "answered":
        answer = http.AnswerReply(
            content=row.content,
            team=_team(row.team),
            confidence=row.confidence,
            evidence=row.evidence,
            collaboration_needed=row.collaboration_needed,
            collaborators=row.collaborators,
            contributions=row.contributions,
            model=row.model,
            label=row.label,
        )
    return http.Turn(
        id=row.turn,
        session=row.session,
        question=row.question,
        by=row.asker,
        status=row.status,
        asked=row.asked,
        answer=answer,
        failure=row.reason or None,
        answered=row.answered,
        correlation_id=row.correlation,
    )


def _team(name: str | None) -> Team:
    if name not in get_args(Team):
        raise ValueError(f"{name!r} is no team")
    return cast("Team", name)


def _analysis(row: analyses.Analysis) -> http.Analysis:
    return http.Analysis(
        id=row.id,
        by=row.asker,
        subject=row.subject,
        question=row.question,
        status=row.status,
        label=row.label,
        started=row.started,
        phases=row.phases,
        executive_summary=row.executive_summary,
        recommendations=row.recommendations,
        confidence=row.confidence,
        confidence_by_domain=row.confidence_by_domain,
        completed=row.completed,
        failure=row.reason or None,
        correlation_id=row.correlation,
    )


def _item(row: knowledge.KnowledgeItem) -> http.KnowledgeItem:
    return http.KnowledgeItem(
        id=row.id, knowledge=row.knowledge(), by=row.created_by, created=row.created, updated=row.updated
    )


def _event(record: runs.RunRecord) -> http.EventView:
    return http.EventView(
        domain=record.domain,
        sequence=record.sequence,
        kind=record.kind,
        actor=record.actor,
        id=record.id,
        type=record.type,
        time=record.time,
        correlation=record.correlation,
        principal=record.principal,
        label=record.label,
        causation=record.causation,
        reaction=record.reaction,
        effect=record.effect,
    )
