"""The read models in Postgres, asked through the projections' queries and said in the API's words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from contracts.agents import Work
from contracts.alerts import Alert, Alerts, AlertsQuery
from contracts.approvals import Approvals, ApprovalsQuery
from contracts.collaborating import Collaborations, CollaborationsQuery, CollaborationView
from contracts.curating import (
    AdoptableItems,
    AdoptableQuery,
    ImportedItems,
    ImportsQuery,
    KnowledgeItem,
    KnowledgeLines,
    KnowledgeQuery,
)
from contracts.domains import Clearance, Domain, Partition
from contracts.http import (
    Analyses,
    AnalysesQuery,
    Analysis,
    EventsQuery,
    EventView,
    MessagesQuery,
    ModelUsage,
    Session,
    Sessions,
    SessionsQuery,
    Turns,
)
from contracts.memory import Memories, MemoriesQuery
from gateway.row_views import (
    adoptable_view,
    alert_view,
    analysis_view,
    approval_line,
    collaboration_view,
    imported_view,
    item_view,
    line_view,
    memory_view,
    record_view,
    session_view,
    turn_view,
    usage_view,
)
from gateway.services import EventsRead
from projections import (
    alerts,
    analyses,
    approvals,
    collaborations,
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

    async def awaited(self, runs: Sequence[str], *, clearance: Clearance) -> dict[str, tuple[str, ...]]:
        return await approvals.waiting(self._db, runs, clearance=clearance)

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

    async def collaborations(
        self, query: CollaborationsQuery, *, by: str | None, clearance: Clearance, now: datetime
    ) -> Collaborations:
        wanted = collaborations.CollaborationFilter(
            now=now,
            asker=by,
            answering=Domain(query.domain) if query.domain else None,
            status=query.status,
            request_type=query.type,
        )
        with _cursor_is_after():
            page = await collaborations.list_collaborations(
                self._db, wanted, clearance=clearance, limit=query.limit, cursor=query.after
            )
        return Collaborations(collaborations=tuple(collaboration_view(row, now) for row in page.items), next=page.next)

    async def collaboration(self, id: str, *, clearance: Clearance, now: datetime) -> CollaborationView | None:  # noqa: A002 - the field's name
        row = await collaborations.get_collaboration(self._db, id, clearance=clearance)
        return collaboration_view(row, now) if row else None

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
