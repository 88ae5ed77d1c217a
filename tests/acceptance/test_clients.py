"""Clients and deals: imported as people do it, asked over HTTP; the answer's figures are those of another computation."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from contracts.domains import Clearance
from tests.stack import ROOT, Stack, ok
from tests.unit.test_churn_notebook import TABLE, Rate, groups, sentence, wilson

PATIENT = {"Prefer": "wait=100"}
QUESTION = "Which customers are most at risk and why?"


def diarchy(stack: Stack, *words: str) -> str:
    command = [sys.executable, "-m", "deploy", *words, "--data", str(stack.folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout  # noqa: S603 - ours


WON, LOST, OPEN = 13, 27, 20
"""Deals of the facts."""


@pytest.fixture(scope="module")
def imported(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Clients and deals as facts, imported twice: the second time changes nothing."""
    path = tmp_path_factory.mktemp("facts") / "facts.jsonl"
    path.write_text("\n".join(map(json.dumps, [*_clients(), *_deals()])))
    for _ in range(2):
        facts = json.loads(diarchy(stack, "facts", "import", str(path), "--json"))
        assert facts["facts"] == 43 + 2 * (WON + LOST) + OPEN


def _clients() -> Iterator[dict[str, object]]:
    for n in range(40):
        yield {
            "type": "client.signed",
            "client": f"Zyx {n}",
            "at": "2026-01-01",
            "segment": "small" if n % 2 else "large",
        }
    for n in (1, 3, 5):
        yield {"type": "client.cancelled", "client": f"Zyx {n}", "at": "2026-02-01"}


def _deals() -> Iterator[dict[str, object]]:
    for n in range(WON + LOST + OPEN):
        deal = {"deal": f"Q-{n}", "at": f"2026-{n % 6 + 1:02}-05"}
        yield {**deal, "type": "deal.opened", "stage": "offer", "value": 1_000 + n, "currency": "EUR"}
        if n < WON + LOST:
            outcome = "won" if n < WON else "lost"
            yield {"type": "deal.closed", "deal": f"Q-{n}", "at": f"2026-{n % 6 + 3:02}-05", "outcome": outcome}


def until(client: httpx.Client, question: dict[str, object], figures: str) -> None:
    """Ask until the answer holds the figures: the question is the wait, for facts count once the read model has them."""
    while figures not in ok(client.post("/v1/sophia/ask", json=question, headers=PATIENT))["answer"]["content"]:
        pass


@pytest.mark.usefixtures("imported")
def test_facts_count_for_those_who_may_know_them(stack: Stack, admin: httpx.Client) -> None:
    secret = {"type": "client.cancelled.v1", "client": "Zyx 7", "at": "2026-03-01T00:00:00Z", "origin": "board"}
    ok(admin.post("/v1/events/sophia/client/z7", json={**secret, "confidentiality": "restricted"}))
    expected = {
        Clearance.INTERNAL: "7.50 % of them cancelled (3 of 40",
        Clearance.TOP_SECRET: "10.00 % of them cancelled (4 of 40",
    }
    question = {
        "question": "How many clients known by facts cancelled?",
        "team": "client_analysis",
        "collaborate": False,
    }
    for clearance, figures in expected.items():
        with stack.client("bea", "sophia_user", clearance=clearance) as client:
            until(client, question, figures)


@pytest.mark.usefixtures("imported")
def test_sales_tell_the_win_rate_of_the_deals_that_facts_tell_of(admin: httpx.Client) -> None:
    low, high = wilson(Rate(WON + LOST, WON))
    rate = f"{WON / (WON + LOST) * 100:.2f} % ({WON} of {WON + LOST}, 95 % interval {low * 100:.2f} % to {high * 100:.2f} %)"
    question = {
        "question": "How many of the decided deals were won?",
        "team": "sales_intelligence",
        "collaborate": False,
    }
    until(admin, question, f"{rate} of the decided deals were won.")


# The table comes last: with it every question about clients takes a second more of a processor.


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
