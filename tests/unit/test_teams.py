"""The router: every team is reached by a question of its own."""

import msgspec
import pytest

from actors.answering import TECHNICAL_CUES, contributed
from actors.subscriptions import announced_to
from actors.team import EVIDENCE_CHARS_MAX, evidence_of, once, route, speaks_of
from actors.teams import TEAMS
from contracts.collaboration import Outcome
from contracts.domains import Clearance, Domain
from contracts.model import FLOW
from contracts.retrieval import Entry, Hit
from contracts.span import Span

QUESTIONS = [
    (Domain.SOPHIA, "client_analysis", "Why are we losing small-business customers?"),
    (Domain.SOPHIA, "market_research", "Which competitors gain market share in our industry?"),
    (Domain.SOPHIA, "sales_intelligence", "Which deals in the pipeline can we upsell this quarter?"),
    (Domain.SOPHIA, "business_insight", "How did our key metrics and margins develop?"),
    (Domain.SOPHIA, "business_insight", "What do you know?"),
    (Domain.ARTEMIS, "code_analysis", "Which modules of the code need refactoring?"),
    (Domain.ARTEMIS, "system_monitoring", "What caused the outages and incidents in May?"),
    (Domain.ARTEMIS, "security", "Are there vulnerabilities or leaked secrets?"),
    (Domain.ARTEMIS, "performance_analysis", "Where are the bottlenecks that make it slow?"),
]


@pytest.mark.parametrize(("domain", "team", "question"), QUESTIONS)
def test_a_question_reaches_its_team(domain: Domain, team: str, question: str) -> None:
    assert route(question, TEAMS[domain]).name == team


TODAY = [
    (Domain.ARTEMIS, "code_analysis", "Which files of this repository need attention first, and why?"),
    (Domain.ARTEMIS, "security", "What are the security problems of this code?"),
    (Domain.ARTEMIS, "security", "Are there secrets in the source code of r5src?"),
    (Domain.ARTEMIS, "security", "Is any dependency of r5src known to be vulnerable?"),
    (Domain.ARTEMIS, "system_monitoring", "Is anything unusual?"),
    (Domain.ARTEMIS, "performance_analysis", "Which operations are slowest in the last 15 minutes?"),
    (Domain.ARTEMIS, "performance_analysis", "What got slower since yesterday?"),
    (Domain.ARTEMIS, "performance_analysis", "Which functions are hottest in the profile?"),
    (Domain.SOPHIA, "sales_intelligence", "What is our win rate for the public sector?"),
    (Domain.SOPHIA, "sales_intelligence", "What is our win rate by segment?"),
    (Domain.SOPHIA, "sales_intelligence", "Which deals will we close, and which are slipping?"),
    (Domain.SOPHIA, "sales_intelligence", "What do we forecast for the next quarter?"),
    (Domain.SOPHIA, "sales_intelligence", "How many customers won us over which revenue?"),
    (Domain.SOPHIA, "client_analysis", "which customers are most at risk and why"),
    (Domain.SOPHIA, "client_analysis", "How much revenue is at risk from customers who are leaving?"),
    (Domain.SOPHIA, "client_analysis", "How healthy is Cust 11?"),
    (Domain.SOPHIA, "client_analysis", "What do customers who left have in common?"),
    (Domain.SOPHIA, "market_research", "What are the risks in the market?"),
    (Domain.SOPHIA, "market_research", "Who are our competitors and what share do they have?"),
    (Domain.SOPHIA, "business_insight", "How is the business doing?"),
    (Domain.SOPHIA, "business_insight", "What should we do?"),
]


@pytest.mark.parametrize(("domain", "team", "question"), [*QUESTIONS, *TODAY])
def test_so_it_does_today(domain: Domain, team: str, question: str) -> None:
    assert route(question, TEAMS[domain], FLOW).name == team


def test_every_team_is_reached() -> None:
    reached = {(domain, team) for domain, team, _ in QUESTIONS}
    assert reached == {(domain, team.name) for domain, teams in TEAMS.items() for team in teams}


def test_technical_words_call_for_feasibility() -> None:
    assert speaks_of("Is the proposed self-service portal feasible?", TECHNICAL_CUES)
    assert not speaks_of("Why do customers leave us?", TECHNICAL_CUES)


def test_what_was_announced_of_an_item_is_no_evidence_beside_the_item() -> None:
    def hit(id_: str, *tags: str) -> Hit:
        entry = Entry(id=id_, title=id_, text="x", label=Clearance.PUBLIC, tags=tags)
        return Hit(entry=entry, partition="ceo_knowledge", score=0.5)

    item, announced = hit("item"), hit("told", announced_to(Domain.SOPHIA, "item").id)
    other = hit("other", announced_to(Domain.SOPHIA, "elsewhere").id)
    assert once([announced, item, other]) == (item, other)
    assert once([announced, other]) == (announced, other)


def test_evidence_is_the_passage_that_answers_wherever_it_stands() -> None:
    text = "".join(f"{number:04} " for number in range(2_000))
    entry = Entry(id="long", title="long", text=text, label=Clearance.PUBLIC)
    for start, end, shown in ((0, 500, 0), (5_000, 5_500, 5_000), (9_500, 10_000, 10_000 - EVIDENCE_CHARS_MAX)):
        hit = Hit(entry=entry, partition="ceo_knowledge", score=0.5, passage=Span(start, end))
        assert evidence_of([hit])[0].text == text[shown : shown + EVIDENCE_CHARS_MAX]
    whole = Hit(entry=msgspec.structs.replace(entry, text="short"), partition="ceo_knowledge", score=0.5)
    assert evidence_of([whole])[0].text == "short"


def test_what_others_only_say_again_is_not_said_twice() -> None:
    own = ("27 % of customers left (1,869 of 7,043).", "The model was checked.")
    sections = {"summary": "Findings: 27 % of customers left (1,869 of 7,043).", "more": "The strategy asks for fewer."}
    outcomes = [(Domain.CEO, "strategic_alignment", Outcome(status="completed", sections=sections))]
    assert contributed(outcomes, own) == ("Ceo on more: The strategy asks for fewer.",)
    assert len(contributed(outcomes, ())) == 2
