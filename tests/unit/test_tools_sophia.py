"""Sophia's tools: exact figures on a real table, sound statistics on any, plain refusal of what is no table."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.sophia.tools import TOOLS, claims, risk
from actors.sophia.tools.business_insight import insight
from actors.sophia.tools.client_analysis import ClientAnalysisArguments, ClientAnalysisResult, analyse_clients
from actors.sophia.tools.market_research import Source, research
from actors.sophia.tools.revenue import gini, top_share
from actors.sophia.tools.sales_intelligence import analyse_sales
from actors.tables import read_table
from contracts.domains import Clearance
from contracts.model import Evidence
from runtime.errors import OutcomeError

DATA = Path(os.environ.get("DIARCHY_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def telco() -> bytes:
    path = DATA / "telco-customer-churn.csv"
    assert path.exists(), f"the real data is missing: {path} (set DIARCHY_TEST_DATA)"
    return path.read_bytes()


def evidence(text: str, title: str = "Note") -> Evidence:
    return Evidence(id=f"id-{title}", title=title, text=text, label=Clearance.INTERNAL, score=0.5)


def source(text: str, title: str = "Note") -> Source:
    return Source(id=f"id-{title}", title=title, text=text, label=Clearance.INTERNAL)


def test_the_real_churn_table() -> None:
    result = analyse_clients(read_table(telco()), "Why do we lose customers?")
    assert (result.rows, result.outcome, result.churned) == (7043, "Churn", 1869)
    assert result.churn_rate == pytest.approx(0.26537, abs=1e-5)
    monthly = next(one for one in result.rates if one.name == "Contract = Month-to-month")
    assert (monthly.customers, monthly.churned) == (3875, 1655)
    assert monthly.rate == pytest.approx(0.4271, abs=1e-4)
    whole = "26.54 % of customers left (1,869 of 7,043, column Churn; 95 % interval 25.52 % to 27.58 %)."
    assert whole in result.findings
    assert "Contract = Month-to-month" in {one.name for one in result.drivers}
    assert "Contract = Two year" in {one.name for one in result.protective}
    assert result.revenue is not None
    assert result.revenue.churned == pytest.approx(139130.85)
    assert next(one for one in result.columns if one.name == "TotalCharges").missing == 11


def test_the_question_steers_what_is_looked_at() -> None:
    table = read_table(telco())
    asked = analyse_clients(table, "Why do customers on fiber optic leave?").findings
    assert any(line.startswith("41.89 % of customers with InternetService = Fiber optic left") for line in asked)
    assert any(line.startswith("Among InternetService = Fiber optic: ") for line in asked)
    assert not any(line.startswith("Among ") for line in analyse_clients(table, "").findings)


def test_tools_run_through_the_port() -> None:
    result = TOOLS["client_analysis"].run(ClientAnalysisArguments(table="d"), lambda _: telco())
    assert isinstance(result, ClientAnalysisResult)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "header"),
        (b"just one line", "header"),
        (b"a,b\n", "no rows"),
        (b"\x89PNG\0\0\0", "binary"),
        (b"a,b\n" + b"x" * 200_000 + b",1\n", "not a CSV"),
    ],
)
def test_what_is_no_table_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(OutcomeError, match=reason):
        read_table(data)


def test_a_column_that_restates_the_outcome_is_no_driver() -> None:
    rows = "".join(
        f"{n},{'gone' if n % 4 == 0 else 'here'},{'ab'[n % 2]},{'yes' if n % 4 == 0 else 'no'}\n" for n in range(200)
    )
    result = analyse_clients(read_table(f"id,status,kind,churned\n{rows}".encode()), "")
    assert "left out: status" in result.findings[0]
    assert not any(one.name.startswith("status") for one in result.rates)


def test_a_tiny_group_does_not_win() -> None:
    lines = ["yes,tiny"] * 3 + ["yes,big"] * 100 + ["no,big"] * 100 + ["no,rest"] * 300
    result = analyse_clients(read_table(("churned,group\n" + "\n".join(lines)).encode()), "")
    assert [one.name for one in result.drivers] == ["group = big"]


def test_a_table_without_outcome_says_so() -> None:
    result = analyse_clients(read_table(b"name;value\nann;1\nbob;2\ncid;3\n"), "")
    assert result.outcome == ""
    assert "No column says which customers left" in result.findings[-1]


def test_a_pipeline_of_deals() -> None:
    deals = ["100,won,acme"] * 6 + ["50,lost,acme"] * 2 + ["30,open,birch"] * 4
    result = analyse_sales(read_table(("amount_eur,stage,account\n" + "\n".join(deals)).encode()))
    assert result.pipeline is not None
    assert (result.pipeline.won.hits, result.pipeline.won.total, result.pipeline.won.share) == (6, 8, 0.75)
    assert result.total == 820
    assert result.currency == "EUR"
    assert [(one.name, one.deals, one.value) for one in result.pipeline.stages] == [("open", 4, 120)]


def test_sales_of_a_customer_table() -> None:
    result = analyse_sales(read_table(telco()))
    assert result.total == pytest.approx(456116.60)
    assert result.candidate_count == len({one.id for one in result.candidates}) or result.candidate_count > 10
    assert all(one.value < 0.75 * one.peer_median for one in result.candidates)


def test_claims_keep_their_source() -> None:
    text = "Revenue grew by 12.5 % to €1.2 million in Q2 2026. Our competitor Corvane cut 1,200 prices on 2026-03-01."
    found = claims.claims(claims.statements([evidence(text, "Market")]))
    assert [(one.kind, one.text) for one in found] == [
        ("percentage", "12.5 %"),
        ("amount", "€1.2 million"),
        ("date", "Q2 2026"),
        ("count", "1,200 prices"),
        ("date", "2026-03-01"),
    ]
    assert found[1].value == 1_200_000
    assert {one.title for one in found} == {"Market"}
    result = research("competitors", [source(text, "Market")])
    assert [one.name for one in result.competitors] == ["Corvane"]
    assert any("source: Market" in line for line in result.findings)


def test_sources_that_differ_are_told() -> None:
    result = insight("churn", [evidence("Churn was 20 % last year.", "A"), evidence("Churn is 30 % now.", "B")])
    assert [one.name for one in result.disagreements] == ["churn"]
    assert insight("churn", []).findings == ("No key figures stand in what was found.",)


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_holds_the_share(hits: int, total: int) -> None:
    hits = min(hits, total)
    low, high = risk.wilson(hits, total)
    assert 0 <= low <= hits / total <= high <= 1


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_concentration_stays_in_bounds(values: list[float]) -> None:
    assert 0 <= gini(values) <= 1
    assert 0 <= top_share(values, 0.1) <= 1 + 1e-9


@given(st.binary(max_size=400))
def test_any_bytes_are_a_table_or_an_outcome(data: bytes) -> None:
    try:
        table = read_table(data)
    except OutcomeError:
        return
    assert all(len(column.cells) == table.rows for column in table.columns)
    analyse_clients(table, "why?")


@given(st.text(max_size=300))
def test_any_text_can_be_researched(text: str) -> None:
    result = research(text, [source(text)])
    assert all(one.text for one in result.claims)
