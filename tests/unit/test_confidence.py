"""Confidence: what it is made of, that more good evidence never lowers it, and how well it is calibrated."""

from datetime import UTC, datetime, timedelta
from statistics import fmean

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from actors.confidence import NOTHING_FOUND, Rested, Work, confidence, fresh, grounds, of_answer, of_parts
from actors.intents import ANSWERS
from actors.roster import TOOLS
from actors.team import Findings
from contracts.domains import Clearance
from contracts.grounds import Basis, Computed, Grounds
from contracts.model import NOTHING_KNOWN, Evidence
from contracts.retrieval import Entry, Hit
from tests.calibration import Judged, JudgedTool, brier, calibration_error, judged_all, judged_tools
from tests.tool_cases import never

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


def test_what_a_tool_found_in_texts_counts_where_it_speaks_to_the_question() -> None:
    """So it is of results that stand in older journals, too: they tell no basis."""
    assert grounds(rested(CHURN, findings=("Churn of business customers is 18.4 %.",))).computed == 1
    assert grounds(rested(CHURN, findings=("Nothing was read.",))).computed == 0
    told = msgspec.json.decode(b'{"findings":["Churn is 18 %."],"rows":7}', type=Findings)
    assert told.work("client_analysis") == ()


def test_data_that_do_not_say_how_new_they_are_are_as_new_as_what_was_stored() -> None:
    """Not as what was only held against them: new advisories make no old source code new."""

    def stored(name: str, days: int) -> Hit:
        entry = Entry(id=name, title=name, text="", label=Clearance.PUBLIC, updated=NOW - timedelta(days=days))
        return Hit(entry=entry, partition="shared_knowledge", score=0.5)

    found = Findings(("1 finding.",), basis=Basis(read=1, given=1))
    (work,) = found.work("security", stored("tree", 400), told=("In tree: 1 finding.",), ids=["advisories"])
    assert (work.basis.newest, work.data) == (NOW - timedelta(days=400), ("tree", "advisories"))
    told = Findings(("1 finding.",), basis=Basis(read=1, given=1, newest=NOW))
    assert told.work("security", stored("tree", 400))[0].basis.newest == NOW


ALL = Basis(read=7_043, given=7_043, spread=0.04, newest=NOW)
SAID = ("18.4 % of business customers left (1,296 of 7,043).",)


def test_what_a_tool_says_not_to_know_makes_nothing_surer() -> None:
    unknown = "No source at hand speaks of “churn” or “business customers”: what follows is of what is nearest."
    far = evidence("b", "The weather was fine.", score=0.2)
    for told in (unknown, f"Market: {unknown}"):
        assert grounds(rested(far, findings=(told,))) == grounds(rested(far))
        assert confidence(grounds(rested(findings=(told,)))) == NOTHING_FOUND


def sure(basis: Basis, *texts: Evidence, question: str = QUESTION, data: tuple[str, ...] = ()) -> float:
    work = Work(tool="client_analysis", findings=SAID, basis=basis, data=data)
    found = Rested(question=question, evidence=texts, works=(work,), now=NOW)
    return of_answer(found, {"summary": SAID[0]}, ())[0]


def test_what_a_tool_computed_of_all_the_data_is_sure_without_any_text() -> None:
    assert sure(ALL) >= 0.75


def test_a_tool_is_less_sure_of_what_it_read_in_part_or_estimates_widely_or_that_is_old() -> None:
    assert sure(replace(ALL, read=3_500)) < 0.5 < sure(replace(ALL, read=6_900)) < sure(ALL)
    assert sure(replace(ALL, tried=3, done=1)) < 0.5
    assert sure(replace(ALL, spread=0.9)) < 0.5 < sure(replace(ALL, spread=0.1))
    assert sure(replace(ALL, newest=NOW - timedelta(days=1_000))) < sure(replace(ALL, newest=UNSET)) < sure(ALL)
    assert sure(Basis(read=0, given=0)) == NOTHING_FOUND


def test_a_tool_is_less_sure_of_what_it_is_not_for_or_does_not_name() -> None:
    assert sure(ALL, question="Which customers complained about their invoices in Norway?") < 0.5
    assert sure(ALL, question="Which vendor made our disks?") < 0.1


def test_an_answer_is_as_sure_as_the_surer_of_texts_and_tools() -> None:
    poor = replace(ALL, read=10)
    assert sure(poor, CHURN) >= confidence(grounds(rested(CHURN)))
    assert sure(ALL, CHURN) >= sure(ALL)
    table = evidence("t", "Churn of business customers, high", score=1.0)
    assert sure(poor, table) > sure(poor, table, data=("t",)) == sure(poor), "what a tool read is no text beside it"


def test_a_text_that_says_otherwise_lowers_what_a_tool_is_sure_of() -> None:
    agreeing = evidence("b", "Of our business customers 18.4 % left.")
    other = evidence("b", "Of our business customers 31 % left.")
    assert sure(ALL, other) < sure(ALL) < sure(ALL, agreeing)


def test_every_tool_that_tells_its_basis_has_words_for_what_it_is_there_for() -> None:
    telling = {
        tool.name for tools in TOOLS.values() for tool in tools.values() if "basis" in tool.result.__struct_fields__
    }
    assert telling == set(ANSWERS)


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


SHARE = st.floats(0, 1)
TOOL_PARTS = ("meant", "named", "read", "precise", "freshness")
TOOL = st.builds(Computed, meant=SHARE, named=SHARE, read=SHARE, precise=SHARE, freshness=SHARE, sure=st.just(0.0))
BASES = st.builds(
    Basis,
    read=st.integers(0, 100),
    given=st.integers(0, 100),
    tried=st.integers(1, 5),
    done=st.integers(0, 5),
    spread=st.floats(0, 9),
    newest=st.just(UNSET) | st.integers(0, 4_000).map(lambda days: NOW - timedelta(days=days)),
)


@given(TOOL, TOOL, SHARE, SHARE)
def test_what_a_tool_is_sure_of_grows_with_each_of_its_parts(
    one: Computed, other: Computed, agreed: float, more: float
) -> None:
    best = replace(one, **{name: max(getattr(one, name), getattr(other, name)) for name in TOOL_PARTS})
    assert of_parts(best, max(agreed, more)) >= max(of_parts(one, agreed), of_parts(other, more))


@given(BASES, BASES, st.lists(found, max_size=2))
def test_another_tool_never_lowers_it(one: Basis, other: Basis, texts: list[Evidence]) -> None:
    """Nor does what it says leave the bounds."""
    works = [Work(tool="client_analysis", findings=SAID, basis=basis) for basis in (one, other)]
    alone, both = (
        confidence(grounds(Rested(question=QUESTION, evidence=texts, works=some, now=NOW)))
        for some in (works[:1], works)
    )
    assert NOTHING_FOUND <= alone <= both <= 0.97


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


@pytest.fixture(scope="module")
def tools() -> list[JudgedTool]:
    return judged_tools()


@pytest.mark.timeout(600)  # six tools over 134 cases: 15 s of work, on a machine that does nothing else
def test_of_tools_it_is_calibrated_on_cases_it_was_not_fitted_to(tools: list[JudgedTool]) -> None:
    held = tools[1::2]
    assert len(tools) >= 130
    right = [one.right for one in held]
    assert {0.0, 1.0} == set(right)
    predicted = [one.confidence for one in held]
    assert brier(predicted, right) <= 0.19
    assert calibration_error(predicted, right) <= 0.13
    mean = sum(right) / len(right)
    others = ([one.before for one in held], [one.own for one in held], [mean] * len(right))
    assert brier(predicted, right) < min(brier(other, right) for other in others)


@pytest.mark.timeout(600)
def test_what_a_tool_cannot_tell_is_not_sure(tools: list[JudgedTool]) -> None:
    """In the mean, of all kinds of cases: what the data do not hold, what was not read, what is a mere sample."""
    unknown = [one.confidence for one in tools if one.case.right is never and not one.case.age_days]
    lost = [one.confidence for one in tools if one.grounds.tool is not UNSET and one.grounds.tool.read < 0.6]
    exact = [one.confidence for one in tools if one.right and one.grounds.tool and one.grounds.tool.precise == 1]
    assert max(fmean(unknown), fmean(lost)) < 0.35
    assert fmean(exact) > 0.65
