"""The request types each domain answers, and how."""

from collections.abc import Awaitable, Callable

from actors.artemis.feasibility import technical_feasibility_analysis
from actors.ceo.alignment import strategic_alignment
from actors.ceo.summary import strategic_summary
from actors.sophia.impact import business_impact_analysis
from contracts.collaboration import Outcome, Requested
from contracts.domains import Domain
from runtime.effects import Effects

Handler = Callable[[Requested, Effects], Awaitable[Outcome]]

HANDLERS: dict[tuple[Domain, str], Handler] = {
    (Domain.ARTEMIS, "technical_feasibility_analysis"): technical_feasibility_analysis,
    (Domain.SOPHIA, "business_impact_analysis"): business_impact_analysis,
    (Domain.CEO, "strategic_alignment"): strategic_alignment,
    (Domain.CEO, "strategic_summary"): strategic_summary,
}
