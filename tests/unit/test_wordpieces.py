"""WordPieces gives what the model's own tokenizer gives, whatever the text."""

import string
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from adapters import wordpieces
from adapters.minilm import TOKENS_MAX, package_folder
from adapters.wordpieces import CHARS_MAX, WordPieces

FILE = package_folder() / "tokenizer.json"


@cache
def pieces() -> WordPieces:
    return WordPieces(FILE, TOKENS_MAX)


@cache
def reference() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(FILE))
    tokenizer.enable_truncation(TOKENS_MAX)
    tokenizer.no_padding()
    return tokenizer


def same(text: str) -> bool:
    return bool(pieces().of(text) == reference().encode(text).ids)


WORDS = st.sampled_from(
    ["the", "Deployment", "unaffable", "2.15.0", "e-mail", "don't", "x" * 120, "[CLS]", "[", "naïve", "漢字"]
)


@settings(deadline=None)
@given(st.lists(st.one_of(WORDS, st.text(string.printable, max_size=12), st.text(max_size=6)), max_size=30))
def test_any_text_has_the_tokenizers_tokens(parts: list[str]) -> None:
    assert same(" ".join(parts))
    assert same("".join(parts))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "word " * 400,
        "!" * 400,
        "a" * CHARS_MAX,
        "ab " * CHARS_MAX,
        "x" * 99 + " " + "y" * 101,
        "unaffable " * (TOKENS_MAX // 3),
    ],
)
def test_edges(text: str) -> None:
    assert same(text)
    assert same(text)  # out of what is remembered, too


def test_every_character_of_latin_1_parts_words_as_the_tokenizer_says() -> None:
    assert [number for number in range(256) if not same(f"a{chr(number)}b {chr(number)}")] == []


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wordpieces, "WORDS_MAX", 10)
    some = WordPieces(FILE, TOKENS_MAX)
    for number in range(50):
        text = f"word{number} {'long' * 20}{number}"
        assert some.of(text) == reference().encode(text).ids
        assert len(some._words) <= 10
