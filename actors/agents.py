"""Which agents each domain runs, as they are registered: the domain as a whole, and each of its teams."""

from actors.requests import HANDLERS
from actors.roster import TOOLS
from actors.teams import TEAMS
from contracts.agents import AgentProfile
from contracts.domains import Domain

ROLES: dict[Domain, str] = {
    Domain.SOPHIA: "business intelligence",
    Domain.ARTEMIS: "technical operations",
    Domain.CEO: "the CEO's knowledge keeper",
    Domain.EMBEDDING: "embedding workers",
}


def profiles(domain: Domain) -> tuple[AgentProfile, ...]:
    """The agents of a domain; none for the system's."""
    if domain not in ROLES:
        return ()
    requests = tuple(sorted(name for asked, name in HANDLERS if asked is domain))
    tools = tuple(sorted(TOOLS.get(domain, {})))
    whole = AgentProfile(id=domain.value, domain=domain, role=ROLES[domain], requests=requests, tools=tools)
    teams = (
        AgentProfile(
            id=f"{domain.value}.{team.name}",
            domain=domain,
            role=team.role,
            team=team.name,
            tools=tuple(name for name in tools if name == team.name),
        )
        for team in TEAMS.get(domain, ())
    )
    return (whole, *teams)
