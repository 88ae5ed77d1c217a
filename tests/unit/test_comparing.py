"""Comparing requirements with the strategy: labelled pairs by the real embedding model, and each rule by itself."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ceo.aligning import ALIGNED_MAX, CONFLICTS_MAX, RELATED_MAX, UNRELATED_MAX, telling
from actors.ceo.comparing import compare
from actors.ceo.figures import bounded, dates
from actors.ceo.stance import plans, stance
from adapters.minilm import MiniLm
from contracts.comparison import Comparison, Relation, Stated
from contracts.domains import Clearance
from runtime.vector_ports import Purpose
from tests.comparison_pairs import DEVELOPMENT, HELD_OUT, Pair
from tests.comparison_pairs_last import LAST
from tests.comparison_pairs_later import LATER
from tests.comparison_pairs_stranger import STRANGER

TODAY = date(2026, 11, 29)
SAME = [[1.0]]  # cosines of a pair that is about the same


def stated(text: str, id_: str = "s") -> Stated:
    return Stated(id=id_, text=text, source=id_, label=Clearance.PUBLIC)


def compared(requirement: str, strategy: str, cosines: Sequence[Sequence[float]] | None = SAME) -> Comparison:
    return compare([stated(requirement, "r")], [stated(strategy)], cosines, TODAY)[0]


@pytest.fixture(scope="module")
def cosines(tmp_path_factory: pytest.TempPathFactory) -> dict[Pair, float]:
    """Of every labelled pair, by the real model."""
    pairs = (*DEVELOPMENT, *HELD_OUT, *LATER, *LAST, *STRANGER)

    async def embedded() -> dict[Pair, float]:
        model = MiniLm(tmp_path_factory.mktemp("models"))
        await model.start()
        try:
            texts = [text for pair in pairs for text in (pair.requirement, pair.strategy)]
            vectors = await model.embed(texts, Purpose("plain"))
        finally:
            await model.stop()
        both = zip(pairs, vectors[::2], vectors[1::2], strict=True)
        return {pair: sum(x * y for x, y in zip(one, other, strict=True)) for pair, one, other in both}

    return asyncio.run(embedded())


@pytest.mark.parametrize(
    ("pairs", "conflicts", "agreements"),
    [
        pytest.param(DEVELOPMENT, (0.95, 0.95), (1.0, 0.75), id="development"),
        pytest.param(HELD_OUT, (0.85, 0.9), (1.0, 0.6), id="held out"),
        pytest.param(LATER, (0.95, 0.8), (1.0, 0.8), id="later"),
        pytest.param(LAST, (0.95, 0.7), (1.0, 0.9), id="last"),
        pytest.param(STRANGER, (1.0, 0.6), (1.0, 1.0), id="stranger"),
    ],
)
def test_labelled_pairs_are_told_apart(
    cosines: dict[Pair, float],
    pairs: Sequence[Pair],
    conflicts: tuple[float, float],
    agreements: tuple[float, float],
) -> None:
    """Precision and recall of what is called a conflict, and of what is called agreement; `related` claims neither."""
    counts: Counter[tuple[Relation, Relation]] = Counter()
    wrong = []
    for pair in pairs:
        found = compared(pair.requirement, pair.strategy, [[cosines[pair]]])
        counts[pair.relation, found.relation] += 1
        if found.relation != pair.relation:
            wrong.append((pair, found.relation, found.rule, found.reason))
    claims: tuple[tuple[Relation, tuple[float, float]], ...] = (("conflicting", conflicts), ("aligned", agreements))
    for relation, (precision_min, recall_min) in claims:
        given_ = sum(count for (_, said), count in counts.items() if said == relation)
        labelled = sum(count for (wanted, _), count in counts.items() if wanted == relation)
        assert counts[relation, relation] / given_ >= precision_min, wrong
        assert counts[relation, relation] / labelled >= recall_min, wrong


def test_the_labelled_pairs_are_as_many_as_is_said_and_none_is_in_both_parts() -> None:
    assert (len(DEVELOPMENT), len(HELD_OUT), len(LATER), len(LAST)) == (90, 40, 45, 42)
    assert len({*DEVELOPMENT, *HELD_OUT, *LATER, *LAST}) == 217
    assert Counter(pair.relation for pair in LATER) == {"conflicting": 22, "aligned": 11, "related": 12}
    assert {pair.relation for pair in HELD_OUT} == {"conflicting", "aligned", "unrelated"}


@pytest.mark.parametrize(
    ("requirement", "strategy", "relation", "rule"),
    [
        ("The pilot needs 30 engineers.", "A pilot has at most 20 engineers.", "conflicting", "limit"),
        ("The pilot needs 20 engineers.", "A pilot has at most 20 engineers.", "aligned", "limit"),
        ("The pilot needs 30 engineers.", "A pilot has at most 20 testers.", "related", "same_topic"),
        ("The pilot costs $2 million.", "A pilot may cost no more than 1,500,000 USD.", "conflicting", "limit"),
        ("The pilot is available 99 % of the time.", "A pilot is available at least 99.5 %.", "conflicting", "limit"),
        ("The pilot starts in May 2027.", "No new pilots before July 2027.", "conflicting", "date"),
        ("The pilot starts in July 2027.", "No new pilots before July 2027.", "aligned", "date"),
        ("The pilot ends in Q4 2027.", "The pilot ends by 30 June 2027.", "conflicting", "date"),
        ("The pilot ends before 1 July 2027.", "The pilot must end before June 2027.", "conflicting", "date"),
        ("The pilot ends before June 2027.", "The pilot must end by 31 May 2027.", "aligned", "date"),
        ("The pilot runs until July 2027.", "The pilot must end before June 2027.", "conflicting", "date"),
        ("The pilot is helped until July 2027.", "The pilot must run before June 2027.", "related", "same_topic"),
        ("Start a pilot in 2027.", "Pilots started before 2026 are over.", "related", "same_topic"),
        ("Start a pilot.", "No pilots are started before the security review.", "unrelated", "prohibition"),
        ("Start a pilot before the review.", "No pilot before the security review.", "conflicting", "prohibition"),
        ("Start a pilot with insurers.", "No pilots other than with insurers.", "aligned", "prohibition"),
        ("We must not start a pilot outside of Spain.", "We start pilots in France.", "unrelated", "prohibition"),
        ("The pilot costs 300 EUR.", "The pilot may not go beyond 200 EUR.", "conflicting", "limit"),
        ("Start a pilot.", "No new pilots before July 2027.", "conflicting", "prohibition"),
        ("We will not start a pilot.", "No pilots are started.", "aligned", "prohibition"),
        ("Stop the pilot.", "The pilot goes on in all regions.", "conflicting", "opposite"),
        ("Stop the pilot.", "The pilot runs in all regions.", "conflicting", "prohibition"),
        ("Do not stop the pilot.", "The pilot goes on in all regions.", "aligned", "opposite"),
        ("Stop the pilot.", "The pilot is never stopped.", "conflicting", "opposite"),
        ("Do not start a pilot.", "We start a pilot in 2027.", "conflicting", "prohibition"),
        ("Do not start a pilot in May 2027.", "We start a pilot in 2028.", "related", "date"),
        ("Start a pilot in May 2027.", "We start no pilot in 2027.", "conflicting", "date"),
        ("Start a pilot in May 2026.", "We start no pilots before 2028.", "conflicting", "prohibition"),
        ("The pilot runs since May 2026.", "The pilot must be live by June 2027.", "related", "same_topic"),
        ("Start a pilot for banks.", "Pilots must not use customer data.", "related", "same_topic"),
        ("The pilot may take 2 seconds.", "The pilot answers within 300 ms.", "conflicting", "limit"),
        ("The pilot stores 3 TB.", "The pilot stores at most 500 GB.", "conflicting", "limit"),
        ("The pilot has at least 5 racks.", "The pilot has at least 9 racks.", "related", "limit"),
        ("Buy pilots for 9,000 EUR.", "No pilots above 5,000 EUR are bought.", "conflicting", "limit"),
        ("The pilot takes 30 days of work.", "The pilot takes at most 10 days of training.", "related", "same_topic"),
        ("Pilots fly from home 5 days a week.", "Pilots fly in the office at least 3 days.", "related", "limit"),
        ("Start pilots for new customers.", "No pilots for existing customers.", "related", "scope"),
        ("Fly the pilot on Mondays.", "The pilot does not fly on weekends.", "related", "scope"),
        ("Fly the pilot on Sundays.", "The pilot does not fly on weekends.", "conflicting", "prohibition"),
        ("Let contractors run pilots.", "Only employees run pilots.", "conflicting", "exclusive"),
        ("Offer pilots on Saturdays.", "Pilots are not offered on weekends.", "conflicting", "prohibition"),
        (
            "Sell pilots through our shop instead of dealers.",
            "Pilots are sold only through dealers.",
            "conflicting",
            "exclusive",
        ),
        ("Pilots are led by machines.", "Pilots are never led by machines alone.", "conflicting", "prohibition"),
        ("Fly the pilot until 2029.", "We stop to fly the pilot by May 2027.", "conflicting", "date"),
        ("Fly the pilot in January 2027.", "We stop to fly the pilot by May 2027.", "related", "date"),
        ("Do not enter Spain.", "We expand into Spain.", "conflicting", "prohibition"),
        ("Write a report on pilots.", "No pilots are started.", "related", "looks_only"),
        ("Monitor the pilot.", "We do not monitor the pilot.", "conflicting", "prohibition"),
        ("Move the pilot to Ireland.", "The pilot stays in Switzerland.", "conflicting", "place"),
        ("Move the pilot to Munich.", "The pilot stays in Germany.", "related", "place"),
        ("Keep the pilot in Germany.", "The pilot stays in Germany.", "aligned", "place"),
        ("Replace Python by Java in the pilot.", "We prefer Python to Java in the pilot.", "conflicting", "preference"),
        ("Use Python for the pilot.", "We prefer Python to Java for pilots.", "aligned", "preference"),
        ("Expand the pilot to Spain.", "The pilot in Spain is closed.", "conflicting", "opposite"),
        ("Reduce the power of the pilot.", "The power of the pilot must not grow.", "aligned", "opposite"),
        ("Sell the pilot to banks.", "The pilot is sold only to insurers.", "conflicting", "exclusive"),
        ("Buy a pilot for 9,000 EUR.", "Pilots above 5,000 EUR need a review.", "related", "limit"),
        ("Buy a pilot for 900 EUR.", "Pilots above 5,000 EUR need a review.", "related", "limit"),
        ("Buy a pilot for 900 EUR without review.", "Pilots above 5,000 EUR need a review.", "related", "limit"),
        ("Buy a pilot for 9,000 EUR without review.", "Pilots above 5,000 EUR need a review.", "conflicting", "limit"),
        ("Buy a pilot for 9,000 EUR.", "Never buy a pilot above 5,000 EUR without review.", "related", "limit"),
        ("The pilot has 20 engineers.", "The pilot must have more than 30 engineers.", "conflicting", "limit"),
        ("The pilot works without glue.", "Glue is banned from the pilot.", "aligned", "prohibition"),
        ("Remove the glue from the pilot in 2027.", "Glue is banned from the pilot.", "aligned", "prohibition"),
        ("Remove the glue from the pilot.", "The pilot must not contain glue.", "aligned", "prohibition"),
        ("Remove the ban on pilot trips.", "Pilot trips are banned.", "conflicting", "prohibition"),
        ("Give pilots a 6-year warranty.", "Pilots get a warranty of at least five years.", "aligned", "limit"),
        ("Give pilots a 2-year warranty.", "Pilots get a warranty of at least five years.", "conflicting", "limit"),
        ("The pilot takes 60 days.", "The time of a pilot is not above 40 days.", "conflicting", "limit"),
        ("The pilot takes 60 days.", "The pilot takes 40 days at most.", "conflicting", "limit"),
        ("Pilot logs are kept for one year.", "Pilot logs are deleted after 90 days.", "conflicting", "limit"),
        ("Pilot logs are kept for one month.", "Pilot logs are deleted after 90 days.", "related", "limit"),
        (
            "Pilot logs are checked each year for 2 years.",
            "Pilot logs are deleted after 90 days.",
            "related",
            "same_topic",
        ),
        ("Delete pilot logs after 60 days.", "Pilot logs are deleted after 90 days.", "related", "limit"),
        ("Delete pilot logs after 60 days.", "Pilot logs are deleted after 90 days at the latest.", "aligned", "limit"),
        ("Delete pilot logs after 60 days.", "Pilot logs are kept for at least 90 days.", "conflicting", "limit"),
        (
            "Keep pilot logs for one year.",
            "Pilot logs are deleted within 9 days after a request.",
            "related",
            "same_topic",
        ),
        ("Remove pilot seats.", "We cut no pilot seats.", "conflicting", "prohibition"),
        ("Remove pilot seats.", "We do not remove pilot seats.", "conflicting", "prohibition"),
        ("Get rid of pilot seats in all shops.", "Pilot seats are not sold in our shops.", "related", "prohibition"),
        ("Remove the review step for pilots.", "No pilots without review.", "conflicting", "prohibition"),
        ("Pilots get 1,500 CHF monthly.", "Every pilot earns at least 2,000 CHF a month.", "conflicting", "limit"),
        ("Buy pilots.", "No pilots above 5,000 EUR are bought.", "related", "same_topic"),
        ("Remove the pilot.", "The pilot is never removed.", "conflicting", "prohibition"),
        ("Start the pilot without a review.", "No pilot without a review.", "conflicting", "prohibition"),
    ],
)
def test_each_rule_decides_its_own(requirement: str, strategy: str, relation: Relation, rule: str) -> None:
    found = compared(requirement, strategy)
    assert (found.relation, found.rule) == (relation, rule), found.reason
    assert (found.requirement.text, found.strategy.text) == (requirement, strategy)


def test_of_several_clauses_each_limit_and_each_date_is_compared_with_its_own() -> None:
    held = "The pilot must be live by June 2027 for at most 200,000 EUR."
    late = compare([stated("The pilot is live by September 2027 for 400,000 EUR.", "r")], [stated(held)], SAME, TODAY)
    assert [(one.relation, one.rule, one.reason) for one in late] == [
        ("conflicting", "limit", "'400,000 EUR' against 'at most 200,000 EUR'"),
        ("conflicting", "date", "'by September 2027' against 'by June 2027'"),
    ]
    kept = compared("The pilot is live by May 2027 for 90,000 EUR and the office costs 300,000 EUR.", held)
    assert (kept.relation, kept.rule) == ("aligned", "limit")
    hidden = compared("The pilot is live by September 2027 for 90,000 EUR.", held)
    assert (hidden.relation, hidden.rule) == ("conflicting", "date")


def test_what_decided_is_told_in_the_words_that_are_written() -> None:
    found = compared("The customer portal lives on the companies' servers.", "Customers like the live portal.")
    assert found.reason == "both are about customer, portal, lives"
    assert compared("Sell pilots to bakeries.", "Pilots are sold only to pharmacies.").reason == (
        "only to pharmacies, not bakeries"
    )


def test_what_is_about_something_else_never_conflicts() -> None:
    found = compared("Start a pilot.", "No new parks are opened.", [[0.1]])
    assert (found.relation, found.rule) == ("unrelated", "other_topic")


def test_without_an_embedding_model_the_words_decide_the_topic() -> None:
    assert compared("Build a customer portal.", "No new customer portals are built.", None).relation == "conflicting"
    assert compared("Build a customer portal.", "No new offices are opened.", None).relation == "unrelated"


def test_what_is_told_is_bounded_plainest_first_and_names_the_nearest_of_what_nothing_speaks_to() -> None:
    wanted = [stated(f"The pilot needs {30 + number} engineers.", f"r{number:02}") for number in range(40)]
    alone = stated("Paint the walls.", "walls")
    held = [
        stated("A pilot has at most 20 engineers.", "limit"),
        stated("A pilot has at least 10 engineers.", "least"),
        stated("Engineers run a pilot.", "run"),
    ]
    found = telling(compare([*wanted, alone], held, [*[[0.9, 0.9, 0.7]] * 40, [0.1, 0.1, 0.2]], TODAY))
    assert Counter(one.relation for one in found) == {
        "conflicting": CONFLICTS_MAX,
        "aligned": ALIGNED_MAX,
        "related": RELATED_MAX,
        "unrelated": 1,
    }
    assert UNRELATED_MAX >= 1
    assert (found[-1].requirement, found[-1].strategy) == (alone, held[2])
    assert [one.relation for one in found] == sorted(
        (one.relation for one in found), key=["conflicting", "aligned", "related", "unrelated"].index
    )


def test_figures_and_dates_are_read_with_their_bounds() -> None:
    found = [
        (one.bound, one.value, one.unit)
        for one in bounded("At most €1.5 million, 20 % or six weeks, at least 3 racks.")
    ]
    assert found == [("max", 1_500_000, "eur"), ("none", 20, "%"), ("none", 42, "days"), ("min", 3, "")]
    text = "Not before Q2 2027, until 2029, by the end of March 2030, due 2031-01-31, this quarter, in 31 June 2027."
    assert [(one.when, one.first.isoformat(), one.last.isoformat()) for one in dates(text, TODAY)] == [
        ("from", "2027-04-01", "2027-06-30"),
        ("until", "2029-01-01", "2029-12-31"),
        ("by", "2030-03-31", "2030-03-31"),
        ("by", "2031-01-31", "2031-01-31"),
        ("at", "2026-10-01", "2026-12-31"),
    ]


def test_what_should_be_is_told_from_what_is() -> None:
    assert plans("The portal must show bills.")
    assert plans("Build a portal.")
    assert not plans("Churn was 26 % in the last year.")


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_has_a_stance_and_comparing_is_the_same_every_time(one: str, other: str) -> None:
    assert compared(one, other) == compared(one, other)
    assert stance(one, TODAY) == stance(one, TODAY)
