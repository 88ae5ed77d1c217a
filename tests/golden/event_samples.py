"""Single events that are frozen, each in a shape that some version wrote. Only ever added to, as `samples` is."""

import msgspec

from contracts.analysis import (
    AnalysisFailed,
    AnalysisLeftInPart,
    AnalysisStarted,
    PhaseCompleted,
)
from contracts.collaboration import (
    Concluded,
    ConcludedInPart,
    Requested,
)
from contracts.conversation import (
    AnsweredInPart,
    Asked,
    Failed,
    LeftInPart,
)
from contracts.domains import Clearance, Domain
from contracts.envelope import Event
from contracts.kernel import EffectRecorded, Refused, Unchanged
from contracts.raw_chat import ChatAsked, ChatFailed
from tests.golden.parts import BUDGET, CHAT, CITATIONS, IN_PART, MISSING, ODD, OUTCOME, REQUEST, USAGE, answer, phase

EVENTS: dict[str, Event | bytes] = {
    "runtime.effect.v1.1": EffectRecorded(
        effect=1, name="chat", arguments="0f" * 32, result=msgspec.Raw(b'{"sections":{"a":"b"},"tokens":[1,2.5]}')
    ),
    "runtime.effect.v1.2": EffectRecorded(
        effect=2, name="tool", arguments="1f" * 32, result=msgspec.Raw(b"null"), error="not a table"
    ),
    "runtime.effect.v1.paid": EffectRecorded(
        effect=3, name="chat", arguments="2f" * 32, result=msgspec.Raw(b"null"), error="no JSON", usage=USAGE
    ),
    "conversation.asked.v1.budget": Asked(turn="t1", by="Zoë", text="Why?", budget=BUDGET),
    "conversation.answered.v1.cited": msgspec.structs.replace(answer("t1").answer, citations=CITATIONS),
    "conversation.answered.v1.paid": msgspec.structs.replace(answer("t1").answer, usage=USAGE),
    "chat.asked.v1.budget": ChatAsked(by="Zoë", request=CHAT, budget=BUDGET),
    "collaboration.requested.v1.budget": Requested(asker=Domain.SOPHIA, request=REQUEST, budget=BUDGET),
    "collaboration.concluded.v1.paid": Concluded(outcome=msgspec.structs.replace(OUTCOME, usage=USAGE)),
    "analysis.started.v1.budget": AnalysisStarted(by="Zoë", subject="Portal", question="Shall we?", budget=BUDGET),
    "analysis.phase_completed.v1.cited": PhaseCompleted(
        result=msgspec.structs.replace(phase("business_analysis").result, citations=CITATIONS),
        label=Clearance.CONFIDENTIAL,
    ),
    "conversation.answered_in_part.v1.1": AnsweredInPart(turn="t1", answer=answer("t1").answer, missing=MISSING),
    "conversation.left_in_part.v1.1": LeftInPart(turn="t1", reason="nothing is left", code="budget"),
    "collaboration.concluded_in_part.v1.1": ConcludedInPart(outcome=IN_PART),
    "runtime.refused.v1.1": Refused(message="01999999-0000-7000-8000-000000000001", code="conflict", reason=ODD),
    "runtime.refused.v1.failed": Refused(
        message="01999999-0000-7000-8000-000000000002", code="failed", reason="RuntimeError: a bug"
    ),
    "runtime.unchanged.v1.1": Unchanged(message="01999999-0000-7000-8000-000000000003"),
    "analysis.failed.v1.1": AnalysisFailed(reason="expired"),
    "analysis.failed.v1.budget": AnalysisFailed(reason="nothing is left", code="budget"),
    "analysis.left_in_part.v1.budget": AnalysisLeftInPart(reason="nothing is left", code="budget"),
    "chat.failed.v1.budget": ChatFailed(reason="nothing is left", code="budget"),
    "conversation.failed.v1.budget": Failed(turn="t1", reason="nothing is left", code="budget"),
    "runtime.effect.v1.refused": EffectRecorded(
        effect=2, name="chat", arguments="0" * 64, result=msgspec.Raw(b"null"), error="HTTP 400: no", code="refused"
    ),
    "conversation.answered.v1.early": msgspec.json.encode(
        {
            "type": "conversation.answered.v1",
            "turn": "t1",
            "content": "Before the question was part of it.",
            "team": "security",
            "confidence": 0.5,
            "evidence": [],
            "collaboration_needed": False,
            "collaborators": [],
            "contributions": [],
            "model": "m",
            "label": "public",
        }
    ),
}
