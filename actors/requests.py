"""How each domain answers its request types (`contracts.request_types`)."""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from actors.artemis.feasibility import technical_feasibility_analysis
from actors.ceo.alignment import strategic_alignment
from actors.ceo.summary import strategic_summary
from actors.sophia.impact import business_impact_analysis
from actors.teams import TEAMS
from actors.teamwork import team_answer
from contracts.collaboration import Outcome, Requested
from contracts.domains import Domain
from contracts.request_types import RequestType
from runtime.effects import Effects
from runtime.errors import Rejected

Handler = Callable[[Requested, Effects], Awaitable[Outcome]]

HANDLERS: dict[tuple[Domain, str], Handler] = {
    (Domain.ARTEMIS, "technical_feasibility_analysis"): technical_feasibility_analysis,
    (Domain.SOPHIA, "business_impact_analysis"): business_impact_analysis,
    (Domain.CEO, "strategic_alignment"): strategic_alignment,
    (Domain.CEO, "strategic_summary"): strategic_summary,
    **{(domain, team.name): partial(team_answer, domain, team) for domain, teams in TEAMS.items() for team in teams},
}


def check_context(kind: RequestType, context: dict[str, str], *, strict: bool = False) -> None:
    """Raises Rejected naming what does not fit; `strict`: a text under a name that the type does not know, whatever its type."""
    known = ", ".join(kind.context.__struct_fields__)
    if strict and (unknown := sorted(set(context) - set(kind.context.__struct_fields__))):
        raise Rejected(f"the context of {kind.name} is {known}: it has no `{unknown[0]}`")
    try:
        msgspec.convert(context, kind.context, strict=False)
    except msgspec.ValidationError as error:
        raise Rejected(f"the context of {kind.name} is {known}: {error}") from error
