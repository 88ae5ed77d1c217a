"""From rows of the read models to what the API shows of them."""

from datetime import datetime
from typing import cast

import msgspec

from contracts.alerts import Alert
from contracts.analysis import ASKED_OF, PHASES
from contracts.approvals import ApprovalLine
from contracts.collaborating import CollaborationView
from contracts.conversation import Team
from contracts.curating import (
    AdoptableItem,
    ImportedItem,
    KnowledgeItem,
    KnowledgeLine,
)
from contracts.domains import Domain
from contracts.http import (
    Analysis,
    AnswerReply,
    EventView,
    ModelUsage,
    Session,
    Turn,
)
from contracts.knowledge import text_digest
from contracts.memory import MemoryView
from projections import (
    alerts,
    analyses,
    approvals,
    collaborations,
    knowledge,
    memories,
    messages,
    runs,
    sessions,
)


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


def collaboration_view(row: collaborations.Collaboration, now: datetime) -> CollaborationView:
    row = collaborations.as_of(row, now)
    shared = {name: getattr(row, name) for name in CollaborationView.__struct_fields__ if hasattr(row, name)}
    return CollaborationView(**shared, domain=row.answering, by=row.asker, correlation_id=row.correlation)


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
        waiting_for=_waits_for(row),
        missing=row.missing,
    )


def _waits_for(row: analyses.Analysis) -> Domain | None:
    if row.status == "partial":
        return row.missing[0].domain if row.missing and not row.reason else None
    under_way = PHASES[len(row.phases) :] if row.status == "running" else ()
    return ASKED_OF.get(under_way[0]) if under_way else None


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
