"""What a model that calls tools may choose of Sophia's; texts, sources, facts and the findings of other tools are given."""

from msgspec import Struct

from actors.offers import File, FileOrNone, Given, Known, Offer, Steering, offer, steered
from actors.sophia.clients import of_clients
from actors.sophia.insight import strategy
from actors.sophia.market import sources
from actors.sophia.sales import evidence_of_deals, of_deals
from actors.sophia.tools.business_insight import BusinessInsightArguments, Part
from actors.sophia.tools.client_analysis import ClientAnalysisArguments
from actors.sophia.tools.market_research import MarketResearchArguments
from actors.sophia.tools.sales_intelligence import SalesIntelligenceArguments
from actors.team import evidence_of
from runtime.effects import Effects
from runtime.errors import OutcomeError

INSIGHT = "business_insight"


class ClientAnalysisChoices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which table of customers; `question` names the groups to look at, by words of the asker or of what is told of the table."""

    table: File
    question: Steering = ""


class ClientHealthChoices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing: it is of the facts about clients."""


class MarketResearchChoices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """It reads everything that was found so far, and what the market research team found on the web."""

    question: Steering = ""


class SalesIntelligenceChoices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of deals or customers; without one: the deals that facts tell of."""

    table: FileOrNone = ""


class BusinessInsightChoices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """It reads everything that was found, and what other tools computed so far."""

    question: Steering = ""


async def _client_analysis(chosen: ClientAnalysisChoices, known: Known, effects: Effects) -> Given:  # noqa: ARG001 - the form of all
    tables = tuple(f"{hit.entry.title} {hit.entry.text}" for hit in known.hits if hit.entry.attachment == chosen.table)
    question = steered(chosen.question, known.question, tables)
    return Given(ClientAnalysisArguments(table=chosen.table, question=question))


async def _client_health(chosen: ClientHealthChoices, known: Known, effects: Effects) -> Given:  # noqa: ARG001 - the form of all
    found = await of_clients(effects)
    if found is None:
        raise OutcomeError("no facts tell of clients")
    arguments, evidence = found
    return Given(arguments, evidence=(evidence,))


async def _market_research(chosen: MarketResearchChoices, known: Known, effects: Effects) -> Given:
    read = sources(known.hits, known.web)
    question = steered(chosen.question, known.question, tuple(f"{one.title} {one.text}" for one in read))
    return Given(MarketResearchArguments(question=question, sources=read, today=effects.asked_at.date()))


async def _sales_intelligence(chosen: SalesIntelligenceChoices, known: Known, effects: Effects) -> Given:
    today = effects.asked_at.date()
    if chosen.table:
        return Given(SalesIntelligenceArguments(table=chosen.table, question=known.question, today=today))
    records = await effects.records("deal")
    if not records.count:
        raise OutcomeError("no facts tell of deals: search for a table of them")
    return Given(of_deals(records, known.question, today), evidence=(evidence_of_deals(records, (), today),))


async def _business_insight(chosen: BusinessInsightChoices, known: Known, effects: Effects) -> Given:
    wanted = await strategy(effects)
    evidence = evidence_of(known.hits)
    arguments = BusinessInsightArguments(
        question=steered(chosen.question, known.question, tuple(one.text for one in evidence)),
        evidence=evidence,
        parts=tuple(
            Part(name=name.replace("_", " ").capitalize(), findings=findings, label=effects.label)
            for name, findings in known.computed.items()
            if name != INSIGHT and findings
        ),
        strategy=evidence_of(wanted),
    )
    return Given(arguments, hits=wanted)


SOPHIA_OFFERS: dict[str, Offer] = {
    "client_analysis": offer(_client_analysis),
    "client_health": offer(_client_health),
    "market_research": offer(_market_research),
    "sales_intelligence": offer(_sales_intelligence),
    INSIGHT: offer(_business_insight),
}
