"""What a language model marks with `[1]`, checked: unknown numbers go, each mark becomes a citation of its sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.citing import citations, without_unknown
from contracts.domains import Clearance
from contracts.model import Citation, Evidence
from contracts.span import Span
from runtime import quotes as quotes_module
from runtime.quotes import MISSES_MAX, quotes

EVIDENCE = (
    Evidence(
        id="k1", title="t", text="Intro.\n\n- Prices **rose** in\n  March 2026. More.", label=Clearance.PUBLIC, score=1
    ),
    Evidence(id="k2", title="t", text="Customers left.", label=Clearance.PUBLIC, score=1),
)


def cited(text: str) -> list[tuple[str, int, str | None]]:
    found = citations("s", text, EVIDENCE)
    return [
        (one.sentence.of(text), one.number, one.quote.of(EVIDENCE[one.number - 1].text) if one.quote else None)
        for one in found
    ]


def test_a_mark_stands_for_the_sentence_before_it() -> None:
    text = "Prices rose in March 2026. [1] So it was said [2]. Customers left. [2][1]\n- A point [1]\n1. Customers left. [2]"
    assert cited(text) == [
        ("Prices rose in March 2026.", 1, "Prices **rose** in\n  March 2026."),
        ("So it was said", 2, None),
        ("Customers left.", 2, "Customers left."),
        ("Customers left.", 1, None),
        ("A point", 1, None),
        ("Customers left.", 2, "Customers left."),
    ]


def test_a_mark_behind_nothing_cites_nothing() -> None:
    assert cited("[1]") == []
    assert cited("- [1] [2]") == []
    assert cited("A 3.5 % rise [1]") == [("A 3.5 % rise", 1, None)]


def test_marks_that_name_no_evidence_go() -> None:
    assert without_unknown("Sure [1]. Not so [3] sure [0] or [99]. See [note].", EVIDENCE) == (
        "Sure [1]. Not so sure or. See [note]."
    )


@given(st.text(alphabet="ab .!\n-[]0123456789", max_size=80))
def test_whatever_is_written_citations_are_places_in_it(text: str) -> None:
    clean = without_unknown(text, EVIDENCE)
    for one in citations("s", clean, EVIDENCE):
        assert isinstance(one, Citation)
        assert one.evidence == EVIDENCE[one.number - 1].id
        assert 0 <= one.sentence.start < one.sentence.end <= len(clean)
        assert one.sentence == Span(one.sentence.start, one.sentence.end)
        assert one.sentence.of(clean) == one.sentence.of(clean).strip()
        assert clean[one.sentence.end :].lstrip(" ").startswith("[")


def test_what_is_looked_for_in_vain_is_not_looked_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chat of a megabyte must not keep a worker busy: a search through all of it for each of its lines would for minutes."""
    searched: list[str] = []
    marked = quotes_module._marked

    def counted(sentence: str, text: str, after: int) -> Span | None:
        searched.append(sentence)
        return marked(sentence, text, after)

    monkeypatch.setattr(quotes_module, "_marked", counted)
    lines = "".join(f"- See [page {number}](a b) of the book.\n" for number in range(500))
    assert [one.text for one in quotes(f"{lines}The **book** is long. It is good.\n")] == ["It is good."]
    assert len(searched) == MISSES_MAX
    searched.clear()
    assert list(quotes("a " * 10_000)) == []
    assert searched == []
    assert [one.text for one in quotes("The **book** is long. It is good.\n")] == ["The book is long.", "It is good."]
