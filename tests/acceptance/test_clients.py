"""Clients: a table and facts imported as people do it, asked over HTTP; the answer's figures are those of another computation."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from contracts.domains import Clearance
from tests.stack import ROOT, Stack, ok
from tests.unit.test_churn_notebook import TABLE, Rate, groups, sentence

PATIENT = {"Prefer": "wait=100"}
QUESTION = "Which customers are most at risk and why?"


def diarchy(stack: Stack, *words: str) -> str:
    command = [sys.executable, "-m", "deploy", *words, "--data", str(stack.folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout  # noqa: S603 - ours


@pytest.fixture(scope="module")
def told(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The answer once the table is imported."""
    assert TABLE.exists(), f"the real data is missing: {TABLE} (set DIARCHY_TEST_DATA)"
    diarchy(stack, "import", str(TABLE), "--as", f"clients-{tmp_path_factory.getbasetemp().name}")
    with stack.client() as client:
        question = {"question": QUESTION, "team": "client_analysis", "collaborate": False}
        answer = ok(client.post("/v1/sophia/ask", json=question, headers=PATIENT))["answer"]
    assert "Table telco customer churn" in [one["title"] for one in answer["evidence"]]
    return str(answer["content"])


def test_the_answer_holds_the_figures_of_the_table(told: str) -> None:
    with TABLE.open(newline="") as file:
        counted = groups(list(csv.DictReader(file)))
    for name in ("Contract = Month-to-month", "tenure up to 12", "PaymentMethod = Electronic check"):
        rate = counted[name]
        assert sentence(name, rate, Rate(7043 - rate.customers, 1869 - rate.left)) in told


def test_the_answer_names_the_customers_most_at_risk_and_why(told: str) -> None:
    with TABLE.open(newline="") as file:
        here = {row["customerID"]: row for row in csv.DictReader(file) if row["Churn"] == "No"}
    named = told.partition("The customers most at risk of leaving are ")[2].partition(").")[0].split("; ")
    assert len(named) == 5
    for one in named:
        row = here[one.partition(",")[0]]
        assert f"tenure = {row['tenure']} (odds × " in one
        assert f"Contract = {row['Contract']} (odds × " in one
    assert "held-out third" in told


def test_facts_count_for_those_who_may_know_them(stack: Stack, admin: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "facts.jsonl"
    signed = [
        {"type": "client.signed", "client": f"Zyx {n}", "at": "2026-01-01", "segment": "small" if n % 2 else "large"}
        for n in range(40)
    ]
    gone = [{"type": "client.cancelled", "client": f"Zyx {n}", "at": "2026-02-01"} for n in (1, 3, 5)]
    path.write_text("\n".join(map(json.dumps, [*signed, *gone])))
    secret = {"type": "client.cancelled.v1", "client": "Zyx 7", "at": "2026-03-01T00:00:00Z", "origin": "board"}
    for _ in range(2):  # A second time changes nothing.
        assert json.loads(diarchy(stack, "facts", "import", str(path), "--json"))["facts"] == 43
    ok(admin.post("/v1/events/sophia/client/z7", json={**secret, "confidentiality": "restricted"}))
    expected = {
        Clearance.INTERNAL: "7.50 % of them cancelled (3 of 40",
        Clearance.TOP_SECRET: "10.00 % of them cancelled (4 of 40",
    }
    question = {"question": "How many clients known by facts cancelled?", "team": "client_analysis"}
    for clearance, figures in expected.items():
        with stack.client("bea", "sophia_user", clearance=clearance) as client:
            while figures not in ok(client.post("/v1/sophia/ask", json=question, headers=PATIENT))["answer"]["content"]:
                pass  # The question is the wait: the facts count once the read model has them.
