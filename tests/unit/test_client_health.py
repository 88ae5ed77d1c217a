"""How clients are doing by facts: the written formula, what is not known, and nothing above the asker's clearance."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.sophia.tools import TOOLS
from actors.sophia.tools.health import ClientHealthArguments, ClientHealthResult, analyse_health
from contracts.domains import Clearance
from contracts.records import ClientRecord, InvoiceRecord, TicketRecord, Use
from runtime.errors import OutcomeError

NOW = datetime(2026, 6, 30, tzinfo=UTC)
INTERNAL = Clearance.INTERNAL


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def use(days: float, active: int, licensed: int | None = None) -> Use:
    return Use(at=ago(days), period_days=30, active_users=active, licensed_users=licensed)


def client(id_: str, **fields: Any) -> ClientRecord:
    return ClientRecord(id=id_, label=INTERNAL, **fields)


ADA = client(
    "Ada",
    usage=(use(90, 8), use(60, 12), use(30, 5, 20)),
    ends=ago(-45),
    monthly_value=30.0,
    currency="EUR",
)
TICKETS = (
    TicketRecord(id="t1", label=INTERNAL, client="Ada", severity="critical", opened=ago(10)),
    TicketRecord(id="t2", label=INTERNAL, client="Ada", severity="medium", opened=ago(20), resolved=ago(19)),
    TicketRecord(id="t3", label=INTERNAL, client="Ada", severity="critical", opened=ago(91)),
)
USES = st.builds(use, st.floats(0, 400), st.integers(0, 50), st.integers(0, 50) | st.none())
INVOICES = (
    InvoiceRecord(id="i1", label=INTERNAL, client="Ada", due=ago(100), paid=ago(101)),
    InvoiceRecord(id="i2", label=INTERNAL, client="Ada", due=ago(70), paid=ago(60)),
    InvoiceRecord(id="i3", label=INTERNAL, client="Ada", due=ago(40)),
    InvoiceRecord(id="i4", label=INTERNAL, client="Ada", due=ago(-10)),
)


def test_the_score_is_the_written_formula() -> None:
    result = analyse_health([ADA], TICKETS, INVOICES, NOW)
    (one,) = result.clients
    usage = (5 / 20 + 5 / 10) / 2
    tickets = 1 / (1 + 2 * 2.0 + 0.5)
    renewal = 45 / 180
    invoices = (1 + 0.5 + 0) / 3
    assert one.parts == pytest.approx({"usage": usage, "tickets": tickets, "renewal": renewal, "invoices": invoices})
    assert one.score == pytest.approx(100 * (0.4 * usage + 0.2 * tickets + 0.2 * renewal + 0.2 * invoices))
    assert result.at_risk == 1
    assert any(line.startswith("Client Ada is at risk with a health score of 34 of 100") for line in result.findings)
    assert any("they pay 30.00 EUR a month" in line for line in result.findings)


def test_what_is_not_known_is_left_out_and_said() -> None:
    result = analyse_health([client("Bo", usage=(use(30, 5, 5),)), client("Cy")], (), (), NOW, left_out=3)
    scores = {one.id: (one.score, set(one.parts)) for one in result.clients}
    assert scores == {"Bo": (100.0, {"usage"}), "Cy": (None, set())}
    assert result.unknown == 1
    said = " ".join(result.findings)
    assert "Facts say nothing about usage of 1 of 2 clients, tickets of 2 of 2 clients" in said
    assert "1 clients have no health score" in said
    assert "3 more clients are known" in said


def test_cancellations_are_counted_by_segment_and_contract() -> None:
    small = [client(f"s{n}", segment="small", cancelled=ago(1) if n < 30 else None) for n in range(60)]
    large = [client(f"l{n}", segment="large", cancelled=ago(1) if n < 6 else None) for n in range(60)]
    result = analyse_health([*small, *large], (), (), NOW)
    assert (result.known, result.cancelled) == (120, 36)
    assert [(one.name, one.customers, one.churned) for one in result.rates] == [
        ("segment = small", 60, 30),
        ("segment = large", 60, 6),
    ]
    assert result.rates[0].ratio == pytest.approx(5.0)
    assert result.findings[0].startswith(
        "120 clients are known by facts; 30.00 % of them cancelled (36 of 120, 95 % interval"
    )


@given(
    st.lists(
        st.builds(
            client,
            st.text("abc", min_size=1, max_size=3),
            usage=st.lists(
                st.builds(use, st.floats(0, 400), st.integers(0, 50), st.integers(0, 50) | st.none()), max_size=4
            ).map(tuple),
            ends=st.none() | st.floats(-400, 400).map(ago),
            cancelled=st.none() | st.floats(-400, 400).map(ago),
            renewals=st.integers(0, 2),
            segment=st.sampled_from([None, "a", "b"]),
        ),
        max_size=8,
    )
)
def test_a_score_is_between_0_and_100_whatever_facts_say(clients: list[ClientRecord]) -> None:
    result = analyse_health(clients, TICKETS, INVOICES, NOW)
    assert all(one.score is None or 0 <= one.score <= 100 for one in result.clients)
    assert result.known == len(clients) == result.cancelled + len(result.clients)


def test_it_runs_on_records_as_they_are_stored() -> None:
    blobs = {"c": msgspec.json.encode([ADA]), "t": msgspec.json.encode(TICKETS), "x": b"{"}
    run = TOOLS["client_health"].run
    result = run(ClientHealthArguments(clients="c", tickets="t", invoices="", now=NOW), blobs.__getitem__)
    assert isinstance(result, ClientHealthResult)
    assert set(result.clients[0].parts) == {"usage", "tickets", "renewal"}
    with pytest.raises(OutcomeError, match="cannot be read"):
        run(ClientHealthArguments(clients="x", tickets="", invoices="", now=NOW), blobs.__getitem__)
