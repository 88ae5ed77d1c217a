"""What the frozen samples are made of."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec

from contracts import business
from contracts.agents import AgentProfile
from contracts.analysis import (
    ConcludeAnalysisInPart,
    Phase,
    PhaseMissing,
    PhaseResult,
    RecordPhase,
)
from contracts.chat import ChatMessage, ChatReply, ChatRequest, ResponseFormat, ToolCall, ToolSpec
from contracts.collaboration import (
    Missing,
    Outcome,
    Request,
)
from contracts.conversation import (
    Answer,
    Answered,
    AnswerInPart,
    Ask,
    Contribution,
)
from contracts.domains import Clearance, Domain
from contracts.facts import MarketResearch, StrategicAlert
from contracts.knowledge import (
    Attachment,
    Imported,
    Knowledge,
)
from contracts.memory import Remember
from contracts.model import Allowance, Citation, Evidence, Usage
from contracts.span import Span
from contracts.users import CreateUser

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


def analysed_in_part() -> ConcludeAnalysisInPart:
    away = PhaseMissing(
        phase="feasibility",
        domain=Domain.ARTEMIS,
        request_type="technical_feasibility_analysis",
        why="it has not taken the request up within 4 s",
    )
    results = (phase("strategic_synthesis", Domain.CEO).result, phase("recommendations").result)
    return ConcludeAnalysisInPart(results=results, missing=(away,))
