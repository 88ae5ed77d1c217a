"""The request types of each domain: what it may be asked for by the other domains and by people, with which context."""

from typing import Annotated

from msgspec import Meta, Struct

from contracts.curating import SummaryQuery
from contracts.domains import Domain
from contracts.model import Section
from contracts.users import Permission


class Told(Struct, frozen=True, kw_only=True):
    """What the asker has found already, as named texts: `findings`, and others under names of his own."""

    findings: str = ""


class Focus(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what a team is told: `findings` are what the asker has found already."""

    findings: str = ""


class ClientFocus(Focus, frozen=True, kw_only=True):
    segment: Annotated[str, Meta(max_length=300, description="The clients in question, such as `small business`.")] = ""


class MarketFocus(Focus, frozen=True, kw_only=True):
    market: Annotated[str, Meta(max_length=300)] = ""
    competitor: Annotated[str, Meta(max_length=300)] = ""


class SalesFocus(Focus, frozen=True, kw_only=True):
    period: Annotated[str, Meta(max_length=300, description="Such as `the fourth quarter`.")] = ""
    segment: Annotated[str, Meta(max_length=300)] = ""


class InsightFocus(Focus, frozen=True, kw_only=True):
    metric: Annotated[str, Meta(max_length=300, description="The figure in question, such as `gross margin`.")] = ""


class CodeFocus(Focus, frozen=True, kw_only=True):
    component: Annotated[str, Meta(max_length=300, description="The package, module or service in question.")] = ""


class ServiceFocus(Focus, frozen=True, kw_only=True):
    service: Annotated[str, Meta(max_length=300)] = ""


class RequestType(Struct, frozen=True, kw_only=True):
    """`context` is the Struct that the context has to be, `sections` those of the outcome, `permission` a person's who asks."""

    domain: Domain
    name: str
    description: str
    context: type[Struct]
    sections: tuple[Section, ...]
    permission: Permission


def _names(**said: str) -> tuple[Section, ...]:
    return tuple(Section(name, guidance) for name, guidance in said.items())


_SUMMARY = "The answer in a few sentences."


def _sophia(name: str, description: str, context: type[Struct], **sections: str) -> RequestType:
    return RequestType(
        domain=Domain.SOPHIA,
        name=name,
        description=description,
        context=context,
        sections=_names(**sections),
        permission="sophia:write",
    )


def _artemis(name: str, description: str, context: type[Struct], **sections: str) -> RequestType:
    return RequestType(
        domain=Domain.ARTEMIS,
        name=name,
        description=description,
        context=context,
        sections=_names(**sections),
        permission="artemis:write",
    )


def _ceo(name: str, description: str, context: type[Struct], **sections: str) -> RequestType:
    return RequestType(
        domain=Domain.CEO,
        name=name,
        description=description,
        context=context,
        sections=_names(**sections),
        permission="cross_domain:collaborate",
    )


REQUEST_TYPES: tuple[RequestType, ...] = (
    _sophia(
        "business_impact_analysis",
        "What a technical question means for customers and money.",
        Told,
        business_impact="What it means for revenue, costs and customers.",
        customers_affected="Which customers or segments are affected, with figures.",
        urgency="How soon it matters, and why.",
    ),
    _sophia(
        "client_analysis",
        "Who is at risk and why, from the customer tables and the facts about clients.",
        ClientFocus,
        summary=_SUMMARY,
        drivers="Why customers behave as they do: the drivers, with their figures.",
        segments_at_risk="Which segments are at risk, and the revenue at stake.",
        recommendations="What to do about it, first things first.",
    ),
    _sophia(
        "market_research",
        "The market and its competitors, from what the company knows and, where it may, from the web.",
        MarketFocus,
        summary=_SUMMARY,
        market="The market, its size and its direction.",
        competitors="Who competes, and how they stand.",
        opportunities="Where there is room.",
    ),
    _sophia(
        "sales_intelligence",
        "The pipeline, what it is worth, and how it moves, from the facts about deals.",
        SalesFocus,
        summary=_SUMMARY,
        pipeline="Where the revenue comes from, and how concentrated it is.",
        opportunities="Whom to sell what, and why.",
        recommendations="What to do next.",
    ),
    _sophia(
        "business_insight",
        "The figures that matter, over clients, sales and market.",
        InsightFocus,
        summary=_SUMMARY,
        insights="The figures and facts that matter, and what they mean.",
        recommendations="What to do about it.",
    ),
    _artemis(
        "technical_feasibility_analysis",
        "Whether it can be built, how, how hard and by when.",
        Told,
        feasibility="Whether it can be built with what the company has, and under which conditions.",
        recommended_architecture="How to build it: components, interfaces, existing systems to use.",
        complexity="How hard it is and why: dependencies, hot spots, unknowns.",
        timeline="How long it takes: phases, dates, milestones.",
        risks="What could go wrong technically, with known incidents.",
    ),
    _artemis(
        "code_analysis",
        "Size, complexity, structure and hot spots of a source tree that the company keeps.",
        CodeFocus,
        summary=_SUMMARY,
        structure="How the code is built: languages, size, modules, dependencies.",
        hot_spots="The most complex and riskiest places, with file and line.",
        recommendations="What to change first.",
    ),
    _artemis(
        "security",
        "Vulnerabilities, secrets and misconfiguration of a source tree that the company keeps.",
        CodeFocus,
        summary=_SUMMARY,
        vulnerabilities="What was found, by severity, with file and line.",
        exposure="What it could lead to.",
        recommendations="What to fix first.",
    ),
    _artemis(
        "system_monitoring",
        "What happened to which services, and why.",
        ServiceFocus,
        summary=_SUMMARY,
        incidents="What happened, to which services, how bad and how long.",
        causes="The causes, and what they have in common.",
        recommendations="What to change so that it does not happen again.",
    ),
    _artemis(
        "performance_analysis",
        "Where time goes, and what the system can take.",
        ServiceFocus,
        summary=_SUMMARY,
        bottlenecks="Where time goes, with file and line.",
        capacity="What the system can take, and what it cannot.",
        recommendations="What to speed up first.",
    ),
    _ceo(
        "strategic_alignment",
        "How a question fits the company's strategy, and where it conflicts with it.",
        Told,
        alignment="How the question fits the company's strategy and its priorities.",
        conflicts="Where it conflicts with commitments, budgets, risks or other priorities.",
        implications="What follows for the strategy if the company goes ahead.",
        market_position="What is known of the company's market position.",
        competitive_landscape="Who competes, and how they stand.",
        recommendations="What the strategy recommends.",
        executive_summary="The executive's view in two or three sentences.",
    ),
    _ceo(
        "strategic_summary",
        "What matters to a domain within a horizon, quoted from the items that say so; no model is asked.",
        SummaryQuery,
        priorities="What matters most.",
        key_insights="What is known.",
        risks="What may go wrong.",
        opportunities="Where there is room.",
        recommendations="What is advised.",
    ),
)


def request_type(domain: Domain, name: str) -> RequestType | None:
    return next((one for one in REQUEST_TYPES if (one.domain, one.name) == (domain, name)), None)


def sections_of(domain: Domain, name: str) -> tuple[Section, ...]:
    """Those of a type's outcome. Raises KeyError for one that there is not."""
    found = request_type(domain, name)
    if found is None:
        raise KeyError(name)
    return found.sections
