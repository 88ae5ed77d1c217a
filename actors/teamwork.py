"""What a domain's teams do for others: each answers the request type of its name with its tools, as it would a question."""

from actors.given import before, handed_over
from actors.handling import Wanted, assured, ceo_findings, synthesise, with_ceo_context
from actors.strategic import SECTIONS as CEO_SECTIONS
from actors.strategic import with_context
from actors.team import Team, gathered, relevant, together
from contracts.collaboration import Outcome, Requested
from contracts.domains import Domain
from contracts.model import FLOW
from contracts.request_types import sections_of
from runtime.effects import Effects

EVIDENCE_MAX = 8
FINDINGS = "findings"


async def team_answer(domain: Domain, team: Team, requested: Requested, effects: Effects) -> Outcome:
    """What the team finds for the question, with what the context says it is about."""
    request, flow = requested.request, requested.flow
    about = ". ".join(text for name, text in request.context.items() if name != FINDINGS and text)
    question = f"{request.question} ({about})" if about else request.question
    now = await effects.now()
    found = await relevant(team.partitions, question, effects, EVIDENCE_MAX)
    hits = before(handed_over(request.sources or ()), found)
    examined = await team.at(flow)(question, hits, effects)
    own = sections_of(domain, team.name)

    async def compose(ceo: Outcome | None) -> Outcome:
        rests_on = together(gathered(hits, examined, flow), ceo.evidence if ceo else ())
        sections = own + CEO_SECTIONS[domain] if ceo else own
        findings = (*examined.findings, *ceo_findings(ceo))
        wanted = Wanted(team.role, sections, computed=examined.computed and flow >= FLOW)
        outcome = await synthesise(wanted, request, rests_on, findings, effects)
        return with_context(assured(outcome, examined.rested(question, rests_on, now)), ceo, domain)

    return await with_ceo_context(requested, effects, compose)
