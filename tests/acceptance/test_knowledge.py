"""The knowledge base from the command line against a whole stack: items, versions, the summary, imports that follow a folder."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.pdfs import pdf
from tests.stack import ROOT, Stack

JSON = dict[str, Any]


def diarchy(stack: Stack, *words: str, status: int = 0) -> str:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "deploy", *words, "--data", str(stack.folder)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        start_new_session=True,  # without a terminal
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stdout + done.stderr


def told(stack: Stack, *words: str, status: int = 0) -> JSON:
    shown = diarchy(stack, *words, "--json", status=status)
    found: JSON = json.JSONDecoder().raw_decode(shown)[0]
    return found


def test_an_item_from_its_first_word_to_its_end(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "plan.md"
    file.write_text("---\ncategory: technology_roadmap\n---\n# Pontoon\n\nWe should buy a pontoon.\n")
    item = told(stack, "knowledge", "add", str(file), "--priority", "9", "--confidentiality", "restricted")["id"]
    changed = told(stack, "knowledge", "update", item, "--title", "Two pontoons", "--tags", "harbour,plan")
    assert changed["knowledge"]["content"] == "# Pontoon\n\nWe should buy a pontoon."
    assert (changed["knowledge"]["strategic_priority"], changed["knowledge"]["tags"]) == (9, ["harbour", "plan"])
    summary = told(stack, "knowledge", "summary", "--domain", "technical", "--horizon", "week")
    assert [item] in [one["items"] for one in summary["key_insights"]]
    while (again := told(stack, "knowledge", "summary", "--domain", "technical", "--horizon", "week")) != summary:
        summary = again  # Reactions to the changes are still being recorded: then it is made anew.
    with stack.client() as client:
        assert 'diarchy_cache_lookups_total{outcome="l1",role="gateway",space="summary"}' in client.get("/metrics").text
    assert "We should buy a pontoon." in diarchy(stack, "knowledge", "summary", "--domain", "technical")
    file.write_text("---\ntags: [harbour]\ndate: 2027-01-31\n---\nWe have three pontoons.\n")
    changed = told(stack, "knowledge", "update", item, "--file", str(file), "--title", "Pontoons")["knowledge"]
    assert (changed["title"], changed["content"], changed["tags"]) == (
        "Pontoons",
        "We have three pontoons.",
        ["harbour"],
    )
    assert changed["category"] == "technology_roadmap"
    told(stack, "knowledge", "update", item, "--field", "owner=Harbour master", "--field", "quarter=2027-Q1")
    assert "owner           Harbour master" in diarchy(stack, "knowledge", "show", item)
    assert "has owner, quarter" in diarchy(stack, "knowledge", "update", item, "--field", "client=x", status=1)
    found = told(stack, "knowledge", "search", "how many pontoons", "--field", "quarter=2027-Q1")["hits"]
    assert [one["id"] for one in found] == [item]
    assert diarchy(stack, "knowledge", "search", "how many pontoons", "--field", "quarter=2027-Q2") == "nothing\n"
    found = told(stack, "knowledge", "search", "how many pontoons", "--tags", "harbour", "--limit", "1")["hits"]
    assert [(one["id"], one["knowledge"]["title"]) for one in found] == [(item, "Pontoons")]
    assert "    We have three pontoons.\n" in diarchy(stack, "knowledge", "search", "how many pontoons")
    assert (
        diarchy(stack, "knowledge", "search", "pontoons", "--confidentiality-max", "internal", "--tags", "harbour")
        == "nothing\n"
    )
    listed = told(stack, "knowledge", "list", "--category", "technology_roadmap", "--priority-min", "9")
    assert item in [one["id"] for one in listed["items"]]
    assert "Pontoons\n" in diarchy(stack, "knowledge", "list")
    lowered = told(stack, "knowledge", "declassify", item, "internal", "--reason", "they float")
    assert lowered["knowledge"]["confidentiality"] == "internal"
    diarchy(stack, "knowledge", "delete", item, "--yes")
    assert "404" in diarchy(stack, "knowledge", "show", item, status=1)
    first = told(stack, "knowledge", "show", item, "--version", "1")
    assert (first["knowledge"]["title"], first["label"]) == ("Pontoon", "restricted")
    listed = told(stack, "knowledge", "versions", item)
    assert ([one["number"] for one in listed["versions"]], listed["ended"]) == ([5, 4, 3, 2, 1], "deleted")


def test_a_folder_of_every_kind_is_followed(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.md").write_text("# Ferry\n\nThe ferry sails at noon.")
    (tmp_path / "b.txt").write_text("The crane lifts forty tonnes.")
    (tmp_path / "inner" / "c.html").write_text(
        "<title>Quay</title><p>The quay is 300 metres long.</p><script>x()</script>"
    )
    (tmp_path / "inner" / "d.pdf").write_bytes(pdf(["The pilot boards at the buoy."], title="Pilotage"))
    (tmp_path / "e.csv").write_text("ship,tonnes\na,10\nb,20\n")
    (tmp_path / "f.jsonl").write_text(
        '{"id": 1, "text": "Low tide is at six."}\n{"id": 2, "text": "High tide is at noon."}'
    )
    (tmp_path / "locked.pdf").write_bytes(pdf(["x"], password="p"))
    first = told(stack, "import", str(tmp_path), status=1)
    assert (first["new"], first["failed"], first["documents"]) == (7, 1, 7)
    assert [one["path"] for one in first["failures"]] == ["locked.pdf"]
    assert first["searchable_after_seconds"] is None or first["searchable_after_seconds"] > 0
    with stack.client() as client:
        asked = {"query": "Where does the pilot board?", "limit": 20}
        hits = client.post("/v1/knowledge/search", json=asked).json()["hits"]
        best = max(hits, key=lambda hit: hit["score"])
        assert (best["knowledge"]["title"], best["knowledge"]["source"]) == ("Pilotage", "inner/d.pdf")
    (tmp_path / "locked.pdf").unlink()
    again = told(stack, "import", str(tmp_path))
    assert (again["new"], again["changed"], again["unchanged"], again["documents"]) == (0, 0, 7, 0)
    (tmp_path / "a.md").write_text("# Ferry\n\nThe ferry sails at one.")
    (tmp_path / "b.txt").unlink()
    changed = told(stack, "import", str(tmp_path))
    assert (changed["changed"], changed["unchanged"], changed["gone"]) == (1, 6 - 1, 1)
    assert "nothing was deleted: there is no terminal to ask at" in diarchy(
        stack, "import", str(tmp_path), "--prune", status=1
    )
    pruned = told(stack, "import", str(tmp_path), "--prune", "--yes")
    assert (pruned["unchanged"], pruned["deleted"], pruned["gone"]) == (6, 1, 0)
    assert "nothing" not in diarchy(stack, "import", str(tmp_path))


ITEMS = 250


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_import_that_is_stopped_goes_on_without_loss_or_doubles(
    stack: Stack, tmp_path: Path, how: signal.Signals, status: int
) -> None:
    file, collection = tmp_path / "lines.jsonl", f"stopped by {how.name}"
    file.write_text("".join(f'{{"id": {number}, "text": "Buoy {number} is lit."}}\n' for number in range(ITEMS)))
    words = ["import", str(file), "--as", collection, "--concurrency", "2", "--data", str(stack.folder)]
    with stack.client("admin") as client:
        importing = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "deploy", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        while not imported(client, collection):
            assert importing.poll() is None
        importing.send_signal(how)
        _, said = importing.communicate(timeout=60)
        assert importing.returncode == status
        assert ("the same command goes on" in said) == (how is signal.SIGINT)
        assert len(imported(client, collection)) < ITEMS
        rest = told(stack, "import", str(file), "--as", collection)
        assert rest["new"] + rest["unchanged"] == ITEMS
        assert rest["new"] < ITEMS
        assert imported(client, collection) == {f"lines.jsonl#{number}": 1 for number in range(ITEMS)}
        asked: JSON = {"type": "knowledge.added.v1", "limit": 200}
        texts: list[str] = []
        while asked.get("after", "") is not None:
            page = client.get("/v1/events", params=asked).json()
            texts += [one["body"]["imported"]["key"] for one in page["events"] if made_by(one, collection)]
            asked["after"] = page["next"]
        assert len(texts) == len(set(texts)) == ITEMS


def made_by(event: JSON, collection: str) -> bool:
    imported_ = event["body"].get("imported")
    return imported_ is not None and imported_["collection"] == collection


def imported(client: httpx.Client, collection: str) -> dict[str, int]:
    """How many items each place of the collection has."""
    found: dict[str, int] = {}
    asked: JSON = {"collection": collection, "limit": 200}
    while asked.get("after", "") is not None:
        page = client.get("/v1/knowledge/imports", params=asked).json()
        for one in page["items"]:
            found[one["key"]] = found.get(one["key"], 0) + 1
        asked["after"] = page["next"]
    return found


def test_an_agent_answers_from_the_middle_of_a_long_document_and_by_a_code(stack: Stack) -> None:
    steps = "\n\n".join(
        f"Step {n}: check valve {n} of the boiler and note the pressure in the book." for n in range(80)
    )
    middle = "If the boiler pressure exceeds nine bar, call the fire brigade at once."
    half = steps.index("Step 40")
    said = {"category": "operational_metrics", "confidentiality": "internal"}
    manual = {**said, "title": "Manual", "content": f"{steps[:half]}{middle}\n\n{steps[half:]}"}
    codes = {**said, "title": "Odds and ends", "content": "Of the lamps in the hall QRT5512 is the broken one."}
    with stack.client() as client:
        for item in (manual, codes):
            made = client.post("/v1/knowledge", json=item)
            assert made.status_code == 201, made.text
            body = {"query": item["content"][-60:], "limit": 50}
            while made.json()["id"] not in [
                hit["id"] for hit in client.post("/v1/knowledge/search", json=body).json()["hits"]
            ]:
                pass  # Each asks the index anew.
        for question, answer in (
            ("Whom do I call if the boiler pressure exceeds nine bar?", "call the fire brigade"),
            ("QRT5512?", "QRT5512 is the broken one"),
        ):
            told = client.post("/v1/sophia/ask", json={"question": question}, headers={"Prefer": "wait=60"}).json()
            assert answer in told["answer"]["content"], told
            assert any(answer in one["text"] for one in told["answer"]["evidence"])
