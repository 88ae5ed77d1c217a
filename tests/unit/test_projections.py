"""The folds, event by event."""

from datetime import timedelta

import msgspec

from adapters.postgres import json_text
from contracts import subjects
from contracts.analysis import AnalysisCompleted, AnalysisFailed, AnalysisStarted, PhaseCompleted
from contracts.catalogue import tag
from contracts.collaboration import Concluded, Outcome, Request, Requested
from contracts.conversation import Asked, Failed, SessionEnded, SessionStarted
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, Event, Record, Stored
from contracts.kernel import EffectRecorded
from contracts.knowledge import KnowledgeAdded, KnowledgeDeleted, KnowledgeUpdated
from contracts.subjects import ActorRef
from contracts.users import UserCreated
from projections.analyses import ANALYSES, Analysis
from projections.catalogue import PROJECTIONS
from projections.collaborations import COLLABORATIONS, Collaboration, as_of
from projections.knowledge import KNOWLEDGE, KnowledgeItem
from projections.messages import MESSAGES, Turn
from projections.runs import RUNS
from projections.sessions import SESSIONS, Session
from runtime.read_models import Logged, logged
from tests.histories import START, answered, item, phase

TALK = ActorRef(Domain.SOPHIA, "conversation", "c")
STARTED = SessionStarted(owner="ada", title="t", context_type="business")


def at(
    second: int,
    event: Event,
    *,
    actor: ActorRef = TALK,
    label: Clearance = Clearance.PUBLIC,
    reaction: str | None = None,
) -> Logged:
    """The event as number `second` of its log."""
    envelope = Envelope(
        id=f"e{second}",
        type=tag(type(event)),
        time=START + timedelta(seconds=second),
        correlation="run",
        principal="ada",
        source=actor.domain,
        label=label,
    )
    subject = subjects.run(actor, reaction) if reaction else subjects.log(actor)
    return logged([Stored(subject, second, Record(envelope, msgspec.json.encode(event)))])[0]


def asked(turn: str = "t") -> Asked:
    return Asked(turn=turn, by="ben", text="?")


def test_a_session_counts_its_turns_and_takes_the_highest_label() -> None:
    row: Session | None = None
    for second, (event, label) in enumerate(
        (
            (STARTED, Clearance.PUBLIC),
            (asked(), Clearance.INTERNAL),
            (answered("t", Clearance.RESTRICTED), Clearance.INTERNAL),
            (asked("u"), Clearance.PUBLIC),
            (Failed(turn="u", reason="r"), Clearance.PUBLIC),
        )
    ):
        row = SESSIONS.fold(row, at(second, event, label=label))
    assert row is not None
    assert (row.turns, row.label, row.status) == (2, Clearance.RESTRICTED, "active")
    assert (row.created, row.updated) == (START, START + timedelta(seconds=4))
    ended = SESSIONS.fold(row, at(5, SessionEnded(by="ada")))
    assert ended is not None
    assert ended.status == "ended"
    assert SESSIONS.fold(None, at(1, asked())) is None


def test_a_turn_is_pending_then_answered_or_failed_with_the_highest_label() -> None:
    row = MESSAGES.fold(None, at(1, asked(), label=Clearance.INTERNAL))
    assert isinstance(row, Turn)
    assert (row.status, row.asker, row.answered) == ("pending", "ben", None)
    done = MESSAGES.fold(row, at(2, answered("t", Clearance.CONFIDENTIAL)))
    assert done is not None
    assert (done.status, done.content, done.label) == ("answered", "Because of \0.", Clearance.CONFIDENTIAL)
    failed = MESSAGES.fold(row, at(2, Failed(turn="t", reason="no model")))
    assert failed is not None
    assert (failed.status, failed.reason, failed.label) == ("failed", "no model", Clearance.INTERNAL)
    assert MESSAGES.fold(None, at(2, answered("t", Clearance.PUBLIC))) is None
    assert MESSAGES.key(at(1, asked("x"))) == ("sophia", "c", "x")
    assert MESSAGES.key(at(1, STARTED)) is None


def test_a_collaboration_tells_who_asked_whom_and_how_it_ended() -> None:
    actor = ActorRef(Domain.ARTEMIS, "collaboration", "k")
    request = Request(request_type="feasibility", question="q", priority=4)
    row = COLLABORATIONS.fold(None, at(1, Requested(asker=Domain.SOPHIA, request=request), actor=actor))
    assert isinstance(row, Collaboration)
    assert (row.asking, row.answering, row.status, row.priority) == (Domain.SOPHIA, Domain.ARTEMIS, "pending", 4)
    outcome = Outcome(status="refused", reason="not cleared", label=Clearance.INTERNAL)
    done = COLLABORATIONS.fold(row, at(2, Concluded(outcome=outcome), actor=actor))
    assert done is not None
    assert (done.status, done.reason, done.label) == ("refused", "not cleared", Clearance.INTERNAL)


def test_an_outcome_that_came_too_late_is_shown_as_that_with_how_late_it_was() -> None:
    actor = ActorRef(Domain.ARTEMIS, "collaboration", "k")
    asked = at(1, Requested(asker=Domain.SOPHIA, request=Request(request_type="x", question="q")), actor=actor)
    due = asked.envelope.time + timedelta(seconds=1)
    request = Request(request_type="x", question="q", deadline=due)
    row = COLLABORATIONS.fold(None, at(1, Requested(asker=Domain.SOPHIA, request=request), actor=actor))
    assert row is not None
    assert as_of(row, due).status == "pending"
    assert as_of(row, due + timedelta(seconds=1)).status == "expired"
    outcome = Outcome(status="completed", sections={"a": "Yes."}, confidence=0.5)
    done = COLLABORATIONS.fold(row, at(62, Concluded(outcome=outcome), actor=actor))
    assert done is not None
    assert (done.status, done.late, done.sections) == ("expired", "completed", {"a": "Yes."})
    assert done.concluded is not None
    late_s = (done.concluded - due).total_seconds()
    assert done.reason == f"the outcome came {late_s:.1f} s after the deadline"


def test_an_analysis_keeps_its_phases_in_order_and_each_once() -> None:
    actor = ActorRef(Domain.SOPHIA, "analysis", "a")
    row: Analysis | None = None
    first, second = phase("business_analysis", Clearance.INTERNAL), phase("feasibility", Clearance.CONFIDENTIAL)
    events = (
        AnalysisStarted(by="ada", subject="s", question="q"),
        PhaseCompleted(result=first, label=Clearance.INTERNAL),
        PhaseCompleted(result=second, label=Clearance.CONFIDENTIAL),
        PhaseCompleted(result=second, label=Clearance.CONFIDENTIAL),
    )
    for number, event in enumerate(events):
        row = ANALYSES.fold(row, at(number, event, actor=actor))
    assert row is not None
    assert (row.phases, row.status, row.label) == ((first, second), "running", Clearance.CONFIDENTIAL)
    summary = AnalysisCompleted(
        executive_summary="x", recommendations="y", confidence=0.5, confidence_by_domain={}, label=Clearance.PUBLIC
    )
    done, failed = (
        ANALYSES.fold(row, at(9, event, actor=actor)) for event in (summary, AnalysisFailed(reason="expired"))
    )
    assert done is not None
    assert (done.status, done.executive_summary, done.label) == ("completed", "x", Clearance.CONFIDENTIAL)
    assert failed is not None
    assert (failed.status, failed.reason) == ("failed", "expired")


def test_a_knowledge_item_is_replaced_and_deleted() -> None:
    actor = ActorRef(Domain.CEO, "knowledge_item", "i")
    row = KNOWLEDGE.fold(None, at(1, KnowledgeAdded(by="ada", knowledge=item(Clearance.RESTRICTED)), actor=actor))
    assert isinstance(row, KnowledgeItem)
    update = KnowledgeUpdated(by="ben", knowledge=item(Clearance.PUBLIC, 9), previous_partition="ceo_knowledge")
    new = KNOWLEDGE.fold(row, at(2, update, actor=actor))
    assert new is not None
    assert (new.created_by, new.updated_by, new.strategic_priority) == ("ada", "ben", 9)
    assert (row.label, new.label, new.created) == (Clearance.RESTRICTED, Clearance.PUBLIC, row.created)
    assert KNOWLEDGE.fold(new, at(3, KnowledgeDeleted(by="ada", partition="ceo_knowledge"), actor=actor)) is None


def test_a_run_record_is_made_of_headers_and_hides_password_hashes() -> None:
    effect = EffectRecorded(effect=1, name="chat", arguments="", result=msgspec.Raw(b"{}"))
    row = RUNS.fold(None, at(1, effect, label=Clearance.RESTRICTED, reaction="r"))
    assert row is not None
    assert (row.lane, row.reaction, row.effect, row.label) == ("run", "r", "chat", Clearance.RESTRICTED)
    user = UserCreated(username="ada", password_hash="$argon2id$", roles=(), clearance=Clearance.PUBLIC)
    shown = RUNS.fold(None, at(1, user, actor=ActorRef(Domain.SYSTEM, "user", "ada")))
    assert shown is not None
    assert "argon2id" not in shown.body
    assert '"username":"ada"' in shown.body


def test_records_on_no_actors_subject_and_unknown_types_do_not_block() -> None:
    good = at(1, STARTED)
    record = Record(good.envelope, b"{}")
    unknown = Record(msgspec.structs.replace(good.envelope, type="later.v9"), b"\xff")
    batch = logged(
        [
            Stored("sophia.log.x", 1, record),
            Stored(subjects.log(TALK), 2, unknown),
            Stored(subjects.log(TALK), 3, record),
        ]
    )
    assert [(one.sequence, one.event) for one in batch] == [(2, None), (3, None)]
    row = RUNS.fold(None, batch[0])
    assert row is not None
    assert (row.type, row.body) == ("later.v9", "\ufffd")


def test_texts_with_nul_become_storable_and_escaped_backslashes_stay() -> None:
    assert json_text(["a\0b", "\\u0000", "\\\0"]) == '["a\\ufffdb","\\\\u0000","\\\\\\ufffd"]'


def test_no_two_projections_share_a_name_or_a_table() -> None:
    assert len({one.name for one in PROJECTIONS}) == len({one.table for one in PROJECTIONS}) == len(PROJECTIONS)
