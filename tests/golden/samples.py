"""What is frozen. Only ever added to: the files that were made of earlier samples stay, whatever becomes of these."""

from collections.abc import Sequence
from datetime import UTC, datetime

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
from contracts.agents import RegisterAgents
from contracts.alerts import AcknowledgeAlert, EscalateAlert, RaiseAlert, ResolveAlert
from contracts.analysis import (
    PHASES,
    FailAnalysis,
    FinishAnalysis,
    StartAnalysis,
)
from contracts.chat import ChatMessage, ChatRequest
from contracts.collaboration import (
    Collaborate,
    Conclude,
    ConcludeInPart,
)
from contracts.conversation import (
    EndSession,
    Exchange,
    Fail,
    StartSession,
)
from contracts.domains import Clearance, Domain
from contracts.envelope import Event, Message
from contracts.facts import KnowledgeUpdate, SecurityAlert, SignalRecorded
from contracts.knowledge import (
    AddKnowledge,
    DeclassifyKnowledge,
    DeleteKnowledge,
    ExpireKnowledge,
    ImportKnowledge,
    KnowledgeAdded,
    KnowledgeUpdated,
    UpdateKnowledge,
)
from contracts.memory import ForgetMemory, ReviseMemory
from contracts.raw_chat import AnswerChat, AskChat, ChatAnswered, FailChat
from runtime.actor import AnyActor
from tests.golden.parts import (
    ALERT,
    BLANK,
    BLANK_FACT,
    CHAT,
    CLIENT_FACTS,
    CREATED,
    DEAL_FACTS,
    FROM_FILE,
    IN_PART,
    INVOICE_FACTS,
    KNOWLEDGE,
    MARKET,
    MEMORY,
    ODD,
    OUTCOME,
    PLAIN,
    PROFILE,
    REPLY,
    REQUEST,
    TICKET_FACTS,
    answer,
    ask,
    part,
    phase,
)

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
