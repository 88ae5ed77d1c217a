"""Sophia's four teams."""

from actors.sophia.clients import examine_clients, examine_table
from actors.sophia.insight import insight_work
from actors.sophia.market import known_market_work, market_work
from actors.sophia.sales import sales_work
from actors.sophia.tools.business_insight import BusinessInsightArguments
from actors.sophia.tools.market_research import MarketResearchArguments
from actors.sophia.tools.sales_intelligence import SalesIntelligenceArguments
from actors.team import Team, examine_evidence, examine_file
from contracts.domains import Partition
from contracts.model import FLOW, Section

PARTITIONS: tuple[Partition, ...] = ("sophia_business", "shared_knowledge", "ceo_knowledge")
TABLES = ("text/csv",)
_CUSTOMER_TABLE = examine_table(PARTITIONS, TABLES)

client_analysis = Team(
    name="client_analysis",
    role="Sophia's client analysis team",
    cues=(
        "client",
        "customer",
        "churn",
        "retention",
        "retain",
        "losing",
        "lose",
        "leave",
        "leaving",
        "segment",
        "satisf",
        "complain",
    ),
    partitions=PARTITIONS,
    sections=(
        Section("summary", "The answer in a few sentences."),
        Section("drivers", "Why customers behave as they do: the drivers, with their figures."),
        Section("segments_at_risk", "Which segments are at risk, and the revenue at stake."),
        Section("recommendations", "What to do about it, first things first."),
    ),
    examine=_CUSTOMER_TABLE,
    work=examine_clients(_CUSTOMER_TABLE),
    more_cues=("left", "risk", "health", "cancel", "attrition", "tenure"),
    general_cues=("client", "customer", "segment", "risk"),
)

market_research = Team(
    name="market_research",
    role="Sophia's market research team",
    cues=("market", "competit", "rival", "trend", "industry", "share", "benchmark", "research", "analyst"),
    partitions=(*PARTITIONS, "research_data"),
    sections=(
        Section("summary", "The answer in a few sentences."),
        Section("market", "The market, its size and its direction."),
        Section("competitors", "Who competes, and how they stand."),
        Section("opportunities", "Where there is room."),
    ),
    examine=examine_evidence(
        "market_research", lambda question, evidence: MarketResearchArguments(question=question, evidence=evidence)
    ),
    work=market_work,
)

sales_intelligence = Team(
    name="sales_intelligence",
    role="Sophia's sales intelligence team",
    cues=(
        "sale",
        "sell",
        "deal",
        "pipeline",
        "upsell",
        "quota",
        "lead",
        "prospect",
        "revenue",
        "price",
        "pricing",
        "discount",
    ),
    partitions=PARTITIONS,
    sections=(
        Section("summary", "The answer in a few sentences."),
        Section("pipeline", "Where the revenue comes from, and how concentrated it is."),
        Section("opportunities", "Whom to sell what, and why."),
        Section("recommendations", "What to do next."),
    ),
    examine=examine_file(
        "sales_intelligence",
        PARTITIONS,
        TABLES,
        lambda digest, question: SalesIntelligenceArguments(table=digest, question=question),
    ),
    work=sales_work,
    more_cues=("win", "won", "forecast", "slip", "stage", "clos"),
)

business_insight = Team(
    name="business_insight",
    role="Sophia's business insight team",
    cues=("insight", "kpi", "metric", "performance", "result", "strateg", "business", "growth", "margin", "budget"),
    partitions=PARTITIONS,
    sections=(
        Section("summary", "The answer in a few sentences."),
        Section("insights", "The figures and facts that matter, and what they mean."),
        Section("recommendations", "What to do about it."),
    ),
    examine=examine_evidence(
        "business_insight", lambda question, evidence: BusinessInsightArguments(question=question, evidence=evidence)
    ),
    work=insight_work(
        (
            ("Client analysis", client_analysis.at(FLOW)),
            ("Sales", sales_work),
            ("Market", known_market_work),
        )
    ),
)

SOPHIA_TEAMS = (business_insight, client_analysis, market_research, sales_intelligence)
