"""What tools say that their figures rest on: what was read of what was given, what was done, how wide, how new."""

from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from actors.artemis.tools.performance_analysis import (
    PERFORMANCE_ANALYSIS,
    PerformanceAnalysisArguments,
    PerformanceAnalysisResult,
    of_profiles,
    of_spans,
)
from actors.artemis.tools.profiles import Profile
from actors.artemis.tools.source_tree import read_archive
from actors.artemis.tools.system_monitoring import monitor
from actors.sophia.tools.client_analysis import analyse_clients
from actors.sophia.tools.deals import Deal, Deals
from actors.sophia.tools.health import analyse_health
from actors.sophia.tools.sales_intelligence import analyse_deals
from actors.tables import read_table
from contracts.domains import Clearance
from contracts.grounds import Basis
from contracts.measurements import Series
from contracts.operations import Operation, Operations
from contracts.records import ClientRecord, TicketRecord
from tests.archives import zipped

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def told(basis: object) -> Basis:
    assert isinstance(basis, Basis)
    return basis


def test_of_a_table_the_rows_that_say_who_left_and_the_interval_of_the_group_that_is_asked_about() -> None:
    rows = [f"{plan},{left}" for plan in ("basic", "gold") for left in ["Yes"] * 20 + ["No"] * 20 + [""] * 10]
    table = read_table("\n".join(["plan,churned", *rows]).encode())
    whole = told(analyse_clients(table, "Who leaves?").basis)
    assert (whole.read, whole.given, whole.tried) == (80, 100, 3)
    assert whole.spread == pytest.approx(0.2142, abs=1e-3), "Wilson of 40 in 80, over a half"
    assert told(analyse_clients(table, "Who leaves on gold?").basis).spread > whole.spread
    nobody = told(analyse_clients(read_table(b"plan,fee\nbasic,1\ngold,2\n"), "Who leaves?").basis)
    assert (nobody.tried, nobody.done) == (3, 1)


def test_of_deals_those_left_out_and_the_interval_only_of_what_is_estimated() -> None:
    decided = [
        Deal(id=f"d{n}", value=10.0, opened=date(2026, 1, 1), closed=date(2026, 2, n + 1), won=n < 5) for n in range(10)
    ]
    deals = Deals(deals=tuple(decided), as_of=NOW.date(), left_out=30)
    counted = told(analyse_deals(deals, "How much is open in the pipeline?").basis)
    assert (counted.read, counted.given, counted.spread) == (10, 40, 0.0)
    assert counted.done < counted.tried, "no forecast, and no history of stages"
    assert counted.newest == datetime(2026, 2, 10, tzinfo=UTC)
    assert told(analyse_deals(deals, "How many do we win?").basis).spread == pytest.approx(0.5268, abs=1e-3)
    assert told(analyse_deals(deals, "What will next quarter bring?").basis).spread == 1.0, "no forecast could be made"


def test_of_clients_the_parts_of_their_scores_that_are_known() -> None:
    clients = [ClientRecord(id=f"c{n}", label=Clearance.INTERNAL, ends=NOW + timedelta(days=90)) for n in range(3)]
    ticket = TicketRecord(id="t", label=Clearance.INTERNAL, client="c1", opened=NOW - timedelta(days=4))
    basis = told(analyse_health(clients, [ticket], [], NOW, left_out=1).basis)
    assert basis == Basis(read=3, given=4, tried=12, done=6, newest=NOW - timedelta(days=4))


def test_of_a_tree_what_was_refused_and_what_could_not_be_parsed() -> None:
    tree = read_archive(zipped({"a.py": "x = 1\n", "b.py": "def (\n", "../c.py": "x = 1\n"}))
    assert tree.basis({"a.py", "b.py"}, {"b.py", "README.md"}, 4, 3) == Basis(read=1, given=3, tried=4, done=3)


def test_of_measurements_the_figures_that_have_enough_points() -> None:
    def series(name: str, points: int) -> Series:
        at_ms = tuple(int(NOW.timestamp() * 1_000) - 60_000 * at for at in reversed(range(points)))
        return Series(source=name, at_ms=at_ms, figures={"pending": tuple(100.0 + at % 7 for at in range(points))})

    basis = told(monitor((), None, [series("one", 200), series("other", 3)], window="day").basis)
    assert (basis.read, basis.given, basis.newest) == (1, 2, NOW)
    assert told(monitor((), None, [], window="day").basis).read == 0
    assert monitor(()).basis is UNSET, "notes are texts"


def test_of_spans_the_part_of_the_window_that_was_read_and_the_interval_of_the_slowest() -> None:
    ms = tuple(float(one) for one in range(1, 101))
    done = Operation(service="sophia", name="answer", count=100, failed=0, total_ms=sum(ms), self_ms=sum(ms), ms=ms)
    half = NOW - timedelta(hours=1)
    window = Operations(
        since=NOW - timedelta(hours=2), until=NOW, complete_until=half, spans=100, runs=100, operations=(done,)
    )
    basis = told(of_spans(window, None, "last hours").basis)
    assert (basis.read, basis.given, basis.newest) == (3_600, 7_200, half)
    assert basis.spread == pytest.approx((61 - 40) / 2 / 50.5, abs=0.02), "ranks 40 and 61 of 100"
    assert told(of_spans(replace(window, spans=0), None, "last hours").basis) == Basis(read=0, given=1)
    few = replace(window, operations=(replace(done, count=3, ms=(1.0, 2.0, 3.0)),))
    assert told(of_spans(few, None, "last hours").basis).spread == 1.0


def test_of_a_profile_the_interval_of_its_hottest_function() -> None:
    samples = Profile("collapsed", "samples", {("main", "work"): 30.0, ("main",): 10.0})
    assert told(of_profiles([samples]).basis).spread == pytest.approx(0.1768, abs=1e-2)
    seconds = Profile("speedscope", "seconds", {("main",): 0.5})
    assert told(of_profiles([seconds]).basis).spread == 0.0, "time is measured whole"


def test_what_is_missing_for_a_comparison_counts_as_not_done() -> None:
    arguments = PerformanceAnalysisArguments(profiles=("d",), notes=("There is no other to compare it with.",))
    result = PERFORMANCE_ANALYSIS.run(arguments, lambda _: b"main;work 30\nmain 10\n")
    assert isinstance(result, PerformanceAnalysisResult)
    assert (told(result.basis).tried, told(result.basis).done) == (2, 1)
