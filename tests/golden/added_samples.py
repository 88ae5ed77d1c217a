"""What is frozen of every field that was added to a type, and of those that may be left out, said."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace

from actors.ceo.alert import alert
from actors.collaboration import collaboration
from actors.conversation import conversation
from actors.remembering import memory
from actors.signal import signal
from actors.sophia.analysis import analysis
from actors.sophia.records import RECORDS
from actors.system.approval import approval
from actors.system.chat import chat
from contracts import facts
from contracts.alerts import RaiseAlert, ResolveAlert
from contracts.analysis import (
    PHASES,
    FailAnalysis,
    FinishAnalysis,
    Phase,
    Recommendation,
    RecordPhase,
    Requirement,
    StartAnalysis,
)
from contracts.approval import ApprovalRule, Policy
from contracts.chat import ToolSpec
from contracts.collaboration import Collaborate, Conclude, ConcludeInPart
from contracts.comparison import Comparison, Stated
from contracts.conversation import Answer, Answered
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from contracts.feasibility import Feasibility, Milestone
from contracts.grounds import Computed, Grounds
from contracts.memory import ReviseMemory
from contracts.model import FLOW, Evidence
from contracts.raw_chat import AskChat
from contracts.sources import Source
from contracts.span import Span
from contracts.strategic import BusinessContext, Grounded, TechnicalContext
from contracts.users import Permission
from runtime.actor import AnyActor
from tests.golden.approval_samples import ASKED, RULE
from tests.golden.parts import (
    BUDGET,
    CHAT,
    CITATIONS,
    CLIENT_FACTS,
    DEAL_FACTS,
    INVOICE_FACTS,
    MEMORY,
    MISSING,
    ODD,
    OUTCOME,
    REQUEST,
    TICKET_FACTS,
    USAGE,
    analysed_in_part,
    answer,
    ask,
    phase,
)

START = datetime(2026, 11, 29, 22, 30, tzinfo=UTC)
GRANTS: tuple[Permission, ...] = ("sophia:read", "cross_domain:collaborate")
DATED = Evidence(
    id="k3",
    title=ODD,
    text="No new portals before 2028.",
    label=Clearance.RESTRICTED,
    score=0.1 + 0.2,
    source="crm",
    partition="ceo_knowledge",
    updated=START,
    category="strategic_planning",
    expires=START + timedelta(days=90),
)
GROUNDS = Grounds(
    coverage=0.1 + 0.2, agreement=0.5, freshness=1 / 3, relevance=0.9, computed=1.0, sources=3, disagreeing=1
)
BY_TOOL = replace(
    GROUNDS, tool=Computed(meant=1.0, named=0.5, read=1 / 3, precise=0.9, freshness=0.1 + 0.2, sure=0.321)
)
INVENTED = replace(GROUNDS, unfounded=("97", "9,000,000"))
COMPARISON = Comparison(
    requirement=Stated(id="r1", text=ODD, source="question", label=Clearance.INTERNAL, place=Span(0, 21)),
    strategy=Stated(
        id="s1", text=DATED.text, source="k3", title="Freeze", label=Clearance.RESTRICTED, place=Span(3, 30)
    ),
    relation="conflicting",
    rule="date",
    reason="2027 is before 2028",
    topic=2 / 3,
    score=0.1 + 0.2,
    judged="aligned",
)
SAID = Grounded(text=ODD, evidence=("k3", "k1"))
BUSINESS = BusinessContext(
    strategic_alignment=SAID,
    market_position=Grounded(text="Second."),
    competitive_landscape=Grounded(),
    recommendations=SAID,
    comparisons=(COMPARISON,),
    confidence=0.1 + 0.2,
)
TECHNICAL = TechnicalContext(
    strategic_alignment=Grounded(text="It fits."),
    risk_assessment=SAID,
    roadmap_impact=Grounded(),
    implementation_recommendations=SAID,
    comparisons=(COMPARISON,),
    confidence=0.25,
)
FEASIBILITY = Feasibility(
    verdict="conditional",
    because=(ODD, "Only with a new ledger."),
    architecture=SAID,
    complexity="high",
    effort_days=12.5,
    timeline=(Milestone(text="By March.", by=date(2027, 3, 31)), Milestone(text="Half a day.", days=0.5)),
)
ADDED = replace(
    OUTCOME,
    usage=USAGE,
    citations=CITATIONS,
    comparisons=(COMPARISON,),
    missing=MISSING,
    grounds=GROUNDS,
    strategic=TECHNICAL,
    feasibility=FEASIBILITY,
    evidence=(*OUTCOME.evidence, DATED),
)
REFUSED = replace(OUTCOME, status="refused", reason=ODD, sections={}, evidence=())


HANDED_OVER = Source(
    item="01990000-0000-7000-8000-00000000000a",
    title="Source code of the till",
    text="Source code of the till: 1 files (1 Python).",
    label=Clearance.CONFIDENTIAL,
    partition="code_knowledge",
    digest="0f" * 32,
    media_type="application/zip",
    origin="till",
    updated=datetime(2026, 11, 1, tzinfo=UTC),
)


def full(turn: str) -> Answered:
    return replace(
        answer(turn).answer,
        evidence=(DATED,),
        citations=CITATIONS,
        usage=USAGE,
        flow=FLOW,
        grounds=GROUNDS,
        strategic=BUSINESS,
    )


def typed(name: Phase) -> RecordPhase:
    """A phase with everything that any of them has."""
    result = replace(
        phase(name).result,
        evidence=(DATED,),
        status="expired",
        citations=CITATIONS,
        comparisons=(COMPARISON,),
        grounds=GROUNDS,
        requirements=(
            Requirement(id="R1", kind="requirement", text=ODD, evidence=("k3",)),
            Requirement(id="C1", kind="constraint", text="Not before 2028."),
        ),
        feasibility=FEASIBILITY,
        unified=(Recommendation(id="1", text=ODD, phases=("business_analysis", "feasibility"), evidence=("k3",)),),
    )
    return RecordPhase(result=result)


WHOLE_RULE = ApprovalRule(
    tools=("*",), quorum=2, expires_s=60, approvers=("bob",), roles=("approver",), self_approval=True, delegation=False
)
WHOLE_POLICY = Policy(quorum=2, expires_s=60, roles=("admin",), self_approval=True, delegation=False)
SECRET = Clearance.TOP_SECRET
TITLED = (
    facts.BusinessInsight,
    facts.ClientAnalysis,
    facts.SalesIntelligence,
    facts.CodeAnalysis,
    facts.SystemMonitoring,
    facts.SecurityAlert,
    facts.PerformanceAnalysis,
    facts.SophiaToArtemis,
    facts.ArtemisToSophia,
    facts.OrchestratorStart,
    facts.OrchestratorStop,
    facts.HealthCheck,
)
"""Facts that say no more than every fact."""


HISTORIES: dict[str, tuple[AnyActor, Domain, Sequence[Message | Event]]] = {
    "conversation.strategic": (
        conversation,
        Domain.SOPHIA,
        [
            replace(
                ask("t1"),
                team="client_analysis",
                collaborate=True,
                budget=BUDGET,
                approval=RULE,
                grants=GRANTS,
                ceo_context=True,
            ),
            Answer(turn="t1", answer=full("t1")),
            replace(ask("t2"), grants=()),
            Answer(turn="t2", answer=replace(full("t2"), strategic=TECHNICAL)),
        ],
    ),
    "conversation.computed": (
        conversation,
        Domain.SOPHIA,
        [ask("t1"), Answer(turn="t1", answer=replace(full("t1"), grounds=BY_TOOL))],
    ),
    "conversation.unfounded": (
        conversation,
        Domain.SOPHIA,
        [ask("t1"), Answer(turn="t1", answer=replace(full("t1"), grounds=INVENTED))],
    ),
    "conversation.repository": (
        conversation,
        Domain.ARTEMIS,
        [replace(ask("t1"), team="security", repository="/srv/code/till")],
    ),
    "conversation.sources": (
        conversation,
        Domain.ARTEMIS,
        [replace(ask("t1"), sources=(HANDED_OVER,))],
    ),
    "collaboration.sources": (
        collaboration,
        Domain.ARTEMIS,
        [Collaborate(asker=Domain.SOPHIA, request=replace(REQUEST, sources=(HANDED_OVER,)))],
    ),
    "collaboration.strategic": (
        collaboration,
        Domain.ARTEMIS,
        [
            Collaborate(
                asker=Domain.SOPHIA,
                request=replace(REQUEST, evidence=(DATED,)),
                budget=BUDGET,
                approval=RULE,
                grants=GRANTS,
                partly_to="sophia/conversation/c/r/1/2/0f",
            ),
            ConcludeInPart(outcome=ADDED),
            Conclude(outcome=replace(ADDED, strategic=BUSINESS, missing=())),
        ],
    ),
    "collaboration.refused": (
        collaboration,
        Domain.ARTEMIS,
        [Collaborate(asker=Domain.SOPHIA, request=REQUEST), Conclude(outcome=REFUSED)],
    ),
    "collaboration.strict": (
        collaboration,
        Domain.ARTEMIS,
        [Collaborate(asker=Domain.SYSTEM, request=REQUEST), Conclude(outcome=REFUSED)],
    ),
    "analysis.typed": (
        analysis,
        Domain.SOPHIA,
        [
            StartAnalysis(
                by="Zoë", subject="Portal", question="Shall we?", budget=BUDGET, approval=RULE, grants=GRANTS
            ),
            *(typed(one) for one in PHASES),
            FinishAnalysis(),
        ],
    ),
    "analysis.in_part": (
        analysis,
        Domain.SOPHIA,
        [
            StartAnalysis(by="Zoë", subject="Portal", question="Shall we?"),
            *(phase(one) for one in PHASES[:2]),
            analysed_in_part(),
            analysed_in_part(),
            phase("feasibility", Domain.ARTEMIS),
            FailAnalysis(reason="cancelled: by Zoë"),
            FinishAnalysis(),
        ],
    ),
    "signal.each": (
        signal,
        Domain.SOPHIA,
        [
            *(kind(title=ODD, text=ODD, origin="o", confidentiality=SECRET) for kind in TITLED),
            facts.StrategicAlert(
                title="t",
                text="x",
                origin="o",
                confidentiality=SECRET,
                alert_priority=8,
                category="risk_management",
                acknowledge_within_s=60,
            ),
            facts.KnowledgeUpdate(
                title="t", text="x", origin="o", confidentiality=SECRET, operation="update", item="k1"
            ),
        ],
    ),
    "alert.noted": (
        alert,
        Domain.CEO,
        [RaiseAlert(title="t", text="x", origin="o", alert_priority=9), ResolveAlert(by="Zoë", note=ODD)],
    ),
    "memory.episode": (
        memory,
        Domain.SOPHIA,
        [
            replace(MEMORY, kind="episodic", session="sophia-1"),
            ReviseMemory(id=MEMORY.id, title="Jahr", text="ab Oktober"),
        ],
    ),
    "chat.strict": (
        chat,
        Domain.SYSTEM,
        [AskChat(by="Zoë", request=replace(CHAT, tools=(ToolSpec(name="weather", strict=True),)))],
    ),
    "approval.policy": (
        approval,
        Domain.SYSTEM,
        [replace(ASKED, action=replace(ASKED.action, policy=WHOLE_POLICY))],
    ),
    "conversation.ruled": (conversation, Domain.SOPHIA, [replace(ask("t1"), approval=WHOLE_RULE)]),
    "client.secret": (RECORDS[0], Domain.SOPHIA, [replace(one, confidentiality=SECRET) for one in CLIENT_FACTS]),
    "deal.secret": (RECORDS[1], Domain.SOPHIA, [replace(one, confidentiality=SECRET) for one in DEAL_FACTS]),
    "ticket.secret": (RECORDS[2], Domain.SOPHIA, [replace(one, confidentiality=SECRET) for one in TICKET_FACTS]),
    "invoice.secret": (RECORDS[3], Domain.SOPHIA, [replace(one, confidentiality=SECRET) for one in INVOICE_FACTS]),
}
