"""HTML and PDF become text: what a reader sees and nothing else; what cannot be read says why, and harms nobody."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.careful_reading import CarefulReader
from adapters.documents import Kind, html_document, parts, pdf_document, read_document
from deploy.folder_import import read_folder
from deploy.items import PART, PART_CHARS_MAX
from runtime.errors import OutcomeError
from tests.pdfs import pdf

PAGE = """<!doctype html><html><head><title> The   plan </title><style>p { color: red }</style>
<script>document.write("from a script")</script></head><body><!-- a comment -->
<h1>Growth</h1><p>We grow by <b>four</b>&nbsp;per cent,<br>every year.</p>
<div hidden>not seen: hidden</div><p style="color:red; DISPLAY : none">not seen: styled away</p>
<span aria-hidden="true">not seen: for no reader</span><div style="display:none"><p>not seen: nested</p></div>
<template><p>not seen: template</p></template><noscript>not seen: noscript</noscript>
<ul><li>One</li><li>Two</li></ul>
<table><tr><th>Year</th><th>Sales</th></tr><tr><td>2026</td><td>12 %</td></tr></table>
<pre>a
  b</pre>text behind</body></html>"""


def test_html_is_what_a_reader_sees() -> None:
    document = html_document(PAGE.encode())
    assert document.title == "The plan"
    assert document.text == (
        "# Growth\n\nWe grow by four per cent, every year.\n\n- One\n- Two\n\nYear | Sales\n2026 | 12 %\n\na\n  b\n\ntext behind"
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("<meta charset=latin-1><p>größe".encode("latin-1"), "größe"),
        ("<p>größe".encode("utf-16"), "größe"),
        (b"\xef\xbb\xbf<p>gr\xc3\xb6\xc3\x9fe", "größe"),
        ("<meta charset=utf-8><p>größe".encode("latin-1"), "größe"),
        (b"plain words", "plain words"),
        (b"<p>a<p>b<div>c</p>d", "a\n\nb\n\nc\n\nd"),
        (b"<svg><text>no</text></svg><h2>Yes", "## Yes"),
    ],
)
def test_html_in_any_encoding_and_form(data: bytes, text: str) -> None:
    assert html_document(data).text == text


def test_the_title_is_the_first_heading_where_the_page_has_none() -> None:
    assert html_document(b"<h1>A  heading</h1><p>x").title == "A heading"
    assert html_document(b"<p>x").title == ""


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet="<>/apdivh1\"'=!- styleidn:one&;", max_size=300).map(str.encode))
def test_any_bytes_are_html_or_have_a_reason(data: bytes) -> None:
    with suppress(OutcomeError):  # Whatever else it raises ends the test.
        document = read_document("html", data)
        assert document.text == document.text.strip() != ""


def test_the_text_of_a_pdf_is_that_of_its_pages_in_order() -> None:
    document = pdf_document(pdf(["First page,\nwith two lines.", "", "Third."], title="The report"))
    assert document.title == "The report"
    assert document.text == "First page,\nwith two lines.\n\nThird."
    for name in ("Microsoft Word - report_final.docx", "untitled", "plan 2027.pdf"):
        assert pdf_document(pdf(["x"], title=name)).title == ""


def test_words_that_a_line_broke_are_whole_again() -> None:
    assert pdf_document(pdf(["the cus-\ntomers of Anglo-\nAmerican"])).text == "the customers of Anglo-\nAmerican"


WHOLE = pdf(["Some text on a page."])


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        ("pdf", pdf(["secret"], password="word"), "encrypted"),
        ("pdf", b"%PDF-1.7\nbroken", "cannot be read"),
        ("pdf", b"", "cannot be read"),
        ("pdf", WHOLE[: len(WHOLE) // 3], "cannot be read"),
        ("pdf", pdf([""]), "holds no text; if it is scanned"),
        ("html", b"<html><script>only()</script>", "holds no text"),
        ("html", b"\x7fELF\0\0\0\0", "not HTML but binary"),
        ("html", b"", "holds no text"),
    ],
)
def test_what_cannot_be_read_says_why(kind: Kind, data: bytes, reason: str) -> None:
    with pytest.raises(OutcomeError, match=reason):
        read_document(kind, data)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=8))
def test_a_damaged_pdf_is_read_or_has_a_reason(at: int, damage: bytes) -> None:
    with suppress(OutcomeError):
        assert read_document("pdf", WHOLE[:at] + damage + WHOLE[at + len(damage) :]).text


def test_a_document_that_takes_too_long_or_too_much_is_given_up_and_the_next_one_is_read() -> None:
    endless = b"<div>" * 1_900_000  # takes the parser far longer
    with CarefulReader(document_s_max=0.5) as reader:
        assert reader.read("pdf", WHOLE).text == "Some text on a page."
        first = reader._process
        with pytest.raises(OutcomeError, match=r"longer than 0\.5 s"):
            reader.read("html", endless)
        assert reader.read("html", b"<p>fine").text == "fine"
        assert first is not None
        assert first.returncode is not None
        assert reader._process is not first
        assert reader._process is not None
        reader._process.kill()
        reader._process.wait()
        with pytest.raises(OutcomeError, match="ended the process"):
            reader.read("pdf", WHOLE)
        assert reader.read("pdf", WHOLE).text == "Some text on a page."


@given(st.text(alphabet="ab .\n", max_size=400), st.integers(10, 60))
def test_parts_hold_everything_and_none_is_too_long(text: str, chars_max: int) -> None:
    found = parts(text, chars_max)
    assert all(1 <= len(one) <= chars_max for one in found)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert len(found) <= 1 + len(text) // (chars_max // 2)


def test_a_part_ends_where_a_paragraph_does() -> None:
    assert parts("one two\n\nthree four\n\nfive", 21) == ["one two\n\nthree four", "five"]
    assert parts("One two three. Four five six.", 18) == ["One two three.", "Four five six."]
    assert parts("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


def test_a_folder_of_everything_is_read_and_each_bad_file_is_named(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "page.html").write_text(PAGE)
    (deep / "report.PDF").write_bytes(pdf(["Sales rose."], title="Report"))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (tmp_path / "locked.pdf").write_bytes(pdf(["x"], password="p"))
    (tmp_path / "latin.md").write_bytes("größe".encode("latin-1"))
    (tmp_path / "wide.txt").write_bytes("größe".encode("utf-16"))
    (tmp_path / "program.txt").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "long.md").write_text(
        "# Long\n\n" + "\n\n".join(f"Paragraph {n}. " + "word " * 200 for n in range(250))
    )
    (tmp_path / "link.md").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "report.html.meta").write_text("confidentiality: restricted\n")
    (tmp_path / "report.html").write_text("<p>Costs fell.")
    found = read_folder(tmp_path)
    long = [item for item in found.items if item.key.startswith("long.md")]
    assert [item.key for item in long] == ["long.md", f"long.md{PART}2", f"long.md{PART}3"]
    assert [item.knowledge.title for item in long] == [f"Long (part {number} of 3)" for number in (1, 2, 3)]
    assert all(len(item.knowledge.content) <= PART_CHARS_MAX for item in long)
    assert all(item.knowledge.content.startswith(("# Long", "Paragraph")) for item in long)
    others = {item.key: item.knowledge for item in found.items if item not in long}
    assert list(others) == ["a/b/c/page.html", "a/b/c/report.PDF", "report.html", "wide.txt"]
    assert (others["a/b/c/report.PDF"].title, others["a/b/c/report.PDF"].source) == ("Report", "a/b/c/report.PDF")
    assert others["report.html"].title == "report"
    assert others["report.html"].confidentiality.value == "restricted"
    reasons = {failure.path: failure.reason for failure in found.failures}
    assert list(reasons) == ["broken.pdf", "latin.md", "locked.pdf", "program.txt"]
    assert "encrypted" in reasons["locked.pdf"]
    assert found.notes == ("symbolic links are not followed: link.md, loop",)


def test_names_and_depths_that_cannot_be_are_named(tmp_path: Path) -> None:
    (tmp_path / "ok.md").write_text("Fine.")
    (tmp_path / "half\udcff.md").write_text("A name that is no text.")
    deep = tmp_path
    for _ in range(70):
        deep /= "d"
    deep.mkdir(parents=True)
    (deep / "too-deep.md").write_text("x")
    found = read_folder(tmp_path)
    assert [item.key for item in found.items] == ["ok.md"]
    assert len(found.failures) == 2
    assert "deeper than 64 folders" in found.failures[0].reason
    assert found.failures[1].path == "half\\udcff.md"
