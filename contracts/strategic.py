"""What an answer says with the CEO's context: of business (Sophia) or technology (Artemis), each part with its evidence."""

from msgspec import Struct

from contracts.comparison import Comparison


class Grounded(Struct, frozen=True, kw_only=True):
    """A part of an answer, and the ids of the evidence that it cites."""

    text: str = ""
    evidence: tuple[str, ...] = ()


class BusinessContext(Struct, frozen=True, kw_only=True, tag="business"):
    """`comparisons` are what alignment and conflicts rest on, statement by statement; `confidence` is the answer's."""

    strategic_alignment: Grounded
    market_position: Grounded
    competitive_landscape: Grounded
    recommendations: Grounded
    comparisons: tuple[Comparison, ...] = ()
    confidence: float = 0.0


class TechnicalContext(Struct, frozen=True, kw_only=True, tag="technical"):
    """As for business; the risk assessment is of the plan, the roadmap impact of what moves and what waits."""

    strategic_alignment: Grounded
    risk_assessment: Grounded
    roadmap_impact: Grounded
    implementation_recommendations: Grounded
    comparisons: tuple[Comparison, ...] = ()
    confidence: float = 0.0


StrategicContext = BusinessContext | TechnicalContext
