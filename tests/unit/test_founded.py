"""Which figures of an answer stand in nothing that was found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.founded import unfounded
from contracts.domains import Clearance
from contracts.model import Evidence, Prompt, Section

SECTIONS = (Section("summary", "The answer."),)
PROMPT = Prompt(
    role="the sales team",
    question="What was our win rate in 2026?",
    sections=SECTIONS,
    findings=("Win rate by segment: public sector 73.33 % (22 of 30).", "Open deals are worth 1,649,719.62 CHF."),
    evidence=(Evidence(id="e", title="Plan 2027", text="We aim at 80 %.", label=Clearance.PUBLIC, score=0.5),),
    history=("It was 61.5 % before.",),
)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("The win rate in 2026 was 73.33 % (22 of 30). [1]", ()),
        ("It is 73 %, of deals worth 1,649,720 CHF, after 61.5 %; the plan for 2027 says 80 %. [17]", ()),
        ("It is 97 % in 3 segments, and deal ZZ-1 is worth 9,000,000 CHF.", ("97", "9,000,000")),
        ("It is 73.4 %.", ("73.4",)),
        ("No figures at all.", ()),
    ],
)
def test_figures_are_founded_exactly_or_rounded(said: str, told: tuple[str, ...]) -> None:
    assert unfounded({"summary": said}, PROMPT) == told


@given(st.lists(st.integers(0, 10**9) | st.floats(0, 10**6).map(lambda one: round(one, 2)), max_size=8))
def test_what_is_quoted_is_founded(figures: list[float]) -> None:
    lines = tuple(f"There are {one:,} of it." for one in figures)
    prompt = Prompt(role="r", question="?", sections=SECTIONS, findings=lines)
    assert unfounded({"summary": " ".join(lines)}, prompt) == ()
