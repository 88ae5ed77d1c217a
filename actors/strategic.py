"""The sections of an answer with the CEO's context (mission B2, B4), and how they become typed."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from contracts.collaboration import Outcome
from contracts.domains import Domain
from contracts.model import Citation, Section
from contracts.strategic import BusinessContext, Grounded, StrategicContext, TechnicalContext

SECTIONS: dict[Domain, tuple[Section, ...]] = {
    Domain.SOPHIA: (
        Section("strategic_alignment", "How it fits the company's strategy and its priorities."),
        Section("market_position", "What is known of the company's market position."),
        Section("competitive_landscape", "Who competes, and how they stand."),
        Section("recommendations", "What to do, given the strategy."),
    ),
    Domain.ARTEMIS: (
        Section("strategic_alignment", "How the technical plan fits the company's strategy."),
        Section("risk_assessment", "What could go wrong technically, how likely and how bad, with known incidents."),
        Section("roadmap_impact", "What it means for the roadmap: what moves, what waits."),
        Section("implementation_recommendations", "How to go about it, given strategy and roadmap."),
    ),
}
"""What is answered besides when the CEO's context is wanted."""


def with_context(outcome: Outcome, ceo: Outcome | None, domain: Domain) -> Outcome:
    """The outcome with its typed context, where the CEO was asked; with his comparisons."""
    if ceo is None:
        return outcome
    said = Said(outcome.sections, outcome.citations, outcome.confidence)
    return replace(outcome, comparisons=ceo.comparisons, strategic=context(said, ceo, domain))


class Said(Struct, frozen=True):
    """What was answered: its sections, the places in them that rest on something, and how sure it is."""

    sections: Mapping[str, str]
    citations: Sequence[Citation]
    confidence: float


def beside(sections: tuple[Section, ...], domain: Domain) -> tuple[Section, ...]:
    """A team's sections with those of the CEO's context that it does not have itself."""
    own = {section.name for section in sections}
    return (*sections, *(section for section in SECTIONS[domain] if section.name not in own))


def context(outcome: Said, ceo: Outcome, domain: Domain) -> StrategicContext:
    """Of the sections that were answered, each with what it cites."""

    def grounded(name: str) -> Grounded:
        cited = dict.fromkeys(one.evidence for one in outcome.citations if one.section == name)
        return Grounded(text=outcome.sections.get(name, ""), evidence=tuple(cited))

    if domain is Domain.ARTEMIS:
        return TechnicalContext(
            strategic_alignment=grounded("strategic_alignment"),
            risk_assessment=grounded("risk_assessment"),
            roadmap_impact=grounded("roadmap_impact"),
            implementation_recommendations=grounded("implementation_recommendations"),
            comparisons=ceo.comparisons,
            confidence=outcome.confidence,
        )
    return BusinessContext(
        strategic_alignment=grounded("strategic_alignment"),
        market_position=grounded("market_position"),
        competitive_landscape=grounded("competitive_landscape"),
        recommendations=grounded("recommendations"),
        comparisons=ceo.comparisons,
        confidence=outcome.confidence,
    )
