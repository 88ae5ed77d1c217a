"""What an alignment compares, tells, and takes from a model that judges."""

from datetime import date

from msgspec.structs import replace

from actors.ceo import aligning
from actors.ceo.comparing import compare
from contracts.collaboration import Request
from contracts.comparison import Comparison
from contracts.domains import Clearance
from contracts.model import Evidence, abstains

TODAY = date(2026, 11, 29)
INTERNAL = Clearance.INTERNAL
FREEZE = "No new portals are built before 2028."
EVIDENCE = (
    Evidence(id="e1", title="Portals", text=f"We met in May. {FREEZE}", label=INTERNAL, score=0.8),
    Evidence(id="e2", title="Again", text=FREEZE, label=INTERNAL, score=0.7),
)
REQUEST = Request(
    request_type="strategic_alignment",
    question="Shall we build a portal in 2027? It is for banks.",
    context={
        "technical_requirements": f"The portal must show bills. [1]\nChurn was 26 %. {FREEZE}\n"
        "- Business analysis: 5 files want attention first: a.py.\n- Sales: Too little data is needed here.\n- It must be fast.",
        "business_analysis": "5 files want attention first: a.py.\nSales: Too little data is needed here.\n"
        "The portal must show bills. [2]",
        "technical_feasibility_analysis": "The portal needs two engineers.",
        "findings": "The tool should not be read here.",
    },
)


def test_statements_are_verbatim_with_where_they_stand() -> None:
    strategy = aligning.strategic(EVIDENCE)
    assert [(one.id, one.text, one.source) for one in strategy] == [
        ("s1", "We met in May.", "e1"),
        ("s2", FREEZE, "e1"),
    ]
    assert strategy[1].place is not None
    assert strategy[1].place.of(EVIDENCE[0].text) == FREEZE
    assert [(one.id, one.text, one.source) for one in aligning.required(REQUEST, strategy, INTERNAL)] == [
        ("r1", "Shall we build a portal in 2027?", "question"),
        ("r2", "It is for banks.", "question"),
        ("r3", "The portal must show bills.", "technical_requirements"),
        ("r4", "It must be fast.", "technical_requirements"),
    ]


def test_a_sentence_of_the_question_that_came_back_as_a_finding_is_the_same_sentence() -> None:
    question = "Remove palm oil from 3 recipes. Hire 5 cooks in 2027."
    context = {
        "requirements": "Required, as asked for: Remove palm oil from 3 recipes. [1]\nRequired, as asked for: Buy 2 ovens.",
        "constraints": "- Requirements: Required, as asked for: Hire 5 cooks in 2027.",
    }
    request = Request(request_type="strategic_alignment", question=question, context=context)
    assert [(one.text, one.source) for one in aligning.required(request, (), INTERNAL)] == [
        ("Remove palm oil from 3 recipes.", "question"),
        ("Hire 5 cooks in 2027.", "question"),
        ("Buy 2 ovens.", "requirements"),
    ]


NOTHING = "The material at hand says nothing more on alignment and conflicts:"


def comparisons() -> tuple[Comparison, ...]:
    strategy = aligning.strategic(EVIDENCE)
    requirement = aligning.required(REQUEST, strategy, INTERNAL)[:1]
    return compare(requirement, strategy, [[0.1, 0.8]], TODAY)


def test_a_conflict_is_told_with_both_statements_and_none_is_told_as_nothing() -> None:
    unrelated, conflict = comparisons()
    assert (unrelated.relation, conflict.relation) == ("unrelated", "conflicting")
    told = aligning.told((conflict,))
    assert f"“Shall we build a portal in 2027?” conflicts with “{FREEZE}”, of Portals" in told["conflicts"]
    assert abstains(told["alignment"])
    neither = aligning.told((unrelated,))
    assert neither == {"alignment": f"{NOTHING} 1 statement of the requirement was compared with 1 of the strategy."}
    assert abstains(neither["alignment"])
    assert aligning.told(()) == {
        "alignment": f"{NOTHING} nothing was found in the strategy to compare the question with."
    }
    related = aligning.told(
        (replace(conflict, relation="related", rule="same_topic", reason="both are about portals"),)
    )
    assert abstains(related["conflicts"])
    assert related["alignment"] == (
        f"- The question “Shall we build a portal in 2027?” is about the same as “{FREEZE}”, of Portals, and no rule decides "
        "whether they agree: both are about portals."
    )
    two = (unrelated, replace(conflict, requirement=replace(conflict.requirement, id="r2")))
    assert "2 statements of the requirement were compared with 2 of the strategy." in aligning.told(two)["alignment"]
    assert len(aligning.findings((unrelated, conflict))) == 1


def test_a_model_judges_the_pairs_it_was_given_and_no_others() -> None:
    pairs = comparisons()
    assert len(aligning.judging(pairs).findings) == 1
    said = {"judgement": "r1 s2: aligned\nr1 s1 conflicting\nr9 s9 conflicting"}
    assert aligning.judged(pairs, said) == (pairs[0], replace(pairs[1], judged="aligned"))
    assert aligning.judged(pairs, {"judgement": "r1 s2 aligned\nr1 s2 conflicting"}) == pairs
    assert aligning.judged(pairs, {"judgement": "All is well."}) == pairs
