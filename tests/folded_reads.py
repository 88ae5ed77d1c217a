"""The gateway's reads over the logs in memory, without a database."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from adapters.memory import MemoryBroker
from contracts.agents import Work
from contracts.alerts import Alert, Alerts, AlertsQuery
from contracts.approvals import Approvals, ApprovalsQuery
from contracts.business import RecordKind
from contracts.catalogue import tag
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
from contracts.envelope import Stored
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
from contracts.kernel import Unchanged
from contracts.memory import Memories, MemoriesQuery
from contracts.records import AnyRecord
from gateway import row_views
from gateway.heads import KERNEL_TYPES
from gateway.services import EventsRead
from projections import (
    alerts,
    analyses,
    approvals,
    collaborations,
    knowledge,
    memories,
    messages,
    records,
    resting,
    runs,
    sessions,
    strategic,
)
from runtime.errors import InvalidError, UnavailableError
from runtime.read_models import Projection, logged
from tests.approvals import wanted
from tests.present_labels import present_label

R = TypeVar("R", bound=Struct)


class FoldedReads:
    """Reads that fold what the logs have more for every question: always as fresh as the log.

    While they are `behind` they know of no run.
    """

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._folded: dict[str, tuple[dict[tuple[str, ...], Any], dict[Domain, int]]] = {}
        self.down = False
        self.behind = False

    def _all(self, after: dict[Domain, int]) -> list[Stored]:
        if self.down:
            raise UnavailableError("postgres", "connection refused")
        return [
            Stored(one.subject, one.sequence, one.record)
            for domain, stream in self._broker.logs.items()
            for one in stream.messages[after.get(domain, 0) :]
            if one.record is not None
        ]

    def _fold(self, projection: Projection[R]) -> list[R]:
        rows, after = self._folded.setdefault(projection.name, ({}, {}))
        for one in projection.wanted(logged(self._all(after))):
            key = projection.key(one)
            if key is None:
                continue
            row = projection.fold(rows.get(key), one)
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row
        after.update({domain: len(stream.messages) for domain, stream in self._broker.logs.items()})
        return list(rows.values())

    async def sessions(
        self, query: SessionsQuery, *, owner: str | None, domains: Sequence[Domain], clearance: Clearance
    ) -> Sessions:
        found = [
            row
            for row in self._fold(sessions.SESSIONS)
            if owner in (None, row.owner) and row.domain in domains and row.label <= clearance
        ]
        found.sort(key=lambda row: row.created, reverse=True)
        return Sessions(sessions=tuple(map(row_views.session_view, found[: query.limit])))

    async def session(self, id: str, *, clearance: Clearance) -> Session | None:  # noqa: A002 - the field's name
        found = [row for row in self._fold(sessions.SESSIONS) if row.id == id and row.label <= clearance]
        return row_views.session_view(found[0]) if found else None

    async def turns(self, session: str, query: MessagesQuery, *, clearance: Clearance) -> Turns:
        found = [row for row in self._fold(messages.MESSAGES) if row.session == session and row.label <= clearance]
        found.sort(key=lambda row: row.sequence, reverse=True)
        return Turns(turns=tuple(map(row_views.turn_view, found[: query.limit])))

    async def analyses(self, query: AnalysesQuery, *, by: str | None, clearance: Clearance) -> Analyses:
        found = [row for row in self._fold(analyses.ANALYSES) if by in (None, row.asker) and row.label <= clearance]
        return Analyses(analyses=tuple(map(row_views.analysis_view, found[: query.limit])))

    async def analysis(self, id: str, *, clearance: Clearance) -> Analysis | None:  # noqa: A002 - the field's name
        found = [row for row in self._fold(analyses.ANALYSES) if row.id == id and row.label <= clearance]
        return row_views.analysis_view(found[0]) if found else None

    async def approvals(self, query: ApprovalsQuery, reader: approvals.Reader) -> Approvals:
        found = [
            row
            for row in self._fold(approvals.APPROVALS)
            if approvals.may_see(row, reader) and query.status in (None, row.status) and wanted(row, query, reader)
        ]
        found.sort(key=lambda row: (row.requested, row.id), reverse=True)
        return Approvals(approvals=tuple(map(row_views.approval_line, found[: query.limit])))

    async def awaited(self, runs: Sequence[str], *, clearance: Clearance) -> dict[str, tuple[str, ...]]:
        waiting = [
            row for row in self._fold(approvals.APPROVALS) if row.status == "waiting" and row.correlation in runs
        ]
        waiting.sort(key=lambda row: (row.requested, row.id))
        return approvals.by_run(row for row in waiting if row.label <= clearance)

    async def knowledge(self, ids: Sequence[str], *, clearance: Clearance, now: datetime) -> list[KnowledgeItem]:
        return [
            row_views.item_view(row)
            for row in self._fold(knowledge.KNOWLEDGE)
            if row.id in ids and row.label <= clearance and (row.expires is None or row.expires > now)
        ]

    async def knowledge_lines(
        self, query: KnowledgeQuery, *, partitions: Sequence[Partition], clearance: Clearance, now: datetime
    ) -> KnowledgeLines:
        found = [
            row
            for row in self._fold(knowledge.KNOWLEDGE)
            if row.label <= clearance
            and row.partition in partitions
            and (row.expires is None or row.expires > now)
            and query.category in (None, row.category)
            and row.strategic_priority >= query.priority_min
            and (query.since is None or row.updated >= query.since)
        ]
        found.sort(key=lambda row: (row.updated, row.id), reverse=True)
        return KnowledgeLines(items=tuple(map(row_views.line_view, found[: query.limit])))

    async def work(self, since: datetime) -> Sequence[Work]:
        """Counts alone; how long it took the database tells."""
        found: dict[tuple[Domain, str], Counter[str]] = {}
        held = {row.correlation for row in self._fold(approvals.APPROVALS) if row.status == "waiting"}
        for row in self._fold(messages.MESSAGES):
            left_out = row.excused or (row.correlation in held and row.status in ("pending", "partial"))
            for team in {"", row.team or ""} if row.asked >= since and not left_out else ():
                found.setdefault((row.domain, team), Counter())[row.status] += 1
        return [
            Work(
                domain=domain,
                team=team,
                answered=counts["answered"],
                failed=counts["failed"],
                waiting=counts["pending"] + counts["partial"],
            )
            for (domain, team), counts in found.items()
        ]

    async def alerts(self, query: AlertsQuery, *, clearance: Clearance) -> Alerts:
        found = [
            row
            for row in self._fold(alerts.ALERTS)
            if row.label <= clearance
            and query.state in (None, row.state)
            and query.category in (None, row.category)
            and query.executive in (None, row.executive_attention)
            and row.alert_priority >= query.priority_min
        ]
        found.sort(key=lambda row: (row.raised, row.id), reverse=True)
        return Alerts(alerts=tuple(map(row_views.alert_view, found[: query.limit])))

    async def alert(self, id: str, *, clearance: Clearance) -> Alert | None:  # noqa: A002 - the field's name
        rows = [row for row in self._fold(alerts.ALERTS) if row.id == id and row.label <= clearance]
        return row_views.alert_view(rows[0]) if rows else None

    async def memories(
        self, query: MemoriesQuery, *, owner: str, agents: Sequence[Domain], clearance: Clearance, now: datetime
    ) -> Memories:
        found = [
            row
            for row in self._fold(memories.MEMORIES)
            if row.owner == owner
            and row.agent in agents
            and query.kind in (None, row.kind)
            and row.label <= clearance
            and (row.expires is None or row.expires > now)
        ]
        found.sort(key=lambda row: (row.updated, row.id), reverse=True)
        return Memories(memories=tuple(map(row_views.memory_view, found[: query.limit])))

    async def searchable(self, among: Sequence[str], *, by: str, clearance: Clearance) -> list[str]:
        found = {
            row.correlation
            for row in self._labelled()
            if (row.principal, row.kind) == (by, runs.KNOWLEDGE_ITEM)
            and (row.effect == runs.INDEX_EFFECT or row.type == tag(Unchanged))
            and row.label <= clearance
        }
        return [run for run in among if run in found]

    async def imports(self, query: ImportsQuery, *, owner: str, clearance: Clearance, now: datetime) -> ImportedItems:
        found = [
            knowledge.ImportedRow(id=row.id, place=row.imported.key, digest=row.imported.digest, updated=row.updated)
            for row in self._fold(knowledge.KNOWLEDGE)
            if row.imported
            and (row.imported.collection, row.created_by) == (query.collection, owner)
            and row.label <= clearance
            and (row.expires is None or row.expires > now)
        ]
        found.sort(key=lambda row: row.id)
        return ImportedItems(items=tuple(map(row_views.imported_view, found[: query.limit])))

    async def owns(self, owner: str, item: str, *, clearance: Clearance, now: datetime) -> bool:
        return any(
            (row.id, row.created_by) == (item, owner)
            and row.label <= clearance
            and (row.expires is None or row.expires > now)
            for row in self._fold(knowledge.KNOWLEDGE)
        )

    async def collections(self, among: Sequence[str], *, owner: str, clearance: Clearance, now: datetime) -> list[str]:
        pages = [
            await self.imports(ImportsQuery(collection=name), owner=owner, clearance=clearance, now=now)
            for name in among
        ]
        return [name for name, page in zip(among, pages, strict=True) if page.items]

    async def adoptable(
        self, query: AdoptableQuery, *, owner: str, clearance: Clearance, now: datetime
    ) -> AdoptableItems:
        found = [
            row
            for row in self._fold(knowledge.KNOWLEDGE)
            if row.imported is None
            and row.created_by == owner
            and row.label <= clearance
            and (row.expires is None or row.expires > now)
        ]
        found.sort(key=lambda row: row.id)
        return AdoptableItems(items=tuple(map(row_views.adoptable_view, found[: query.limit])))

    async def knowledge_epoch(self) -> str:
        return str(len(self._all({})))

    async def strategic_items(
        self, outlook: strategic.Outlook, *, clearance: Clearance
    ) -> list[strategic.StrategicItem]:
        found = [
            msgspec.convert(row, strategic.StrategicItem, from_attributes=True)
            for row in self._fold(knowledge.KNOWLEDGE)
            if row.label <= clearance
            and row.category in outlook.categories
            and row.partition in outlook.partitions
            and (row.expires is None or row.expires > outlook.now)
            and (row.updated >= outlook.since or (row.expires is not None and row.expires <= outlook.until))
        ]
        return sorted(found, key=strategic.best_first)

    async def records(self, kind: RecordKind, *, clearance: Clearance) -> tuple[tuple[AnyRecord, ...], int]:
        found = [row for row in self._fold(records.RECORDS) if row.kind == kind and row.label <= clearance]
        return records.joined(found), 0

    def _records(self, clearance: Clearance) -> list[EventView]:
        rows = [row for row in self._labelled() if row.label <= clearance]
        return [
            row_views.record_view(row) for row in sorted(rows, key=lambda row: (row.time, row.domain, row.sequence))
        ]

    def _labelled(self) -> list[runs.RunRecord]:
        """The records, those of a knowledge item at least as confidential as it is now: what `projections.runs` asks in SQL."""
        rows = self._fold(runs.RUNS)
        present = {
            row.actor: row.label
            for row in rows
            if row.kind == runs.KNOWLEDGE_ITEM and row.lane == "log" and row.type not in KERNEL_TYPES
        }
        return [msgspec.structs.replace(row, label=max(row.label, present_label(row, present))) for row in rows]

    async def label_of_run(self, correlation: str) -> Clearance | None:
        return max((row.label for row in self._labelled() if row.correlation == correlation), default=None)

    async def collaborations(
        self, query: CollaborationsQuery, *, by: str | None, clearance: Clearance, now: datetime
    ) -> Collaborations:
        found = [
            row_views.collaboration_view(row, now)
            for row in self._fold(collaborations.COLLABORATIONS)
            if by in (None, row.asker) and row.label <= clearance and query.domain in (None, row.answering.value)
        ]
        found.sort(key=lambda one: (one.requested, one.domain, one.id), reverse=True)
        wanted = [one for one in found if query.status in (None, one.status) and query.type in (None, one.request_type)]
        return Collaborations(collaborations=tuple(wanted[: query.limit]))

    async def collaboration(self, id: str, *, clearance: Clearance, now: datetime) -> CollaborationView | None:  # noqa: A002 - the field's name
        rows = self._fold(collaborations.COLLABORATIONS)
        return next(
            (row_views.collaboration_view(row, now) for row in rows if row.id == id and row.label <= clearance), None
        )

    async def raised_runs(self, correlations: Sequence[str]) -> dict[str, Clearance]:
        """What `projections.resting` asks in SQL, forwards instead of back: from what was found on to what rests on it."""
        findings, rows = self._fold(resting.FINDINGS), self._fold(runs.RUNS)
        rows = [row for row in rows if row.lane == "log" and row.kind == resting.CONVERSATION]
        raised: dict[str, Clearance] = {}
        waiting = [
            (finding.correlation, item.label)
            for item in self._fold(resting.ITEM_LABELS)
            if item.label > item.lowest
            for finding in findings
            if finding.label < item.label and not set(finding.found).isdisjoint(item.entries)
        ]
        while waiting:
            run, label = waiting.pop()
            if label <= raised.get(run, Clearance.PUBLIC):
                continue
            raised[run] = label
            said = [row for row in rows if row.correlation == run]
            turns = {(row.domain, row.actor): row.sequence for row in said}
            waiting += [
                (row.correlation, label)
                for row in rows
                if turns.get((row.domain, row.actor), row.sequence) < row.sequence
            ]
            told = {(row.domain, row.sequence) for row in said}
            waiting += [
                (one.correlation, label)
                for one in findings
                if any((one.domain, place) in told for place in one.remembered)
            ]
        return {run: label for run, label in raised.items() if run in correlations}

    async def run(self, correlation: str, *, clearance: Clearance) -> list[EventView]:
        records = [] if self.behind else self._records(clearance)
        found = [view for view in records if view.correlation == correlation]
        return [msgspec.structs.replace(view, body=None) for view in found]

    async def spent(self, correlation: str, *, clearance: Clearance) -> dict[Domain, ModelUsage]:
        rows = [row for row in self._fold(runs.RUNS) if row.label <= clearance and row.correlation == correlation]
        calls = [runs.ModelCall(row.domain, row.body) for row in rows if row.effect in runs.MODEL_EFFECTS]
        return {domain: row_views.usage_view(one) for domain, one in runs.spent(calls).items()}

    async def events(self, query: EventsQuery, *, clearance: Clearance) -> EventsRead:
        """The cursor is how many records there are before it."""
        records = self._records(clearance)
        after = query.after or "0"
        if not (after.isascii() and after.isdecimal()):
            raise InvalidError("not a cursor of ours", "cursor")
        start = int(after)
        page = records[start : start + query.limit]
        shown = tuple(
            view
            for view in page
            if (query.domain in (None, view.domain))
            and query.type in (None, view.type)
            and query.correlation in (None, view.correlation)
            and view.lane == query.lane
        )
        return EventsRead(shown, str(start + len(page)), more=start + len(page) < len(records))

    async def end_of_events(self) -> str:
        return str(len(self._all({})))
