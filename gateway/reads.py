"""The read models in Postgres, asked through the projections' queries and said in the API's words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import cast

import msgspec

from contracts.agents import Work
from contracts.alerts import Alert, Alerts, AlertsQuery
from contracts.approvals import ApprovalLine, Approvals, ApprovalsQuery
from contracts.conversation import Team
from contracts.curating import (
    AdoptableItem,
    AdoptableItems,
    AdoptableQuery,
    ImportedItem,
    ImportedItems,
    ImportsQuery,
    KnowledgeItem,
    KnowledgeLine,
    KnowledgeLines,
    KnowledgeQuery,
)
from contracts.domains import Clearance, Domain, Partition
from contracts.http import (
    Analyses,
    AnalysesQuery,
    Analysis,
    AnswerReply,
    EventsQuery,
    EventView,
    MessagesQuery,
    ModelUsage,
    Session,
    Sessions,
    SessionsQuery,
    Turn,
    Turns,
)
from contracts.knowledge import text_digest
from contracts.memory import Memories, MemoriesQuery, MemoryView
from gateway.services import EventsRead
from projections import (
    alerts,
    analyses,
    approvals,
    knowledge,
    memories,
    messages,
    resting,
    runs,
    sessions,
    strategic,
    work,
)
from runtime.errors import InvalidError
from runtime.read_models import Db


@contextmanager
def _cursor_is_after() -> Iterator[None]:
    """What the projections call `cursor` is the parameter `after` here."""
    try:
        yield
    except InvalidError as error:
        raise InvalidError(str(error), "after" if error.field == "cursor" else error.field) from error


class PostgresReads:
    """Reads over a Db."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def sessions(
        self, query: SessionsQuery, *, owner: str | None, domains: Sequence[Domain], clearance: Clearance
    ) -> Sessions:
        with _cursor_is_after():
            page = await sessions.list_sessions(
                self._db,
                clearance=clearance,
                owner=owner,
                domains=tuple(domains),
                limit=query.limit,
                cursor=query.after,
            )
        return Sessions(sessions=tuple(map(session_view, page.items)), next=page.next)

    async def session(self, id: str, *, clearance: Clearance) -> Session | None:  # noqa: A002 - the field's name
        row = await sessions.get_session(self._db, id, clearance=clearance)
        return session_view(row) if row else None

    async def turns(self, session: str, query: MessagesQuery, *, clearance: Clearance) -> Turns:
        with _cursor_is_after():
            page = await messages.list_turns(
                self._db, session, clearance=clearance, limit=query.limit, cursor=query.after
            )
        return Turns(turns=tuple(map(turn_view, page.items)), next=page.next)

    async def analyses(self, query: AnalysesQuery, *, by: str | None, clearance: Clearance) -> Analyses:
        with _cursor_is_after():
            page = await analyses.list_analyses(
                self._db, clearance=clearance, by=by, limit=query.limit, cursor=query.after
            )
        return Analyses(analyses=tuple(map(analysis_view, page.items)), next=page.next)

    async def analysis(self, id: str, *, clearance: Clearance) -> Analysis | None:  # noqa: A002 - the field's name
        row = await analyses.get_analysis(self._db, id, clearance=clearance)
        return analysis_view(row) if row else None

    async def approvals(self, query: ApprovalsQuery, reader: approvals.Reader) -> Approvals:
        with _cursor_is_after():
            page = await approvals.list_approvals(
                self._db, reader, which=query.which, status=query.status, limit=query.limit, cursor=query.after
            )
        return Approvals(approvals=tuple(map(approval_line, page.items)), next=page.next)

    async def knowledge(self, ids: Sequence[str], *, clearance: Clearance, now: datetime) -> list[KnowledgeItem]:
        rows = await knowledge.get_items(self._db, list(ids), clearance=clearance, now=now)
        return list(map(item_view, rows))

    async def knowledge_lines(
        self, query: KnowledgeQuery, *, partitions: Sequence[Partition], clearance: Clearance, now: datetime
    ) -> KnowledgeLines:
        with _cursor_is_after():
            page = await knowledge.list_items(
                self._db,
                clearance=clearance,
                now=now,
                category=query.category,
                partitions=tuple(partitions),
                priority_min=query.priority_min,
                since=query.since,
                limit=query.limit,
                cursor=query.after,
            )
        return KnowledgeLines(items=tuple(map(line_view, page.items)), next=page.next)

    async def work(self, since: datetime) -> Sequence[Work]:
        return await work.work_since(self._db, since)

    async def alerts(self, query: AlertsQuery, *, clearance: Clearance) -> Alerts:
        with _cursor_is_after():
            page = await alerts.list_alerts(self._db, query, clearance=clearance)
        return Alerts(alerts=tuple(map(alert_view, page.items)), next=page.next)

    async def alert(self, id: str, *, clearance: Clearance) -> Alert | None:  # noqa: A002 - the field's name
        row = await alerts.get_alert(self._db, id, clearance=clearance)
        return alert_view(row) if row else None

    async def memories(
        self, query: MemoriesQuery, *, owner: str, agents: Sequence[Domain], clearance: Clearance, now: datetime
    ) -> Memories:
        with _cursor_is_after():
            page = await memories.list_memories(
                self._db, query, owner=owner, agents=agents, clearance=clearance, now=now
            )
        return Memories(memories=tuple(map(memory_view, page.items)), next=page.next)

    async def searchable(self, among: Sequence[str], *, by: str, clearance: Clearance) -> list[str]:
        return await runs.indexed(self._db, among, by=by, clearance=clearance)

    async def imports(self, query: ImportsQuery, *, owner: str, clearance: Clearance, now: datetime) -> ImportedItems:
        with _cursor_is_after():
            page = await knowledge.list_imports(
                self._db,
                query.collection,
                owner=owner,
                clearance=clearance,
                now=now,
                limit=query.limit,
                cursor=query.after,
            )
        return ImportedItems(items=tuple(map(imported_view, page.items)), next=page.next)

    async def owns(self, owner: str, item: str, *, clearance: Clearance, now: datetime) -> bool:
        row = await knowledge.get_item(self._db, item, clearance=clearance, now=now)
        return row is not None and row.created_by == owner

    async def collections(self, among: Sequence[str], *, owner: str, clearance: Clearance, now: datetime) -> list[str]:
        return await knowledge.collections(self._db, list(among), owner=owner, clearance=clearance, now=now)

    async def adoptable(
        self, query: AdoptableQuery, *, owner: str, clearance: Clearance, now: datetime
    ) -> AdoptableItems:
        with _cursor_is_after():
            page = await knowledge.list_loose(
                self._db, owner=owner, clearance=clearance, now=now, limit=query.limit, cursor=query.after
            )
        return AdoptableItems(items=tuple(map(adoptable_view, page.items)), next=page.next)

    async def knowledge_epoch(self) -> str:
        return await strategic.knowledge_epoch(self._db)

    async def strategic_items(
        self, outlook: strategic.Outlook, *, clearance: Clearance
    ) -> list[strategic.StrategicItem]:
        return await strategic.strategic_items(self._db, outlook, clearance=clearance)

    async def run(self, correlation: str, *, clearance: Clearance) -> list[EventView]:
        found = await runs.get_run(self._db, correlation, clearance=clearance)
        return list(map(record_view, found.records)) if found else []

    async def label_of_run(self, correlation: str) -> Clearance | None:
        return await runs.label_of_run(self._db, correlation)

    async def raised_runs(self, correlations: Sequence[str]) -> dict[str, Clearance]:
        return await resting.raised_runs(self._db, correlations)

    async def spent(self, correlation: str, *, clearance: Clearance) -> dict[Domain, ModelUsage]:
        found = await runs.get_spent(self._db, correlation, clearance=clearance)
        return {domain: usage_view(one) for domain, one in found.items()}

    async def events(self, query: EventsQuery, *, clearance: Clearance) -> EventsRead:
        wanted = runs.EventFilter(
            domain=query.domain,
            kind=query.kind,
            actor=query.id,
            type=query.type,
            correlation=query.correlation,
            lane=query.lane,
            since=query.since,
            until=query.until,
        )
        with _cursor_is_after():
            page = await runs.list_events(
                self._db, wanted, clearance=clearance, limit=query.limit, cursor=query.after, bodies=True
            )
        shown = tuple(map(record_view, page.records))
        return EventsRead(shown, page.next, more=len(shown) >= query.limit)

    async def end_of_events(self) -> str:
        return await runs.end_of_events(self._db)


def session_view(row: sessions.Session) -> Session:
    return Session(
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


def approval_line(row: approvals.Approval) -> ApprovalLine:
    return ApprovalLine(
        id=row.id,
        name=row.name,
        status=row.status,
        digest=row.digest,
        principal=row.principal,
        quorum=row.quorum,
        by=row.granters,
        label=row.label,
        requested=row.requested,
        expires=row.expires,
        correlation_id=row.correlation,
        reason=row.reason,
    )


def turn_view(row: messages.Turn) -> Turn:
    answer: AnswerReply | None = None
    if row.status in ("answered", "partial"):
        answer = AnswerReply(
            content=row.content,
            team=cast("Team", row.team),
            confidence=row.confidence,
            evidence=row.evidence,
            collaboration_needed=row.collaboration_needed,
            collaborators=row.collaborators,
            contributions=row.contributions,
            model=row.model,
            label=row.label,
            citations=row.citations,
            grounds=row.grounds,
            strategic=row.strategic,
        )
    return Turn(
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
        missing=row.missing,
        status_url=f"/v1/sessions/{row.session}/messages" if row.status == "partial" else None,
    )


def usage_view(spent: runs.Spent) -> ModelUsage:
    usage = spent.usage
    return ModelUsage(
        calls=spent.calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost=usage.cost_micros / 1_000_000,
        estimated=usage.estimated,
    )


def analysis_view(row: analyses.Analysis) -> Analysis:
    return Analysis(
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


def item_view(row: knowledge.KnowledgeItem) -> KnowledgeItem:
    return KnowledgeItem(
        id=row.id, knowledge=row.knowledge(), by=row.updated_by, created=row.created, updated=row.updated
    )


def line_view(row: knowledge.ItemRow | knowledge.KnowledgeItem) -> KnowledgeLine:
    said = {name: getattr(row, name) for name in KnowledgeLine.__struct_fields__ if name != "by"}
    return KnowledgeLine(**said, by=row.updated_by)


def alert_view(row: alerts.AlertRow) -> Alert:
    return Alert(**{name: getattr(row, name) for name in Alert.__struct_fields__})


def memory_view(row: memories.Memory) -> MemoryView:
    return MemoryView(
        id=row.id,
        agent=row.agent,
        kind=row.kind,
        title=row.title,
        text=row.text,
        label=row.label,
        updated=row.updated,
        expires=row.expires,
        session=row.session,
    )


def imported_view(row: knowledge.ImportedRow) -> ImportedItem:
    return ImportedItem(id=row.id, key=row.place, digest=row.digest, updated=row.updated)


def adoptable_view(row: knowledge.LooseRow | knowledge.KnowledgeItem) -> AdoptableItem:
    return AdoptableItem(id=row.id, digest=text_digest(row.title, row.content, row.source))


def record_view(row: runs.RunRecord) -> EventView:
    return EventView(
        domain=row.domain,
        sequence=row.sequence,
        kind=row.kind,
        actor=row.actor,
        id=row.id,
        type=row.type,
        time=row.time,
        correlation=row.correlation,
        principal=row.principal,
        label=row.label,
        causation=row.causation,
        lane=row.lane,
        reaction=row.reaction,
        effect=row.effect,
        body=_body(row.body),
    )


def _body(text: str) -> msgspec.Raw | None:
    """The body where there is one that is JSON: what is stored is not always ours to trust."""
    try:
        return msgspec.json.decode(text, type=msgspec.Raw).copy() if text else None
    except msgspec.DecodeError:
        return None
