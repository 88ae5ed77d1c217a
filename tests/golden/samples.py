"""What is frozen. Only ever added to: the files that were made of earlier samples stay, whatever becomes of these."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import msgspec

from actors.ceo.alert import alert
from actors.ceo.knowledge_item import knowledge_item
from actors.collaboration import collaboration
from actors.conversation import conversation
from actors.remembering import memory
from actors.signal import signal
from actors.sophia.analysis import analysis
from actors.sophia.records import RECORDS
from actors.system.chat import chat
from actors.system.registry import registry
from actors.system.user import user
from contracts import business
from contracts.agents import AgentProfile, RegisterAgents
from contracts.alerts import AcknowledgeAlert, EscalateAlert, RaiseAlert, ResolveAlert
from contracts.analysis import (
    PHASES,
    AnalysisFailed,
    AnalysisStarted,
    FailAnalysis,
    FinishAnalysis,
    Phase,
    PhaseCompleted,
    PhaseResult,
    RecordPhase,
    StartAnalysis,
)
from contracts.chat import ChatMessage, ChatReply, ChatRequest, ResponseFormat, ToolCall, ToolSpec
from contracts.collaboration import (
    Collaborate,
    Conclude,
    Concluded,
    ConcludedInPart,
    ConcludeInPart,
    Missing,
    Outcome,
    Request,
    Requested,
)
from contracts.conversation import (
    Answer,
    Answered,
    AnsweredInPart,
    AnswerInPart,
    Ask,
    Asked,
    Contribution,
    EndSession,
    Exchange,
    Fail,
    Failed,
    LeftInPart,
    StartSession,
)
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from contracts.facts import KnowledgeUpdate, MarketResearch, SecurityAlert, SignalRecorded, StrategicAlert
from contracts.kernel import EffectRecorded, Refused, Unchanged
from contracts.knowledge import (
    AddKnowledge,
    Attachment,
    DeclassifyKnowledge,
    DeleteKnowledge,
    ExpireKnowledge,
    Imported,
    ImportKnowledge,
    Knowledge,
    KnowledgeAdded,
    KnowledgeUpdated,
    UpdateKnowledge,
)
from contracts.memory import ForgetMemory, Remember, ReviseMemory
from contracts.model import Allowance, Citation, Evidence, Usage
from contracts.raw_chat import AnswerChat, AskChat, ChatAnswered, ChatAsked, ChatFailed, FailChat
from contracts.span import Span
from contracts.users import CreateUser
from runtime.actor import AnyActor

ODD = 'quotes " and \\ slashes, NUL \0, “typographic”, 漢字, 🜁, a line\nbreak'
EVIDENCE = (
    Evidence(id="k1", title=ODD, text="Prices rose.", label=Clearance.CONFIDENTIAL, score=0.8125, source="crm"),
    Evidence(id="k2", title="t", text="x", label=Clearance.PUBLIC, score=0.1, partition="sophia_business"),
)
PROFILE = AgentProfile(id="sophia", domain=Domain.SOPHIA, role=ODD, requests=("x",), tools=("client_analysis",))
MEMORY = Remember(
    id="01999999-0000-7000-8000-00000000000a",
    owner="Zoë",
    kind="semantic",
    title="Jahr",
    text=ODD,
    at=datetime(2026, 11, 29, tzinfo=UTC),
    expires=datetime(2027, 1, 1, tzinfo=UTC),
)
ATTACHMENT = Attachment(digest="0f" * 32, media_type="text/csv", name="customers.csv", size_bytes=9)
KNOWLEDGE = Knowledge(
    title="Renewals",
    content=ODD,
    category="customer_insights",
    confidentiality=Clearance.CONFIDENTIAL,
    strategic_priority=8,
    source="crm",
    tags=("renewals", "2026"),
    expires=datetime(2027, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
    attachment=ATTACHMENT,
)
PLAIN = Knowledge(title="Plain", content="c", category="risk_management", confidentiality=Clearance.PUBLIC)
FROM_FILE = Imported(collection="/srv/handbook", key="pricing/2027.md", digest="0f" * 32)
BLANK = Knowledge(title=" ", content="\n", category="risk_management", confidentiality=Clearance.PUBLIC, tags=(" ",))
"""As it was taken before titles had to say something. Made here, nothing is checked."""


def ask(turn: str, text: str = "Why do customers leave?") -> Ask:
    return Ask(turn=turn, by="Zoë", text=text, context_type="business")


def answer(turn: str, label: Clearance = Clearance.INTERNAL) -> Answer:
    answered = Answered(
        turn=turn,
        question="Why do customers leave?",
        content=f"Because of the price. {ODD}",
        team="client_analysis",
        confidence=0.1 + 0.2,
        evidence=EVIDENCE,
        collaboration_needed=True,
        collaborators=(Domain.ARTEMIS,),
        contributions=(
            Contribution(
                domain=Domain.ARTEMIS, request_type="feasibility", status="completed", summary="Yes.", confidence=0.5
            ),
        ),
        model="extractive",
        label=label,
    )
    return Answer(turn=turn, answer=answered)


def phase(name: Phase, domain: Domain = Domain.SOPHIA) -> RecordPhase:
    result = PhaseResult(
        phase=name,
        domain=domain,
        sections={"summary": ODD, "executive_summary": "Go."},
        confidence=0.7,
        evidence=EVIDENCE,
        model="extractive",
        label=Clearance.CONFIDENTIAL,
    )
    return RecordPhase(result=result)


REQUEST = Request(
    request_type="technical_feasibility_analysis",
    question="Is a portal feasible?",
    context={"business_analysis": ODD},
    evidence=EVIDENCE,
    priority=5,
    deadline=datetime(2026, 12, 1, tzinfo=UTC),
    needs_ceo_context=True,
)
OUTCOME = Outcome(
    status="completed",
    sections={"feasibility": "Yes."},
    evidence=EVIDENCE,
    confidence=0.5,
    model="extractive",
    label=Clearance.RESTRICTED,
)
MARKET = MarketResearch(title="A market", text=ODD, origin="desk", confidentiality=Clearance.RESTRICTED)
ALERT = StrategicAlert(title="Alert", text="x", origin="watch", alert_priority=9)
BLANK_FACT = MarketResearch(title=" ", text="\t", origin=" ")
CREATED = CreateUser(
    username="Zoë", password_hash="$argon2id$v=19$x", roles=("admin", "read_only"), clearance=Clearance.TOP_SECRET
)

USAGE = Usage(1_200, 340, 25_001, estimated=True)
BUDGET = Allowance(tokens=50_000, cost_micros=250_000)
CITATIONS = (
    Citation(section="summary", sentence=Span(0, 12), number=1, evidence="k1", quote=Span(0, 12)),
    Citation(section="summary", sentence=Span(17, 29), number=2, evidence="k2"),
)
CALL = ToolCall(id="call_1", name="weather", arguments='{"city": "Zürich"}')
CHAT = ChatRequest(
    model="some/model:7b",
    messages=(
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content=ODD, name="Zoë"),
        ChatMessage(role="assistant", tool_calls=(CALL,)),
        ChatMessage(role="tool", content="rain", tool_call_id="call_1"),
    ),
    tools=(ToolSpec(name="weather", description="d", parameters=msgspec.Raw(b'{"type":"object"}')),),
    tool_choice="weather",
    temperature=0.1 + 0.2,
    top_p=0.5,
    tokens_max=99,
    stop=("end",),
    seed=7,
    response_format=ResponseFormat(type="json_schema", json_schema=msgspec.Raw(b'{"name":"n","schema":{}}')),
)
REPLY = ChatReply(
    message=ChatMessage(role="assistant", content=ODD, tool_calls=(CALL,)),
    finish_reason="tool_calls",
    model="model-2026",
    usage=Usage(7, 8, 9, estimated=True),
)

CRM_AT = datetime(2026, 3, 31, 22, tzinfo=timezone(timedelta(hours=-3)))
CLIENT_FACTS: tuple[business.ClientFact, ...] = (
    business.ClientSigned(
        client="Zoë & Sons",
        at=CRM_AT,
        origin="crm",
        confidentiality=Clearance.CONFIDENTIAL,
        name="Zoë & Sons Ltd",
        segment="small_business",
        contract="month_to_month",
        monthly_value=29.85,
        currency="EUR",
        ends=CRM_AT + timedelta(days=365),
    ),
    business.ClientRenewed(
        client="Zoë & Sons",
        at=CRM_AT + timedelta(days=300),
        origin="crm",
        contract="one_year",
        monthly_value=0.1 + 0.2,
        currency="EUR",
        ends=CRM_AT + timedelta(days=730),
    ),
    business.ClientUsage(
        client="Zoë & Sons", at=CRM_AT, origin="app", period_days=30, active_users=0, licensed_users=7
    ),
    business.ClientUsage(
        client="Zoë & Sons", at=CRM_AT, origin="app", period_days=30, active_users=0, licensed_users=7
    ),
    business.ClientCancelled(client="Zoë & Sons", at=CRM_AT + timedelta(days=600), origin="crm", reason=ODD),
)
DEAL_FACTS: tuple[business.DealFact, ...] = (
    business.DealOpened(
        deal="D-1",
        at=CRM_AT,
        origin="crm",
        stage="qualified",
        value=1e12,
        currency="CHF",
        client="Zoë & Sons",
        segment="enterprise",
        probability=0.2,
        expected=CRM_AT + timedelta(days=60),
    ),
    business.DealStageChanged(
        deal="D-1",
        at=CRM_AT + timedelta(days=9),
        origin="crm",
        stage="offer",
        value=90_000.5,
        currency="CHF",
        probability=0.5,
        expected=CRM_AT + timedelta(days=70),
    ),
    business.DealClosed(
        deal="D-1",
        at=CRM_AT + timedelta(days=71),
        origin="crm",
        outcome="lost",
        value=0,
        currency="CHF",
        reason="price",
    ),
)
TICKET_FACTS: tuple[business.TicketFact, ...] = (
    business.TicketOpened(ticket="#7", at=CRM_AT, origin="desk", severity="critical", client="Zoë & Sons", subject=ODD),
    business.TicketResolved(ticket="#7", at=CRM_AT + timedelta(hours=5), origin="desk"),
)
INVOICE_FACTS: tuple[business.InvoiceFact, ...] = (
    business.InvoiceIssued(
        invoice="2026/17",
        at=CRM_AT,
        origin="erp",
        client="Zoë & Sons",
        amount=29.85,
        currency="EUR",
        due=CRM_AT + timedelta(days=30),
    ),
    business.InvoicePaid(invoice="2026/17", at=CRM_AT + timedelta(days=41), origin="bank"),
)
MISSING = (Missing(domain=Domain.ARTEMIS, request_type="technical_feasibility_analysis", why="it is away"),)
IN_PART = msgspec.structs.replace(OUTCOME, missing=(Missing(domain=Domain.CEO, request_type="x", why=ODD),))


def part(turn: str) -> AnswerInPart:
    return AnswerInPart(turn=turn, answer=answer(turn).answer, missing=MISSING)


HISTORIES: dict[str, tuple[AnyActor, Domain, Sequence[Message | Event]]] = {
    "conversation.1": (
        conversation,
        Domain.SOPHIA,
        [
            StartSession(owner="Zoë", title="Churn", context_type="business"),
            ask("t1"),
            ask("t2"),
            answer("t1"),
            answer("t1"),
            ask("t2", ODD),
            Fail(turn="t2", reason="the model refused"),
            *(message for turn in ("t3", "t4", "t5") for message in (ask(turn), answer(turn, Clearance.RESTRICTED))),
            EndSession(by="Zoë"),
            ask("t6"),
        ],
    ),
    "conversation.2": (conversation, Domain.ARTEMIS, [ask("t1")]),
    "collaboration.1": (
        collaboration,
        Domain.ARTEMIS,
        [Collaborate(asker=Domain.SOPHIA, request=REQUEST), Conclude(outcome=OUTCOME), Conclude(outcome=OUTCOME)],
    ),
    "conversation.in_part": (
        conversation,
        Domain.SOPHIA,
        [
            *(message for turn in ("t1", "t2", "t3") for message in (ask(turn), part(turn))),
            answer("t2"),
            Fail(turn="t1", reason="cancelled: by Zoë"),
            part("t1"),
            ask("t4"),
        ],
    ),
    "collaboration.in_part": (
        collaboration,
        Domain.ARTEMIS,
        [
            Collaborate(asker=Domain.SOPHIA, request=REQUEST, partly_to="sophia/conversation/c/r/1/2/0f"),
            ConcludeInPart(outcome=IN_PART),
            Conclude(outcome=OUTCOME),
        ],
    ),
    "analysis.1": (
        analysis,
        Domain.SOPHIA,
        [
            StartAnalysis(by="Zoë", subject="Portal", question="Shall we build it?"),
            phase("feasibility"),
            *(phase(one, Domain.ARTEMIS if one == "feasibility" else Domain.SOPHIA) for one in PHASES),
            FinishAnalysis(),
        ],
    ),
    "analysis.2": (
        analysis,
        Domain.SOPHIA,
        [
            StartAnalysis(by="Zoë", subject="Portal", question="Shall we?"),
            phase("business_analysis"),
            FailAnalysis(reason="gone"),
        ],
    ),
    "client.1": (RECORDS[0], Domain.SOPHIA, CLIENT_FACTS),
    "deal.1": (RECORDS[1], Domain.SOPHIA, DEAL_FACTS),
    "ticket.1": (RECORDS[2], Domain.SOPHIA, TICKET_FACTS),
    "invoice.1": (RECORDS[3], Domain.SOPHIA, INVOICE_FACTS),
    "signal.1": (signal, Domain.SOPHIA, [MARKET, MARKET, SignalRecorded(fact=BLANK_FACT)]),
    "signal.2": (
        signal,
        Domain.CEO,
        [ALERT, KnowledgeUpdate(title="t", text="x", origin="o", operation="update", item="k1")],
    ),
    "signal.3": (signal, Domain.ARTEMIS, [SecurityAlert(title="t", text="x", origin="o")]),
    "signal.announcement": (
        signal,
        Domain.SOPHIA,
        [
            KnowledgeUpdate(
                title=ODD,
                text="x",
                origin="o",
                operation="create",
                item="k1",
                strategic_priority=9,
                expires=datetime(2027, 1, 1, tzinfo=UTC),
            ),
            KnowledgeUpdate(title="gone", text="x", origin="o", operation="delete", item="k1"),
        ],
    ),
    "knowledge_item.1": (
        knowledge_item,
        Domain.CEO,
        [
            AddKnowledge(by="Zoë", knowledge=KNOWLEDGE),
            UpdateKnowledge(by="Ann", clearance=Clearance.PUBLIC, knowledge=PLAIN),
            UpdateKnowledge(by="Zoë", clearance=Clearance.TOP_SECRET, knowledge=PLAIN),
            DeleteKnowledge(by="Zoë", clearance=Clearance.TOP_SECRET),
        ],
    ),
    "knowledge_item.2": (knowledge_item, Domain.CEO, [AddKnowledge(by="Zoë", knowledge=KNOWLEDGE)]),
    "knowledge_item.fields": (
        knowledge_item,
        Domain.CEO,
        [
            AddKnowledge(
                by="Zoë", knowledge=msgspec.structs.replace(KNOWLEDGE, fields={"owner": "Zoë", "quarter": "2027-Q1"})
            ),
            UpdateKnowledge(
                by="Zoë",
                clearance=Clearance.TOP_SECRET,
                knowledge=msgspec.structs.replace(
                    PLAIN,
                    partition="research_data",
                    confidentiality=Clearance.TOP_SECRET,
                    fields={"published_year": 1999},
                ),
            ),
        ],
    ),
    "knowledge_item.3": (
        knowledge_item,
        Domain.CEO,
        [
            AddKnowledge(by="Zoë", knowledge=KNOWLEDGE),
            UpdateKnowledge(by="Zoë", clearance=Clearance.TOP_SECRET, knowledge=PLAIN),
            DeclassifyKnowledge(
                by="Zoë", clearance=Clearance.TOP_SECRET, confidentiality=Clearance.PUBLIC, reason="announced"
            ),
            DeleteKnowledge(by="Ann", clearance=Clearance.PUBLIC),
        ],
    ),
    "knowledge_item.blank": (
        knowledge_item,
        Domain.CEO,
        [
            KnowledgeAdded(by="Zoë", knowledge=PLAIN),
            KnowledgeUpdated(by="Zoë", knowledge=BLANK, previous_partition="ceo_knowledge"),
        ],
    ),
    "knowledge_item.expiring": (
        knowledge_item,
        Domain.CEO,
        [
            ImportKnowledge(by="Zoë", clearance=Clearance.TOP_SECRET, knowledge=PLAIN, imported=FROM_FILE),
            ImportKnowledge(
                by="Zoë",
                clearance=Clearance.TOP_SECRET,
                knowledge=KNOWLEDGE,
                imported=msgspec.structs.replace(FROM_FILE, digest="1f" * 32),
            ),
            ExpireKnowledge(expires=datetime(2026, 12, 31, tzinfo=UTC)),
            ExpireKnowledge(expires=datetime(2027, 1, 1, 10, tzinfo=UTC)),
            DeleteKnowledge(by="Zoë", clearance=Clearance.TOP_SECRET),
            ImportKnowledge(by="Zoë", clearance=Clearance.TOP_SECRET, knowledge=PLAIN, imported=FROM_FILE),
            DeleteKnowledge(by="Zoë", clearance=Clearance.TOP_SECRET),
        ],
    ),
    "conversation.told": (
        conversation,
        Domain.SOPHIA,
        [
            msgspec.structs.replace(
                ask("t1"), history=(Exchange("What should you keep in mind?", ODD), Exchange("q", ""))
            ),
            answer("t1"),
            msgspec.structs.replace(ask("t2"), history=(Exchange("of no use", "now"),)),
        ],
    ),
    "chat.1": (
        chat,
        Domain.SYSTEM,
        [
            AskChat(by="Zoë", request=CHAT),
            AskChat(by="Zoë", request=CHAT),
            AnswerChat(answer=ChatAnswered(reply=REPLY, label=Clearance.RESTRICTED)),
            FailChat(reason="too late"),
        ],
    ),
    "chat.2": (
        chat,
        Domain.SYSTEM,
        [
            FailChat(reason="nothing was asked"),
            AskChat(by="Zoë", request=ChatRequest(model="m", messages=(ChatMessage(role="user", content="?"),))),
            FailChat(reason="the model refused"),
        ],
    ),
    "user.1": (user, Domain.SYSTEM, [CREATED, CREATED]),
    "alert.1": (
        alert,
        Domain.CEO,
        [
            RaiseAlert(title=ODD, text="x", origin="crm", alert_priority=7, category="risk_management", within_s=60),
            EscalateAlert(times=1, step=1),
            AcknowledgeAlert(by="Zoë", note="sofort"),
            ResolveAlert(by="Zoë"),
            RaiseAlert(title="t", text="again", origin="crm", alert_priority=9),
            EscalateAlert(times=1, step=2),
        ],
    ),
    "registry.1": (
        registry,
        Domain.SYSTEM,
        [
            RegisterAgents(profiles=(PROFILE, msgspec.structs.replace(PROFILE, id="sophia.security", team="security"))),
            RegisterAgents(profiles=(PROFILE,)),
            RegisterAgents(profiles=(PROFILE,)),
        ],
    ),
    "memory.1": (
        memory,
        Domain.SOPHIA,
        [
            MEMORY,
            MEMORY,
            ReviseMemory(id=MEMORY.id, title="Jahr", text="ab Oktober"),
            msgspec.structs.replace(
                MEMORY, id="01999999-0000-7000-8000-00000000000b", kind="episodic", session="sophia-1"
            ),
            ForgetMemory(id=MEMORY.id),
            ForgetMemory(id="01999999-0000-7000-8000-00000000000c"),
        ],
    ),
}

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
