"""Which teams each domain has, and what models may choose of its tools."""

from collections.abc import Mapping, Sequence

from actors.artemis.offers import ARTEMIS_OFFERS
from actors.artemis.teams import ARTEMIS_TEAMS
from actors.offers import Offer
from actors.sophia.offers import SOPHIA_OFFERS
from actors.sophia.teams import SOPHIA_TEAMS
from actors.team import Team
from contracts.domains import Domain

TEAMS: dict[Domain, Sequence[Team]] = {Domain.SOPHIA: SOPHIA_TEAMS, Domain.ARTEMIS: ARTEMIS_TEAMS}
OFFERS: Mapping[str, Offer] = SOPHIA_OFFERS | ARTEMIS_OFFERS
"""By the tool's name, in any domain."""
