"""From records of the log to what the API shows of them."""

from typing import Any

import msgspec

from contracts import subjects
from contracts.catalogue import tag
from contracts.conversation import Answered
from contracts.domains import Clearance
from contracts.envelope import Stored
from contracts.http import AnswerReply, EventView
from contracts.users import UserCreated

_SECRET_FIELDS = {tag(UserCreated): ("password_hash",)}


def event_view(stored: Stored, *, body: bool = False) -> EventView:
    """A record as the API shows it; `body` says whether with its content, which never holds a password's hash."""
    envelope = stored.record.envelope
    actor = subjects.parse(stored.subject).actor
    return EventView(
        domain=actor.domain,
        sequence=stored.sequence,
        kind=actor.kind,
        actor=actor.id,
        id=envelope.id,
        type=envelope.type,
        time=envelope.time,
        correlation=envelope.correlation,
        principal=envelope.principal,
        label=envelope.label,
        causation=envelope.causation,
        body=_shown(envelope.type, stored.record.body) if body else None,
    )


def _shown(type_name: str, body: bytes) -> msgspec.Raw:
    secret = _SECRET_FIELDS.get(type_name)
    if secret is None:
        return msgspec.Raw(body)
    content: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    return msgspec.Raw(msgspec.json.encode({name: value for name, value in content.items() if name not in secret}))


def answer_reply(answered: Answered, label: Clearance) -> AnswerReply:
    """An answer with the label of the whole turn: the question's counts, too."""
    return AnswerReply(
        content=answered.content,
        team=answered.team,
        confidence=answered.confidence,
        evidence=answered.evidence,
        collaboration_needed=answered.collaboration_needed,
        collaborators=answered.collaborators,
        contributions=answered.contributions,
        model=answered.model,
        label=label,
        citations=answered.citations,
        grounds=answered.grounds,
        strategic=answered.strategic,
    )
