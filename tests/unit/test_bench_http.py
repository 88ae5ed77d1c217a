"""The benchmark of HTTP to a durable actor: what it reads of the load generator, its table, and the actor it is taken on."""

import pytest

from bench.counter import Add, Added, AddRequested, Finish, counter
from bench.http import Figures, table
from bench.wrk import Outcome, read
from runtime.testing import given

REPORT = """\
Running 4s test @ http://127.0.0.1:1/v1/bench/counters
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   130.01ms   30.00ms 250.00ms   80.00%
  Latency Distribution
     50%  128.83ms
     75%  150.10ms
     90%  200.00ms
     99%    1.20s
  2000 requests in 4.00s, 1.00MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 100
Requests/sec:    500.00
"""


def test_a_report_is_read_with_its_failures() -> None:
    found = read(REPORT)
    assert (found.per_s, found.p50_ms, found.p99_ms) == (475.0, 128.83, 1_200.0)
    assert (found.answered, found.failed) == (2_000, 103)


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        read("unable to connect to 127.0.0.1:1 Connection refused")


def test_the_table_has_medians_and_ratios() -> None:
    runs = [
        Figures(
            side=side,
            connections=connections,
            outcome=Outcome(per_s=per_s, p50_ms=1_000 / per_s, p99_ms=9.0, answered=10, failed=0),
            cost_us={"server": 100.0},
        )
        for side, rates in (("Diarchy", (2_000.0, 2_500.0, 9_000.0)), ("Restate", (400.0, 500.0, 600.0)))
        for connections in (64, 1)
        for per_s in rates
    ]
    text = table(runs)
    assert "| requests/s, 64 connections | 2,500 | 500 | 5.0× | ≥ 2,500/s and ≥ 5× |" in text
    assert "| p50 / p99, 1 connection | 0.4 / 9.0 ms | 2.0 / 9.0 ms | 5.0× |" in text


def test_the_counter_adds_what_was_asked_for() -> None:
    given(counter).when(Add(amount=2)).then(AddRequested(amount=2))
    added = Added(amount=2, total=2, effect="e")
    given(counter, AddRequested(amount=2), added).when(Finish(amount=3, effect="f")).then(
        Added(amount=3, total=5, effect="f")
    )
