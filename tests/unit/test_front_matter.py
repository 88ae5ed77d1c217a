"""Front matter is YAML as others write it, or is refused with line and remedy; what is no front matter stays text."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from contracts.domains import Clearance
from contracts.knowledge import Knowledge
from deploy.folder_import import Import, read_folder
from deploy.front_matter import CHARS_MAX, DEPTH_MAX, FrontMatterError, front_matter, side_file

OBSIDIAN = """---
tags:
  - strategy
  - "two words"
aliases: [Plan B, "The: plan"]
cssclasses: wide
created: 2026-01-02
---
# Plan B

Grow.
"""
HUGO = """---
title: "Grow: the \\u20ac plan"
date: 2026-01-02T10:00:00+01:00
lastmod: 2026-02-03
draft: false
tags: ["a", 'b']
categories: [news]
params:
  author: {name: Ann}
expires: 2027-01-31 12:00:00 -5
---

Grow.
"""
HUGO_TOML = """+++
title = "Grow: the plan"
date = 2026-01-02T10:00:00+01:00
tags = ["a", "b"]
strategic_priority = 8
expires = 2027-01-31
[params]
author = "Ann"
+++

Grow.
"""
JEKYLL = """---
layout: post
title: >
  Grow, as
  it was said
date: 2026-01-02 10:00:00 +0100
tags: one, two words
updated: 2026-02-03
# a comment
confidentiality: restricted   # and why
...
Grow.
"""


def read(root: Path, files: dict[str, str | bytes]) -> Import:
    for name, text in files.items():
        (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_folder(root)


def only(found: Import) -> Knowledge:
    assert found.failures == ()
    (item,) = found.items
    return item.knowledge


def test_notes_of_obsidian(tmp_path: Path) -> None:
    found = read(tmp_path, {"b.md": OBSIDIAN, "c.md": OBSIDIAN.replace("cssclasses", "publish")})
    said = found.items[0].knowledge
    assert (said.title, said.tags, said.content) == ("Plan B", ("strategy", "two words"), "# Plan B\n\nGrow.")
    assert found.notes == ("front matter left out: aliases (2 files), created (2 files), cssclasses, publish",)


def test_pages_of_hugo(tmp_path: Path) -> None:
    said = only(read(tmp_path, {"a.md": HUGO}))
    assert (said.title, said.tags, said.content) == ("Grow: the € plan", ("a", "b"), "Grow.")
    assert said.expires == datetime(2027, 1, 31, 17, tzinfo=UTC)


def test_pages_of_hugo_in_toml(tmp_path: Path) -> None:
    said = only(read(tmp_path, {"a.md": HUGO_TOML}))
    assert (said.title, said.tags, said.content, said.strategic_priority) == ("Grow: the plan", ("a", "b"), "Grow.", 8)
    assert said.expires == datetime(2027, 1, 31, tzinfo=UTC)


def test_posts_of_jekyll(tmp_path: Path) -> None:
    said = only(read(tmp_path, {"a.md": JEKYLL}))
    assert (said.title, said.tags, said.content) == ("Grow, as it was said", ("one", "two words"), "Grow.")
    assert said.confidentiality is Clearance.RESTRICTED


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "BOM"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_however_lines_end(tmp_path: Path, end: str, mark: str) -> None:
    said = only(read(tmp_path, {"a.md": mark + "---\ntitle: T\ntags: [a]\n---\n\nOne.\n\nTwo.\n".replace("\n", end)}))
    assert (said.title, said.tags, said.content) == ("T", ("a",), "One.\n\nTwo.")


def test_what_yaml_would_make_of_a_word_is_the_word(tmp_path: Path) -> None:
    text = "---\ntitle: 2027-01-31\nsource: No\ntags: [2027, yes, ~, 1.50]\nexpires:\nCategory: risk_management\n---\nx"
    said = only(read(tmp_path, {"a.md": text}))
    assert (said.title, said.source, said.tags, said.expires) == ("2027-01-31", "No", ("2027", "yes", "1.50"), None)
    assert said.category == "risk_management"


@pytest.mark.parametrize(
    "text", ["---\n---\nText.", "---\n\n---\nText.", "---\ntitle:\n---\nText.", "---\n--- \nText."]
)
def test_front_matter_may_be_empty(tmp_path: Path, text: str) -> None:
    said = only(read(tmp_path, {"a.md": text}))
    assert (said.title, said.content) == ("a", "Text.")


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nA rule at the top, and no more.",
        "---\n\nWhat follows: nothing.\n\n---\n\nThe rest.",
        "---\nWords between two rules.\n---\nThe rest.",
        "---\n# A slide\n---\nThe rest.",
        "---\n- a list\n- of two\n---\nThe rest.",
        "----\ntitle: no\n----\nThe rest.",
        "\n---\ntitle: no\n---\nThe rest.",
        "---\n\n" + "Words.\n" * CHARS_MAX + "---\nThe rest.",
        "+++\nA diff begins so.\n+++\nThe rest.",
    ],
)
def test_a_rule_at_the_top_is_text(text: str) -> None:
    found = front_matter(text)
    assert (found.fields, found.body.strip()) == ({}, text.strip())


DEEP = "x: " + "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1)
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]"


@pytest.mark.parametrize(
    ("block", "line", "reason", "remedy"),
    [
        ("title: Plan: 2027", 2, "mapping values are not allowed here", "in quotes"),
        ("tags: [a", 2, "cannot be read as YAML", "in quotes"),
        ("x: 1\n\tkey: v", 3, "\\t", "by spaces"),
        ("x: 1\ntitle: @a", 3, "'@'", "in quotes"),
        ("title: a\ntitle: b", 3, "title stands twice", "keep one"),
        ("x: 1\nconfidentiality: secret", 3, "'secret'", "public, internal, confidential, restricted, top_secret"),
        ("category: gossip", 2, "'gossip'", "risk_management"),
        ("strategic_priority: 11", 2, "'11'", "from 1 to 10"),
        ("confidentialty: restricted", 2, "'confidentialty'", "confidentiality"),
        ("expire: 2027-01-31", 2, "'expire'", "expires"),
        ("expires: soon", 2, "'soon'", "2027-01-31"),
        ("expires: 2027-13-45", 2, "'2027-13-45'", "2027-01-31"),
        ("title: [a, b]", 2, "title", "one value"),
        ("title: {{title}}", 2, "title", "one value"),
        ("source: {a: b}", 2, "source", "one value"),
        ("tags: {a: b}", 2, "tags", "list"),
        ("tags: [[a]]", 2, "tags", "list"),
        (f"tags: [{'x' * 61}]", 2, "tags", "60 characters"),
        (BOMB, 3, "*a", "write out"),
        ("{title: a, confidentiality: secret}", 2, "'secret'", "restricted"),
        (DEEP, 2, "deeper", str(DEPTH_MAX)),
        ("x: 1\ntitle: !!python/object:os.system a", 3, "python/object", "leave the tag out"),
        ("x: 1\ntitle: a\x07b", 3, "'\\x07'", "delete it"),
        ("title: a\n" + "x" * CHARS_MAX, 1, "more than", f"{CHARS_MAX:,}"),
    ],
)
def test_bad_front_matter_is_refused_by_line_and_remedy(
    tmp_path: Path, block: str, line: int, reason: str, remedy: str
) -> None:
    found = read(tmp_path, {"bad.md": f"---\n{block}\n---\nText.", "good.md": "Fine."})
    assert [item.key for item in found.items] == ["good.md"]
    (failure,) = found.failures
    assert (failure.path, failure.line) == ("bad.md", line)
    assert reason in failure.reason
    assert remedy in failure.reason


@pytest.mark.parametrize("text", ["---\ntitle: x\nno end", "---\nconfidentiality: restricted\n\nText.\n"])
def test_front_matter_that_is_not_closed_is_no_text(text: str) -> None:
    with pytest.raises(
        FrontMatterError, match="a line --- after it, or, if it is a rule, an empty line above"
    ) as refused:
        front_matter(text)
    assert refused.value.line == 1


@pytest.mark.parametrize(
    ("block", "line", "reason"),
    [
        ("title = ", 2, "as TOML"),
        ("x = 1\ntitle = {a = 1}", 3, "one value"),
        ('title = "a"\nconfidentiality = "secret"', 3, "'secret'"),
        ('title = "a"\ntitle = "b"', 3, "as TOML"),
        ("x = " + "[" * 20_000, 1, "too deep"),
        ('confidentialty = "restricted"', 2, "confidentiality"),
    ],
)
def test_bad_toml_is_refused_likewise(block: str, line: int, reason: str) -> None:
    with pytest.raises(FrontMatterError, match=reason) as refused:
        front_matter(f"+++\n{block}\n+++\nText.")
    assert refused.value.line == line


def test_a_bad_side_file_is_named_and_its_file_is_not_taken_to_be_gone(tmp_path: Path) -> None:
    found = read(tmp_path, {"t.csv": "a,b\n1,2\n", "t.csv.meta": "title: T\nconfidentiality: secret\n"})
    (failure,) = found.failures
    assert failure.path == "t.csv"
    assert failure.reason.startswith("t.csv.meta, line 2: confidentiality 'secret'")


@pytest.mark.parametrize(("text", "line"), [("just words", 1), ("- a\n- b", 1), ("title: a\n\tb", 2)])
def test_a_side_file_holds_fields_or_nothing(text: str, line: int) -> None:
    with pytest.raises(FrontMatterError) as refused:
        side_file(text)
    assert refused.value.line == line
    assert side_file("# nothing\n").fields == {}


def test_a_line_of_jsonl_with_a_misspelt_guard_is_refused(tmp_path: Path) -> None:
    found = read(tmp_path, {"d.jsonl": '{"text": "a", "confidentialty": "restricted"}\n{"text": "b", "author": "x"}'})
    assert [(one.line, "confidentiality" in one.reason) for one in found.failures] == [(1, True)]
    assert [item.key for item in found.items] == ["d.jsonl#2"]


@given(st.text(max_size=200))
def test_any_text_has_front_matter_or_a_reason(text: str) -> None:
    try:
        found = front_matter(f"---\n{text}\n---\nbody")
    except FrontMatterError as refused:
        lines = refused.line
    else:
        lines = 1
        assert found.body.endswith("body")
    assert 1 <= lines <= 3 + text.count("\n") + text.count("\r")


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn")), min_size=1, max_size=40
).filter(lambda text: text.strip())


@given(WORDS, st.lists(WORDS, max_size=4), st.sampled_from([None, "'", '"', "|", ">"]))
def test_what_a_yaml_library_wrote_comes_back(title: str, tags: list[str], style: str | None) -> None:
    block = yaml.safe_dump({"title": title, "tags": tags}, default_style=style, allow_unicode=True)
    found = front_matter(f"---\n{block}---\nbody")
    assert found.fields["title"] == " ".join(title.split())
    assert found.fields["tags"] == tuple(tag.strip() for tag in tags)
    assert found.body == "body"


FIELDS = "partition: research_data\nfields: {url: here, published_year: %s}"


def test_fields_of_the_partition_are_taken_or_refused_by_name(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.md": f"---\n{FIELDS % 1999}\n---\nGrow.",
        "b.md": f"---\n{FIELDS % 'new'}\n---\nGrow.",
        "c.jsonl": '{"text": "Grow.", "partition": "research_data", "fields": {"published_year": 2001}}',
        "d.md": "---\nfields: [1]\n---\nGrow.",
    }
    found = read(tmp_path, files)
    assert [one.knowledge.fields for one in found.items] == [
        {"url": "here", "published_year": 1999},
        {"published_year": 2001},
    ]
    assert [one.path for one in found.failures] == ["b.md", "d.md"]
    assert "research_data has url, published_year" in found.failures[0].reason
    assert "it is what items of its partition say besides, by name" in found.failures[1].reason
