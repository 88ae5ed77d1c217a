"""Confidence: what it is made of, that more good evidence never lowers it, and how well it is calibrated."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.confidence import NOTHING_FOUND, Rested, confidence, fresh, grounds, of_answer
from contracts.domains import Clearance
from contracts.grounds import Grounds
from contracts.model import NOTHING_KNOWN, Evidence
from tests.calibration import Judged, brier, calibration_error, judged_all

NOW = datetime(2026, 11, 29, tzinfo=UTC)
QUESTION = "How high is churn among business customers?"
WORDS = ("churn", "business", "customers", "high", "was", "18", "%", "invoices", "weather", "Churn", "21")


def evidence(id_: str, text: str, *, score: float = 0.6, age_days: float = 0.0, category: str = "") -> Evidence:
    return Evidence(
        id=id_,
        title=id_,
        text=text,
        label=Clearance.PUBLIC,
        score=score,
        updated=NOW - timedelta(days=age_days),
        category=category,
    )


def rested(*found: Evidence, findings: tuple[str, ...] = ()) -> Rested:
    return Rested(question=QUESTION, evidence=found, findings=findings, now=NOW)


CHURN = evidence("a", "Churn among business customers was 18 % in May.")


def test_without_anything_found_it_is_at_most_a_tenth() -> None:
    assert confidence(grounds(rested())) == NOTHING_FOUND <= 0.1
    assert of_answer(rested(CHURN), {"summary": NOTHING_KNOWN}, ()) == (NOTHING_FOUND, Grounds())
    expired = replace(CHURN, expires=NOW - timedelta(days=1))
    assert confidence(grounds(rested(expired))) == NOTHING_FOUND


def test_an_answer_rests_on_what_it_cites() -> None:
    other = evidence("b", "The weather was fine.", score=0.9)
    sure, found = of_answer(rested(CHURN, other), {"summary": "18 %."}, ("a",))
    assert (sure, found) == (confidence(grounds(rested(CHURN))), grounds(rested(CHURN)))
    assert found.sources == 1


def test_age_counts_by_the_half_life_of_the_category() -> None:
    assert fresh(evidence("a", "", age_days=60, category="operational_metrics"), NOW) == pytest.approx(0.5)
    assert fresh(evidence("a", "", age_days=365, category="strategic_planning"), NOW) == pytest.approx(0.5)
    assert fresh(Evidence(id="a", title="", text="", label=Clearance.PUBLIC, score=1), NOW) == 0.5
    old = replace(CHURN, updated=NOW - timedelta(days=2_000))
    assert confidence(grounds(rested(old))) < confidence(grounds(rested(CHURN)))


def test_sources_that_contradict_each_other_lower_it() -> None:
    agreeing = evidence("b", "In May churn among business customers was 18 %.")
    other = evidence("b", "In May churn among business customers was 21 %.")
    assert grounds(rested(CHURN, agreeing)).disagreeing == 0
    assert grounds(rested(CHURN, other)).disagreeing == 2
    assert confidence(grounds(rested(CHURN, other))) < confidence(grounds(rested(CHURN, agreeing)))
    limited = evidence("a", "Business customers' churn data is not kept outside the EU.")
    within = evidence("b", "Business customers' churn data is kept in the EU.")
    assert grounds(rested(limited, within)).disagreeing == 0


def test_what_a_tool_computed_counts_where_it_speaks_to_the_question() -> None:
    assert grounds(rested(CHURN, findings=("Churn of business customers is 18.4 %.",))).computed == 1
    assert grounds(rested(CHURN, findings=("Nothing was read.",))).computed == 0


texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
found = st.builds(
    evidence,
    st.uuids().map(str),
    texts,
    score=st.floats(0, 1),
    age_days=st.floats(0, 4_000),
    category=st.sampled_from(("", "strategic_planning", "operational_metrics")),
)


@given(st.lists(found, max_size=4), st.floats(0, 1))
def test_more_that_agrees_and_is_new_never_lowers_it(held: list[Evidence], score: float) -> None:
    """What is added says again what one of them says, today; it contradicts nothing that that one does not."""
    before = grounds(rested(*held))
    for one in held:
        added = evidence("added", one.text, score=score)
        after = grounds(rested(*held, replace(added, title=one.title)))
        if after.disagreeing == before.disagreeing:
            assert confidence(after) >= confidence(before)
            assert after.freshness >= before.freshness
    assert 0.05 <= confidence(before) <= 0.97


PARTS = st.builds(
    Grounds,
    coverage=st.floats(0, 1),
    agreement=st.floats(0, 1),
    freshness=st.floats(0, 1),
    relevance=st.floats(0, 1),
    computed=st.sampled_from((0.0, 1.0)),
    sources=st.integers(1, 9),
)


@given(PARTS, PARTS)
def test_it_grows_with_each_of_its_parts(one: Grounds, other: Grounds) -> None:
    names = ("coverage", "agreement", "freshness", "relevance", "computed")
    best = replace(one, **{name: max(getattr(one, name), getattr(other, name)) for name in names})
    assert confidence(best) >= max(confidence(one), confidence(other))


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Judged]:
    return judged_all(tmp_path_factory.mktemp("models"))


def test_it_is_calibrated_on_cases_it_was_not_fitted_to_and_better_than_what_the_model_says(
    cases: list[Judged],
) -> None:
    held = cases[1::2]
    assert len(cases) == 80
    right = [one.right for one in held]
    assert {0.0, 1.0} < set(right)
    predicted = [one.confidence for one in held]
    assert brier(predicted, right) <= 0.12
    assert calibration_error(predicted, right) <= 0.1
    assert brier(predicted, right) < brier([one.own for one in held], right)
    mean = sum(right) / len(right)
    assert brier(predicted, right) < brier([mean] * len(right), right)
