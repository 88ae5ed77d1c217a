"""What the actors decide: given events, when a message, then events; and a repeat never changes anything."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.ceo.knowledge_item import knowledge_item
from actors.collaboration import collaboration
from actors.conversation import conversation
from actors.roster import ACTORS
from actors.signal import signal
from actors.sophia.analysis import analysis
from actors.system.chat import chat
from actors.system.user import user
from contracts.agents import AgentProfile, RegisterAgents
from contracts.alerts import AcknowledgeAlert, EscalateAlert, RaiseAlert, ResolveAlert
from contracts.analysis import (
    PHASES,
    AnalysisCompleted,
    AnalysisStarted,
    ConcludeAnalysisInPart,
    FinishAnalysis,
    Phase,
    PhaseCompleted,
    PhaseResult,
    RecordPhase,
    StartAnalysis,
)
from contracts.approval import ExpireApproval, UseApproval, VoidApproval, WithdrawApproval
from contracts.chat import ChatMessage, ChatReply, ChatRequest
from contracts.collaboration import Collaborate, Conclude, Concluded, Outcome, Request, Requested
from contracts.conversation import (
    EXCHANGE_CHARS_MAX,
    EXCHANGES_MAX,
    Answer,
    Answered,
    Ask,
    Asked,
    EndSession,
    Exchange,
    Fail,
    Failed,
    SessionEnded,
    SessionStarted,
    StartSession,
)
from contracts.domains import Clearance, Domain
from contracts.facts import StrategicAlert
from contracts.knowledge import (
    AddKnowledge,
    DeclassifyKnowledge,
    DeleteKnowledge,
    Knowledge,
    KnowledgeAdded,
    KnowledgeDeclassified,
    KnowledgeDeleted,
    KnowledgeUpdated,
    UpdateKnowledge,
    outline,
)
from contracts.memory import ForgetMemory, Remember, ReviseMemory
from contracts.model import FLOW
from contracts.raw_chat import AnswerChat, AskChat, ChatAnswered, ChatAsked, ChatFailed, FailChat
from contracts.users import CreateUser
from runtime.errors import Rejected
from runtime.testing import given
from tests import approvals
from tests.golden.parts import CLIENT_FACTS, DEAL_FACTS, INVOICE_FACTS, TICKET_FACTS

STARTED = SessionStarted(owner="ann", title="Churn", context_type="business")
ASK = Ask(turn="t1", by="ann", text="Why do customers leave?", context_type="business")
ASKED = Asked(turn="t1", by="ann", text="Why do customers leave?", flow=FLOW)


def answered(turn: str = "t1", content: str = "Because.", label: Clearance = Clearance.PUBLIC) -> Answered:
    return Answered(
        question="Why?",
        turn=turn,
        content=content,
        team="client_analysis",
        confidence=0.5,
        evidence=(),
        collaboration_needed=False,
        collaborators=(),
        contributions=(),
        model="m",
        label=label,
    )


def test_a_question_is_asked_in_a_session() -> None:
    given(conversation, STARTED).when(ASK).then(ASKED)


def test_a_question_begins_its_own_session() -> None:
    given(conversation).when(ASK).then(
        SessionStarted(owner="ann", title="Why do customers leave?", context_type="business"), ASKED
    )


def test_one_turn_at_a_time() -> None:
    second = Ask(turn="t2", by="ann", text="And now?", context_type="business")
    given(conversation, STARTED, ASKED).when(second).rejects("t1 is unanswered")
    given(conversation, STARTED, ASKED, answered()).when(second).then(
        Asked(
            turn="t2", by="ann", text="And now?", flow=FLOW, history=(Exchange("Why do customers leave?", "Because."),)
        )
    )
    given(conversation, STARTED, ASKED).when(Fail(turn="t1", reason="no"), second).then(
        Asked(turn="t2", by="ann", text="And now?", flow=FLOW)
    )


def test_a_new_session_begins_with_what_was_said_elsewhere_an_old_one_knows_better() -> None:
    told = (Exchange("Who?", "x" * 2 * EXCHANGE_CHARS_MAX),)
    known = (Exchange("Who?", "x" * EXCHANGE_CHARS_MAX),)
    begun = (
        given(conversation)
        .when(replace(ASK, history=told))
        .then(SessionStarted(owner="ann", title=ASK.text, context_type="business"), replace(ASKED, history=known))
    )
    second = Ask(turn="t2", by="ann", text="And now?", context_type="business", history=(Exchange("made", "up"),))
    begun.when(Answer(turn="t1", answer=answered()), second).then(
        Asked(turn="t2", by="ann", text="And now?", flow=FLOW, history=(*known, Exchange(ASK.text, "Because.")))
    )
    begun.when(Fail(turn="t1", reason="no"), second).then(
        Asked(turn="t2", by="ann", text="And now?", flow=FLOW, history=known)
    )


def test_working_memory_is_bounded_and_labelled() -> None:
    state = given(conversation, STARTED)
    for number in range(EXCHANGES_MAX + 2):
        ask = Ask(turn=f"t{number}", by="ann", text=f"q{number}", context_type="business")
        state = state.when(ask, Answer(turn=ask.turn, answer=answered(ask.turn, "a", Clearance.RESTRICTED))).after
    events = state.when(Ask(turn="last", by="ann", text="q", context_type="business")).events
    assert isinstance(events[0], Asked)
    assert [past.question for past in events[0].history] == ["q2", "q3", "q4"]
    assert events[0].label == Clearance.RESTRICTED


def test_only_the_owner_uses_a_session() -> None:
    given(conversation, STARTED).when(Ask(turn="t", by="bob", text="?", context_type="business")).rejects(
        "somebody else"
    )
    given(conversation, STARTED).when(EndSession(by="bob")).rejects("somebody else")
    given(conversation).when(EndSession(by="bob")).rejects("no such session")


def test_an_ended_session_takes_no_question() -> None:
    ended = given(conversation, STARTED).when(EndSession(by="ann")).then(SessionEnded(by="ann"))
    ended.when(ASK).rejects("ended")
    ended.when(EndSession(by="ann")).then()


def test_an_answer_to_another_turn_changes_nothing() -> None:
    given(conversation, STARTED, ASKED).when(Answer(turn="t0", answer=answered("t0"))).then()
    given(conversation, STARTED, ASKED, answered()).when(Fail(turn="t1", reason="late")).then()
    given(conversation, STARTED, ASKED).when(Fail(turn="t1", reason="no")).then(Failed(turn="t1", reason="no"))


REQUESTED = Requested(asker=Domain.SOPHIA, request=Request(request_type="x", question="?"), flow=FLOW)


def test_a_collaboration_ends_once() -> None:
    ask = Collaborate(asker=Domain.SOPHIA, request=REQUESTED.request)
    outcome = Outcome(status="completed", confidence=1.0)
    given(collaboration).when(ask).then(REQUESTED).when(Conclude(outcome=outcome)).then(
        Concluded(outcome=outcome)
    ).when(Conclude(outcome=Outcome(status="failed"))).then()
    given(collaboration).when(Conclude(outcome=outcome)).rejects("nothing was requested")


def phase(name: Phase, confidence: float = 0.5, label: Clearance = Clearance.PUBLIC) -> PhaseResult:
    domain = {"feasibility": Domain.ARTEMIS, "strategic_synthesis": Domain.CEO}.get(name, Domain.SOPHIA)
    sections = {"executive_summary": "sum", "recommendations": "rec"}
    return PhaseResult(
        phase=name, domain=domain, sections=sections, confidence=confidence, evidence=(), model="m", label=label
    )


def test_the_phases_come_in_their_order_and_are_all_needed() -> None:
    start = StartAnalysis(by="ann", subject="s", question="q")
    started = AnalysisStarted(by="ann", subject="s", question="q", flow=FLOW, patient=True)
    state = given(analysis).when(start).then(started)
    state.when(RecordPhase(result=phase("feasibility"))).rejects("not the next one")
    for name in PHASES:
        state.when(FinishAnalysis()).rejects(f"phase {name} is not done")
        label = Clearance.RESTRICTED if name == "feasibility" else Clearance.INTERNAL
        result = phase(name, 0.8 if name == "feasibility" else 0.4, label)
        state = state.when(RecordPhase(result=result)).then(PhaseCompleted(result=result, label=label))
    state.when(FinishAnalysis()).then(
        AnalysisCompleted(
            executive_summary="sum",
            recommendations="rec",
            confidence=0.48,
            confidence_by_domain={"artemis": 0.8, "ceo": 0.4, "sophia": 0.4},
            label=Clearance.RESTRICTED,
        )
    )


ITEM = Knowledge(title="t", content="c", category="risk_management", confidentiality=Clearance.CONFIDENTIAL)
ADDED = KnowledgeAdded(by="ann", knowledge=ITEM)


def test_knowledge_is_added_changed_and_deleted() -> None:
    changed = msgspec.structs.replace(ITEM, title="t2", partition="shared_knowledge")
    state = given(knowledge_item).when(AddKnowledge(by="ann", knowledge=ITEM)).then(ADDED)
    update = UpdateKnowledge(by="bob", clearance=Clearance.CONFIDENTIAL, knowledge=changed)
    state = state.when(update).then(
        KnowledgeUpdated(by="bob", knowledge=changed, previous_partition="ceo_knowledge", previous=outline(ITEM))
    )
    delete = DeleteKnowledge(by="bob", clearance=Clearance.CONFIDENTIAL)
    state = state.when(delete).then(KnowledgeDeleted(by="bob", partition="shared_knowledge", previous=outline(changed)))
    state.when(update).rejects("no such")
    state.when(AddKnowledge(by="ann", knowledge=ITEM)).then()


@for_all(st.sampled_from(Clearance))
def test_an_item_above_the_writers_clearance_does_not_exist_for_him(clearance: Clearance) -> None:
    when = given(knowledge_item, ADDED).when(DeleteKnowledge(by="bob", clearance=clearance))
    if clearance < ITEM.confidentiality:
        when.rejects("no such")
    else:
        when.then(KnowledgeDeleted(by="bob", partition="ceo_knowledge", previous=outline(ITEM)))


@for_all(st.sampled_from(Clearance), st.sampled_from(Clearance))
def test_only_a_declassification_lowers_an_item_and_only_an_update_raises_it(old: Clearance, new: Clearance) -> None:
    item = msgspec.structs.replace(ITEM, confidentiality=old)
    wanted = msgspec.structs.replace(ITEM, confidentiality=new)
    held = given(knowledge_item, KnowledgeAdded(by="ann", knowledge=item))
    update = held.when(UpdateKnowledge(by="bob", clearance=Clearance.TOP_SECRET, knowledge=wanted))
    declassify = held.when(
        DeclassifyKnowledge(by="bob", clearance=Clearance.TOP_SECRET, confidentiality=new, reason="announced")
    )
    if new < old:
        update.rejects(f"from {old.value} to {new.value} is no update")
        declassify.then(KnowledgeDeclassified(by="bob", previous=old, reason="announced", knowledge=wanted))
    elif new > old:
        update.then(
            KnowledgeUpdated(by="bob", knowledge=wanted, previous_partition="ceo_knowledge", previous=outline(item))
        )
        declassify.rejects(f"from {old.value} to {new.value} is no declassification")
    else:
        update.then()
        declassify.then()


@pytest.mark.parametrize(("priority", "attention"), [(7, False), (8, True)])
def test_executive_attention_is_required_from_eight(priority: int, attention: bool) -> None:
    alert = StrategicAlert(title="t", text="x", origin="o", alert_priority=priority)
    events = given(signal).when(alert).events
    assert [event.executive_attention for event in events] == [attention]  # type: ignore[attr-defined] # of SignalRecorded


def test_a_user_is_created_once() -> None:
    create = CreateUser(username="ann", password_hash="h", roles=("admin",), clearance=Clearance.TOP_SECRET)
    other = CreateUser(username="ann", password_hash="other", roles=("admin",), clearance=Clearance.TOP_SECRET)
    created = given(user).when(create).after
    created.when(create).then()
    created.when(other).rejects("exists")


CHAT = ChatRequest(model="m", messages=(ChatMessage(role="user", content="?"),))
CHATTED = ChatAnswered(
    reply=ChatReply(message=ChatMessage(role="assistant", content="!"), finish_reason="stop", model="m"),
    label=Clearance.INTERNAL,
)


def test_a_chat_is_asked_and_answered_once() -> None:
    asked = given(chat).when(AskChat(by="ann", request=CHAT)).then(ChatAsked(by="ann", request=CHAT))
    asked.when(AskChat(by="bob", request=CHAT)).then()
    answered = asked.when(AnswerChat(answer=CHATTED)).then(CHATTED)
    answered.when(FailChat(reason="late")).then()
    asked.when(FailChat(reason="no")).then(ChatFailed(reason="no")).when(AnswerChat(answer=CHATTED)).then()
    given(chat).when(AnswerChat(answer=CHATTED)).rejects("nothing was asked")


APPROVED = approvals.acting()
PROFILE = AgentProfile(id="sophia", domain=Domain.SOPHIA, role="business")
REMEMBERED_AT = datetime(2026, 11, 29, tzinfo=UTC)
MESSAGES: dict[str, list[Any]] = {
    "conversation": [
        StartSession(owner="ann", title="t", context_type="business"),
        ASK,
        Ask(turn="t2", by="bob", text="?", context_type="technical"),
        Answer(turn="t1", answer=answered()),
        Fail(turn="t1", reason="r"),
        EndSession(by="ann"),
    ],
    "collaboration": [
        Collaborate(asker=Domain.SOPHIA, request=REQUESTED.request),
        Conclude(outcome=Outcome(status="failed")),
    ],
    "analysis": [
        StartAnalysis(by="ann", subject="s", question="q"),
        *(RecordPhase(result=phase(name)) for name in PHASES[:2]),
        ConcludeAnalysisInPart(results=(phase("recommendations"),), missing=()),
        *(RecordPhase(result=phase(name)) for name in PHASES[2:]),
        FinishAnalysis(),
    ],
    "knowledge_item": [
        AddKnowledge(by="ann", knowledge=ITEM),
        UpdateKnowledge(by="ann", clearance=Clearance.TOP_SECRET, knowledge=ITEM),
        UpdateKnowledge(
            by="ann",
            clearance=Clearance.TOP_SECRET,
            knowledge=Knowledge(title="u", content="c", category="risk_management", confidentiality=Clearance.PUBLIC),
        ),
        DeleteKnowledge(by="ann", clearance=Clearance.TOP_SECRET),
    ],
    "signal": [
        StrategicAlert(title="t", text="x", origin="o", alert_priority=9),
        StrategicAlert(title="u", text="x", origin="o", alert_priority=1),
    ],
    "approval": [
        approvals.request(APPROVED),
        approvals.grant("bob", APPROVED),
        approvals.deny("bob"),
        approvals.delegate("bob", "eve"),
        approvals.revoke("bob"),
        ExpireApproval(),
        WithdrawApproval(by="ann", reason=""),
        UseApproval(digest=APPROVED.digest, at=approvals.NOW, waiter="w"),
        VoidApproval(running="0" * 64, reason="r"),
    ],
    "chat": [
        AskChat(by="ann", request=CHAT),
        AnswerChat(answer=CHATTED),
        FailChat(reason="r"),
    ],
    "client": list(CLIENT_FACTS),
    "deal": list(DEAL_FACTS),
    "ticket": list(TICKET_FACTS),
    "invoice": list(INVOICE_FACTS),
    "alert": [
        RaiseAlert(title="t", text="x", origin="o", alert_priority=9),
        EscalateAlert(times=1, step=1),
        EscalateAlert(times=2, step=1),
        AcknowledgeAlert(by="ann"),
        ResolveAlert(by="ann"),
    ],
    "registry": [
        RegisterAgents(profiles=(PROFILE, msgspec.structs.replace(PROFILE, id="sophia.security"))),
        RegisterAgents(profiles=(msgspec.structs.replace(PROFILE, role="other"),)),
        RegisterAgents(profiles=()),
    ],
    "memory": [
        Remember(id="m1", owner="ann", kind="semantic", title="t", text="x", at=REMEMBERED_AT),
        Remember(id="m2", owner="ann", kind="episodic", title="t", text="x", at=REMEMBERED_AT),
        ReviseMemory(id="m1", title="t", text="y"),
        ForgetMemory(id="m1"),
    ],
    "user": [CreateUser(username="ann", password_hash="h", roles=(), clearance=Clearance.PUBLIC)],
}
KINDS = {actor.kind: actor for actors in ACTORS.values() for actor in actors}


def test_every_kind_is_covered() -> None:
    assert set(MESSAGES) == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
@for_all(data=st.data())
def test_a_repeated_message_changes_nothing(kind: str, data: st.DataObject) -> None:
    """Any messages in any order; the last one again right after gives no event (or is refused again)."""
    messages = data.draw(st.lists(st.sampled_from(MESSAGES[kind]), min_size=1, max_size=12))
    actor = KINDS[kind]
    state = actor.initial
    for message in messages:
        try:
            for event in actor.decide(state, message):
                assert isinstance(event, actor.events)
                state = actor.evolve(state, event)
        except Rejected:
            continue
        try:
            assert list(actor.decide(state, message)) == []
        except Rejected:
            # Only a message whose effect somebody undid or that ended the thing may be refused when it comes again.
            assert kind in ("approval", "conversation", "knowledge_item")
