"""What is asked of some deals or clients is answered for those, by name; the rest of the pipeline and of health comes after."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.sophia.clients import BY_FACTS, IN_TABLE, labelled
from actors.sophia.teams import client_analysis, sales_intelligence
from actors.sophia.tools.clients_asked import clients_asked
from actors.sophia.tools.deals import Deal, Deals
from actors.sophia.tools.deals_asked import deals_asked
from actors.sophia.tools.forecast import Holdout
from actors.sophia.tools.health import analyse_health
from actors.sophia.tools.periods import period
from actors.sophia.tools.sales_intelligence import analyse_deals, analyse_sales
from actors.sophia.tools.sales_told import failed
from actors.tables import percent, read_table
from actors.team import Team
from adapters.extractive import compose
from contracts.domains import Clearance
from contracts.model import Prompt, unsaid
from contracts.records import ClientRecord, TicketRecord

NOW = datetime(2026, 11, 30, tzinfo=UTC)
SEGMENTS = ("public sector", "smb")


def deal(number: int, *, won: bool | None, segment: str, stage: str = "proposal") -> Deal:
    opened = date(2025, 1, 1) + timedelta(days=10 * number)
    return Deal(
        id=f"D-{number}",
        value=1_000.0 + number,
        customer=f"Cust {number % 5}",
        stage=stage,
        opened=opened,
        closed=None if won is None else opened + timedelta(days=30),
        won=won,
        expected=date(2026, 1, 1) if won is None else None,
        segments={"segment": segment},
    )


DEALS = Deals(
    deals=tuple(deal(n, won=(True, False, None)[n % 3], segment=SEGMENTS[n % 2]) for n in range(60)),
    as_of=NOW.date(),
    currency="CHF",
)


def summary(team: Team, question: str, findings: Sequence[str]) -> str:
    asked = Prompt(
        role="r", question=question, sections=team.sections, evidence=(), findings=tuple(findings), computed=True
    )
    return compose(asked).sections["summary"]


def client(number: int, cancelled: datetime | None = None) -> ClientRecord:
    return ClientRecord(
        id=f"Cust {number}",
        label=Clearance.INTERNAL,
        segment=SEGMENTS[number % 2],
        signed=NOW - timedelta(days=400),
        cancelled=cancelled,
    )


CLIENTS = tuple(client(n, datetime(2026, n + 1, 5, tzinfo=UTC) if n < 3 else None) for n in range(20))
TICKETS = (TicketRecord(id="t", label=Clearance.INTERNAL, client="Cust 11", severity="critical", opened=NOW),)


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (
            "What is our win rate for the public sector?",
            "segment = public sector is 50.00 % (10 of 20 decided deals were won,",
        ),
        (
            "Which of our open deals are slipping?",
            "20 open deals worth 20,610 CHF are slipping, among them: D-59 (Cust 4); D-56",
        ),
        ("Which open deals with Cust 4 do we have?", "D-59 (Cust 4, 1,059.00 CHF, proposal); D-44"),
        ("What is the average deal size of won deals?", "average value of deals with outcome = won is 1,028.50 (mean"),
        ("What is the status of deal D-12?", "Deal D-12 ("),
        ("status of deal D-9999", "No deal D-9999 is known."),
        (
            "How many deals did we lose in smb?",
            "How many deals with outcome = lost (“lose”) and segment = smb: 10 of 60",
        ),
        ("How many open deals does smb have?", "outcome = open and segment = smb: 10 of 60"),
        ("How many deals did we win in 2025?", "closed in 2025: 12 of 60"),
    ],
)
def test_deals_are_answered_for_those_that_are_asked_about(question: str, told: str) -> None:
    assert told in summary(sales_intelligence, question, analyse_deals(DEALS, question).findings)


def test_the_pipeline_is_of_open_deals() -> None:
    findings = analyse_deals(DEALS).findings
    assert any(
        one.startswith("20 deals worth 20,610 CHF are open on 2026-11-30, which is the value of") for one in findings
    )
    assert findings[-1].startswith("61,770.00 CHF of value in 60 deals, won, lost and open;")


def test_a_forecast_that_failed_before_is_not_called_probable() -> None:
    assert failed(Holdout(periods=3, error=197_800, actual=80_067, covered=0))
    assert failed(Holdout(periods=4, error=90, actual=80, covered=4))
    assert not failed(Holdout(periods=4, error=10, actual=80, covered=3))
    for line in analyse_deals(DEALS).findings:
        if "next quarter (" in line:
            assert ("probably" in line) != ("back-test failed" in line)
            assert "its interval held" in line


def test_what_customers_pay_is_no_answer_about_deals() -> None:
    rows = "".join(f"{n},{'ab'[n % 2]},{5 if n == 9 else 50}\n" for n in range(200))
    table = read_table(f"id,plan,monthly_charge\n{rows}".encode())
    assert any("Upsell" in one for one in analyse_sales(table, question="Whom can we upsell?").findings)
    assert not any("Upsell" in one for one in analyse_sales(table, question="Which deals will we close?").findings)


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (
            "How healthy is Cust 11?",
            "Client Cust 11 has a health score of 20 of 100, below 50, made of tickets alone, 20.00 % of",
        ),
        ("Who is Cust 2?", "Client Cust 2 cancelled on 2026-03-05; segment public sector"),
        ("How healthy is Cust 999?", "No client Cust 999 is known"),
        (
            "Which clients cancelled?",
            "Of 20 clients 3 cancelled, the last first: Cust 2 (on 2026-03-05, public sector); Cust 1 (on 2026-02-05, smb)",
        ),
        (
            "Which clients cancelled in February 2026?",
            "Of 1 clients with cancelled in February 2026 1 cancelled, the last first: Cust 1",
        ),
        ("How many smb clients left?", "10.00 % of clients with segment = smb left (1 of 10"),
    ],
)
def test_clients_are_named(question: str, told: str) -> None:
    findings = analyse_health(CLIENTS, TICKETS, (), NOW, question=question).findings
    assert told in findings[0] or told in findings[1]
    assert told in summary(client_analysis, question, labelled(findings, *BY_FACTS))


def test_what_is_not_known_keeps_its_beginning() -> None:
    told = labelled(("No client X is known.", "7 clients."), *IN_TABLE)
    assert told == ("No client X is known (in the table).", "In the table: 7 clients.")
    assert unsaid(told[0])


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("won in 2025?", date(2025, 1, 1), date(2025, 12, 31)),
        ("in Q4 2026", date(2026, 10, 1), date(2026, 12, 31)),
        ("during December 2026", date(2026, 12, 1), date(2026, 12, 31)),
        ("in February 2024", date(2024, 2, 1), date(2024, 2, 29)),
    ],
)
def test_a_period_is_all_of_its_days(text: str, first: date, last: date) -> None:
    found = period(text)
    assert found is not None
    assert (found.first, found.last) == (first, last)


DEALT = st.lists(st.tuples(st.sampled_from((True, False, None)), st.sampled_from(SEGMENTS)), min_size=4, max_size=40)


@given(DEALT, st.sampled_from(SEGMENTS))
def test_the_win_rate_of_a_segment_is_what_pandas_counts(dealt: list[tuple[bool | None, str]], asked: str) -> None:
    dealt = [*dealt, *((None, one) for one in SEGMENTS)]
    deals = Deals(
        deals=tuple(deal(n, won=won, segment=segment) for n, (won, segment) in enumerate(dealt)), as_of=NOW.date()
    )
    frame = pd.DataFrame(dealt, columns=["won", "segment"])
    decided = frame[(frame.segment == asked) & frame.won.notna()]
    (told, *_) = deals_asked(deals, f"What is the win rate of the {asked}?")
    if decided.empty:
        assert told == f"No deal with segment = {asked} is decided, so there is no win rate of them."
    else:
        hits = int((decided.won == True).sum())  # noqa: E712 - a column of objects
        assert f"is {percent(hits / len(decided))} ({hits:,} of {len(decided):,} decided deals were won" in told


@pytest.mark.parametrize(
    "question",
    [
        "How many clients have left?",
        "Which clients who left are in smb?",
        "How many clients stayed who remained?",
        "How many clients who stayed are there?",
    ],
)
def test_where_nobody_or_everybody_left_that_is_told(question: str) -> None:
    here = [ClientRecord(id="C-1", label=Clearance.PUBLIC, signed=NOW - timedelta(days=9))]
    gone = [replace(here[0], cancelled=NOW - timedelta(days=1))]
    for clients in (here, gone):
        assert clients_asked(clients, NOW, question, {"C-1": "C-1 is well."}).told
