"""Which teams each domain has."""

from collections.abc import Sequence

from actors.artemis.teams import ARTEMIS_TEAMS
from actors.sophia.teams import SOPHIA_TEAMS
from actors.team import Team
from contracts.domains import Domain

TEAMS: dict[Domain, Sequence[Team]] = {Domain.SOPHIA: SOPHIA_TEAMS, Domain.ARTEMIS: ARTEMIS_TEAMS}
