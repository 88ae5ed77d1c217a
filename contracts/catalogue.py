"""Every type with a stored name, so that a reader who meets a record can decode it."""

from typing import Any

from contracts import (
    agents,
    alerts,
    analysis,
    approval,
    business,
    collaboration,
    conversation,
    facts,
    kernel,
    knowledge,
    memory,
    raw_chat,
    upcasting,
    users,
)
from contracts.envelope import Event, Message
from contracts.stored import StoredDecoder

EVENTS: tuple[type[Event], ...] = (
    agents.AgentRegistered,
    agents.AgentRetired,
    alerts.AlertAcknowledged,
    alerts.AlertEscalated,
    alerts.AlertRaised,
    alerts.AlertResolved,
    analysis.AnalysisCompleted,
    analysis.AnalysisConcludedInPart,
    analysis.AnalysisFailed,
    analysis.AnalysisLeftInPart,
    analysis.AnalysisStarted,
    analysis.PhaseCompleted,
    approval.ApprovalAnswered,
    approval.ApprovalDelegated,
    approval.ApprovalDenied,
    approval.ApprovalExpired,
    approval.ApprovalGranted,
    approval.ApprovalRequested,
    approval.ApprovalRevoked,
    approval.ApprovalUsed,
    approval.ApprovalVoided,
    approval.ApprovalWithdrawn,
    business.BusinessRecorded,
    collaboration.Concluded,
    collaboration.ConcludedInPart,
    collaboration.Requested,
    conversation.Answered,
    conversation.AnsweredInPart,
    conversation.Asked,
    conversation.Failed,
    conversation.LeftInPart,
    conversation.SessionEnded,
    conversation.SessionStarted,
    facts.SignalRecorded,
    kernel.EffectRecorded,
    kernel.Refused,
    kernel.Unchanged,
    knowledge.KnowledgeAdded,
    knowledge.KnowledgeDeclassified,
    knowledge.KnowledgeDeleted,
    knowledge.KnowledgeExpired,
    knowledge.KnowledgeUpdated,
    memory.Forgotten,
    memory.Remembered,
    memory.Revised,
    raw_chat.ChatAnswered,
    raw_chat.ChatAsked,
    raw_chat.ChatFailed,
    users.UserCreated,
)


def tag(kind: type[Message] | type[Event]) -> str:
    """The stored name of a message or event type."""
    config: Any = kind.__struct_config__
    return str(config.tag)


_DECODERS: dict[str, StoredDecoder[Event]] = {tag(kind): StoredDecoder(kind) for kind in EVENTS}


def decode_event(type_name: str, body: bytes) -> Event:
    """The event a record holds, as today's version of its type.

    Raises KeyError for an unknown type, msgspec.ValidationError for a malformed body.
    """
    return _DECODERS[upcasting.current(type_name)].decode(body)
