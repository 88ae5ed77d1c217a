"""Highlights: the sentence of a passage that covers most of the query's words, then these words, whole ones only."""

from adapters import words
from adapters.highlights import WORDS_MAX, best_passage, highlights
from contracts.span import Span


def marked(text: str, query: str, passage: Span | None = None) -> list[str]:
    sought = dict.fromkeys(words.of_query(query), 1.0)
    return [text[one.start : one.end] for one in highlights(text, passage or Span(0, len(text)), sought)]


def test_the_sentence_with_most_of_the_words_is_marked_and_the_words_in_it_by_their_stems() -> None:
    text = "A library lends. Libraries are catalogued; a catalogue (printed) helps libraries.\nNobody reads it."
    sentence = "Libraries are catalogued; a catalogue (printed) helps libraries."
    assert marked(text, "cataloguing of a library") == [sentence, "Libraries", "catalogued", "catalogue", "libraries"]
    assert marked(text, "library") == ["A library lends.", "library"]
    assert marked(text, "weather") == []
    assert marked("", "library") == []


def test_a_rare_word_weighs_more_than_two_common_ones() -> None:
    rare, first, second = (words.of_query(word)[0] for word in ("E0382", "value", "moved"))
    text = "The value is moved. E0382 says so."
    found = highlights(text, Span(0, len(text)), {rare: 0.6, first: 0.2, second: 0.2})
    assert [text[one.start : one.end] for one in found] == ["E0382 says so.", "E0382"]


def test_words_are_whole_and_within_the_passage() -> None:
    text = "recompute compute, (compute) precompute. Then compute more."
    assert marked(text, "compute") == [text[:40], "compute", "compute"]
    assert marked(text, "compute", Span(41, len(text))) == ["Then compute more.", "compute"]
    assert marked(text, "compute", Span(2, 9)) == ["compute", "compute"]  # A passage ends where its last word does.


def test_words_are_found_in_what_has_no_white_space() -> None:
    text = f"https://example.org/{'a-' * 40}library?of=E0277 and {'x' * 70}"
    assert marked(text, "library E0277")[1:] == ["library", "E0277"]


def test_so_many_words_are_marked_at_most() -> None:
    assert len(marked("compute " * 100, "computing")) == 1 + WORDS_MAX


def test_the_best_passage_is_the_one_with_the_code_however_near_another_is_by_meaning() -> None:
    parts = ["Error codes are explained here. ", "QRT5512 is the broken fuse. ", "Nothing else. "]
    text = "".join(parts)
    spans = [Span(text.index(part), text.index(part) + len(part)) for part in parts]
    error, code = (words.of_query(word)[0] for word in ("error", "QRT5512"))
    sought = {error: 0.2, code: 4.0}
    assert best_passage(text, spans, [0.5, 0.3, 0.1], sought) == spans[1]
    assert best_passage(text, spans, [0.5, 0.3, 0.1], {}) == spans[0]
    assert best_passage(text, spans, [0.5], sought) == spans[1]  # Of which only the first has a vector.
