"""Folders become knowledge: each file by its own words, each failure by its reason; and the demo company agrees with itself."""

import hashlib
from pathlib import Path

import pytest

from actors.artemis.tools.source_tree import read_archive
from actors.artemis.tools.system_monitoring import monitor
from actors.sophia.tools.client_analysis import analyse_clients
from actors.tables import read_table
from contracts.domains import Clearance
from contracts.model import Evidence
from deploy.demo import customers
from deploy.folder_import import read_folder, read_path
from deploy.items import CSV, ZIP, Defaults
from runtime.errors import InvalidError

DEMO = Path(customers.__file__).parent / "company"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_markdown_with_and_without_front_matter(tmp_path: Path) -> None:
    full = (
        "---\ntitle: 'Plan: 2027'\ncategory: strategic_planning\nconfidentiality: top_secret\nstrategic_priority: 9\n"
        "partition: shared_knowledge\ntags: one, two words\nexpires: 2027-01-01\n---\n\nGrow.\n"
    )
    found = read_folder(write(tmp_path, {"a.md": full, "b/bare.md": "# A heading\n\nText.", "c.txt": "Just text."}))
    assert found.failures == ()
    plan, bare, text = (item.knowledge for item in found.items)
    assert (plan.title, plan.content, plan.category, plan.tags) == (
        "Plan: 2027",
        "Grow.",
        "strategic_planning",
        ("one", "two words"),
    )
    assert (plan.confidentiality, plan.strategic_priority, plan.partition) == (
        Clearance.TOP_SECRET,
        9,
        "shared_knowledge",
    )
    assert plan.expires is not None
    assert plan.expires.isoformat() == "2027-01-01T00:00:00+00:00"
    assert (bare.title, bare.confidentiality, bare.source) == ("A heading", Clearance.INTERNAL, "b/bare.md")
    assert text.title == "c"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("---\nconfidentiality: secret\n---\nx", "secret"),
    ],
)
def test_a_wrong_file_is_named_and_the_rest_is_read(tmp_path: Path, text: str, reason: str) -> None:
    found = read_folder(write(tmp_path, {"bad.md": text, "good.md": "Fine."}))
    assert [item.key for item in found.items] == ["good.md"]
    assert [failure.path for failure in found.failures] == ["bad.md"]
    assert reason in found.failures[0].reason


def test_notes_without_text_are_left_out_and_told(tmp_path: Path) -> None:
    """Vaults are full of them: they are no failures."""
    files = {"a.md": "", "b.txt": " \n\n", "c.md": "---\ntitle: Only front matter\n---\n", "d.md": "Text."}
    found = read_folder(write(tmp_path, files))
    assert [item.key for item in found.items] == ["d.md"]
    assert (found.failures, found.notes) == ((), ("without text, left out: a.md, b.txt, c.md",))
    alone = read_path(tmp_path / "c.md", Defaults())
    assert [(one.path, one.reason) for one in alone.failures] == [("c.md", "the file holds no text")]


def test_jsonl_is_read_line_by_line(tmp_path: Path) -> None:
    lines = [
        '{"id": 7, "title": "T", "text": "Body", "author": "x"}',
        "{oops",
        '{"title": "no text"}',
        '{"text": "Only text", "confidentiality": "public"}',
        '{"id": 7, "text": "again"}',
    ]
    found = read_folder(write(tmp_path, {"d.jsonl": "\n".join(lines)}), Defaults(confidentiality=Clearance.RESTRICTED))
    assert [item.key for item in found.items] == ["d.jsonl#7", "d.jsonl#4"]
    assert [item.knowledge.confidentiality for item in found.items] == [Clearance.RESTRICTED, Clearance.PUBLIC]
    assert [failure.line for failure in found.failures] == [2, 3, 5]
    assert found.notes == ("d.jsonl: fields left out: author",)


def test_a_table_is_described_and_attached(tmp_path: Path) -> None:
    files = {
        "t.csv": "name,kind,n\na,x,1\nb,x,2\nc,y,3\nd,y,9\n",
        "t.csv.meta": "title: The table\nconfidentiality: restricted\n",
    }
    found = read_folder(write(tmp_path, files))
    (item,) = found.items
    assert item.knowledge.title == "The table"
    assert item.knowledge.confidentiality is Clearance.RESTRICTED
    assert "4 rows and 3 columns" in item.knowledge.content
    assert "Column n: numbers from 1 to 9, median 2.50." in item.knowledge.content
    assert item.content == files["t.csv"].encode()
    held = item.knowledge.attachment
    assert held is not None
    assert (held.media_type, held.name, held.size_bytes) == (CSV, "t.csv", len(files["t.csv"]))
    assert held.digest == hashlib.sha256(item.content).hexdigest()


def test_of_a_table_is_told_what_was_padded_or_cut(tmp_path: Path) -> None:
    (item,) = read_folder(write(tmp_path, {"t.csv": "a,b\n1\n2,3,4\n5,6\n"})).items
    assert (
        "with 3 rows and 2 columns.\nRows with fewer or more cells than columns, which were padded or cut: 2."
        in item.knowledge.content
    )


def test_a_source_folder_becomes_one_archive_the_same_every_time(tmp_path: Path) -> None:
    files = {
        "app/pyproject.toml": "[project]\n",
        "app/app/main.py": "x = 1\n",
        "app/app/secret.py": "y = 2\n",
        "app/.env": "KEY=1\n",
        "app/.gitignore": "secret.py\n*.log\n",
        "app/node_modules/z.js": "1",
        "app/notes.md": "# Notes",
    }
    root = write(tmp_path, files)
    first, again = read_folder(root), read_folder(root)
    (item,) = first.items
    assert item.knowledge.attachment is not None
    assert item.knowledge.attachment.media_type == ZIP
    assert item.knowledge.partition == "code_knowledge"
    assert item.content == again.items[0].content
    assert item.content is not None
    assert [file.path for file in read_archive(item.content).files] == ["app/main.py", "notes.md", "pyproject.toml"]


def test_unknown_kinds_and_ignored_names_are_not_read(tmp_path: Path) -> None:
    found = read_folder(write(tmp_path, {"a.png": "", ".hidden.md": "x", "b.md": "x", ".importignore": "# no\nb.*\n"}))
    assert (found.items, found.failures, found.skipped) == ((), (), ("a.png",))
    with pytest.raises(InvalidError, match="not a folder"):
        read_folder(tmp_path / "a.png")


def test_the_demo_company_is_whole() -> None:
    found = read_folder(DEMO)
    assert found.failures == ()
    assert (DEMO / "question.txt").read_text().strip().endswith("?")
    held = [item.knowledge for item in found.items]
    assert {one.confidentiality for one in held} == set(Clearance)
    assert len({one.category for one in held}) == 10
    assert (DEMO / "customers.csv").read_text() == customers.table()


def test_the_demo_companys_figures_agree_with_its_table() -> None:
    table = read_table((DEMO / "customers.csv").read_bytes())
    text = " ".join(
        " ".join(item.knowledge.content.split()) for item in read_folder(DEMO).items if item.content is None
    )
    result = analyse_clients(table, "small-business customers")
    assert (result.rows, result.churned) == (400, 90)
    counts = {one.name: (one.customers, one.churned) for one in result.rates}
    assert counts["segment = small_business"] == (208, 69)
    assert all(f"{counts[f'segment = {name}'][0]} {word}" in text for name, word in SEGMENT_WORDS.items())
    assert "small-business churn must fall from 33.17 %" in text
    assert "Of the 69 small businesses that left, 31 switched" in text
    assert result.revenue is not None
    assert f"{result.revenue.total:,.2f} EUR over all 400 customers" in text
    assert f"{result.revenue.churned:,.2f} EUR of monthly charges" in text
    assert f"{result.revenue.churned / result.revenue.total:.2%}".replace("%", " %") in text
    assert any("51.52 % of customers with support_tickets over 2 left (34 of 66," in line for line in result.findings)
    assert "34 of 66 left (51.52 %)" in text
    columns = [
        table.named(name) for name in ("segment", "contract", "churned", "monthly_charge_eur", "support_tickets")
    ]
    segment, contract, churned, charge, tickets = (column for column in columns if column)
    small = [row for row in range(400) if segment.cells[row] == "small_business"]
    stay = [row for row in small if contract.cells[row] == "month_to_month" and churned.cells[row] == "no"]
    assert f"The {len(stay)} small businesses that are still here" in text
    assert f"pay {sum(charge.numbers[row] or 0 for row in stay):,.2f} EUR a month" in text
    lost = sum(charge.numbers[row] or 0 for row in small if churned.cells[row] == "yes")
    assert f"Small businesses account for {lost:,.2f} EUR" in text
    assert f"handled {sum(value or 0 for value in tickets.numbers):.0f} tickets" in text
    assert f"of which {sum(tickets.numbers[row] or 0 for row in small):.0f} (64.17 %)" in text
    assert 182 + 119 + 91 + 63 == 455
    assert "455 small-business tickets cost 8,190 EUR" in text


SEGMENT_WORDS = {
    "small_business": "small businesses",
    "mid_market": "mid-market",
    "public_sector": "public bodies",
    "enterprise": "enterprises",
}


def test_the_demo_companys_incidents_add_up() -> None:
    notes = [
        Evidence(
            id=item.key, title=item.knowledge.title, text=item.knowledge.content, label=Clearance.INTERNAL, score=1
        )
        for item in read_folder(DEMO).items
        if item.key.startswith("incidents/")
    ]
    result = monitor(notes, None)
    assert len(result.incidents) == 5
    assert all(f"{one.minutes:.0f} minutes" in note.text for one, note in zip(result.incidents, notes, strict=True))
    assert next(one.minutes for one in result.by_service if one.name == "ledgerline-billing") == 225
