"""The figures of the real churn table, computed again cell by cell as in a notebook: other code and formulas, the same numbers.

Nothing here comes from the tool but its result: the table is read by the csv module, and every statistic is written out.
"""

import csv
import hashlib
import math
import os
from collections import defaultdict
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import pytest

from actors.sophia.tools import TOOLS
from actors.sophia.tools.client_analysis import ClientAnalysisArguments, ClientAnalysisResult

DATA = Path(os.environ.get("DIARCHY_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
TABLE = DATA / "telco-customer-churn.csv"
QUESTION = "Which customers are most at risk and why?"
EXACT = 1e-9

# Cell 1: the table. A customer is a row; he left where Churn says Yes.


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    assert TABLE.exists(), f"the real data is missing: {TABLE} (set DIARCHY_TEST_DATA)"
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def result() -> ClientAnalysisResult:
    made = TOOLS["client_analysis"].run(
        ClientAnalysisArguments(table="d", question=QUESTION), lambda _: TABLE.read_bytes()
    )
    assert isinstance(made, ClientAnalysisResult)
    return made


# Cell 2: the formulas.


class Rate(NamedTuple):
    customers: int
    left: int


def wilson(rate: Rate) -> tuple[float, float]:
    """The bounds p for which (p̂ - p)² = z² p (1 - p) / n: the roots of a quadratic equation in p."""
    z, n, share = NormalDist().inv_cdf(0.975), rate.customers, rate.left / rate.customers
    a, b, c = 1 + z * z / n, -(2 * share + z * z / n), share * share
    root = math.sqrt(b * b - 4 * a * c)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def katz(inside: Rate, outside: Rate) -> tuple[float, float, float]:
    """The ratio of two rates with its interval: normal on the logarithm, variance 1/a - 1/n + 1/c - 1/m."""
    ratio = inside.left / inside.customers / (outside.left / outside.customers)
    error = math.sqrt(1 / inside.left - 1 / inside.customers + 1 / outside.left - 1 / outside.customers)
    half = NormalDist().inv_cdf(0.975) * error
    return ratio, ratio * math.exp(-half), ratio * math.exp(half)


def chi_square_p(inside: Rate, outside: Rate) -> float:
    """Pearson's: n (ad - bc)² over the product of the margins; with one degree of freedom the square of a normal."""
    a, b = inside.left, inside.customers - inside.left
    c, d = outside.left, outside.customers - outside.left
    statistic = (a + b + c + d) * (a * d - b * c) ** 2 / ((a + b) * (c + d) * (a + c) * (b + d))
    return math.erfc(math.sqrt(statistic / 2))


# Cell 3: churn by contract, tenure band and payment method.


def tenure_band(months: str) -> str:
    bands = ((12, "up to 12"), (24, "over 12 to 24"), (48, "over 24 to 48"))
    return next((name for edge, name in bands if int(months) <= edge), "over 48")


def groups(rows: list[dict[str, str]]) -> dict[str, Rate]:
    found: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        for name in (
            f"Contract = {row['Contract']}",
            f"tenure {tenure_band(row['tenure'])}",
            f"PaymentMethod = {row['PaymentMethod']}",
        ):
            found[name].append(row["Churn"] == "Yes")
    return {name: Rate(len(flags), sum(flags)) for name, flags in found.items()}


def test_the_whole(rows: list[dict[str, str]], result: ClientAnalysisResult) -> None:
    whole = Rate(len(rows), sum(row["Churn"] == "Yes" for row in rows))
    assert whole == (7043, 1869)
    assert (result.known, result.churned) == whole
    assert result.churn_rate == pytest.approx(1869 / 7043, abs=EXACT)
    assert (result.low, result.high) == pytest.approx(wilson(whole), abs=EXACT)


def test_churn_by_contract_tenure_band_and_payment_method(
    rows: list[dict[str, str]], result: ClientAnalysisResult
) -> None:
    whole = Rate(7043, 1869)
    told = {one.name: one for one in result.rates}
    counted = groups(rows)
    assert len(counted) == 3 + 4 + 4
    for name, rate in counted.items():
        one, others = told[name], Rate(whole.customers - rate.customers, whole.left - rate.left)
        assert (one.customers, one.churned) == rate, name
        assert one.rate == pytest.approx(rate.left / rate.customers, abs=EXACT)
        assert (one.low, one.high) == pytest.approx(wilson(rate), abs=EXACT)
        assert one.lift == pytest.approx(rate.left / rate.customers / (1869 / 7043), abs=EXACT)
        assert (one.ratio, one.ratio_low, one.ratio_high) == pytest.approx(katz(rate, others), abs=EXACT)
        assert one.test == "chi-square"
        assert one.p == pytest.approx(chi_square_p(rate, others), abs=EXACT)


def test_the_adjustment_for_many_tests(result: ClientAnalysisResult) -> None:
    """Benjamini and Hochberg: the smallest of p times the number over its rank, of this and all larger ones."""
    ranked = sorted(result.rates, key=lambda one: one.p)
    least = 1.0
    for rank in range(len(ranked), 0, -1):
        least = min(least, ranked[rank - 1].p * len(ranked) / rank)
        assert ranked[rank - 1].q == pytest.approx(least, abs=EXACT)


# Cell 4: the list of customers at risk, on the third that its model has not seen.


def test_the_tenth_most_at_risk_of_a_held_out_third(rows: list[dict[str, str]], result: ClientAnalysisResult) -> None:
    left = {row["customerID"]: row["Churn"] == "Yes" for row in rows}
    third = [id_ for id_ in left if int(hashlib.sha256(id_.encode()).hexdigest()[:16], 16) % 3 == 0]
    assert result.prediction is not None
    listed = [one.id for one in result.prediction.held_out]
    assert len(set(listed)) == round(len(third) / 10)
    assert set(listed) <= set(third)
    share = sum(left[id_] for id_ in third) / len(third)
    top = Rate(len(listed), sum(left[id_] for id_ in listed))
    lift = top.left / top.customers / share
    assert lift >= 2.6
    check = result.prediction.checks[0]
    assert (check.customers, check.churned) == (len(third), sum(left[id_] for id_ in third))
    assert (check.top, check.top_churned) == top
    assert check.lift == pytest.approx(lift, abs=EXACT)
    assert (check.lift_low, check.lift_high) == pytest.approx([bound / share for bound in wilson(top)], abs=EXACT)
    assert [one.lift >= 2.6 for one in result.prediction.checks] == [True, True, True]


def test_the_customers_at_risk_are_still_there(rows: list[dict[str, str]], result: ClientAnalysisResult) -> None:
    here = {row["customerID"] for row in rows if row["Churn"] == "No"}
    assert result.prediction is not None
    listed = result.prediction.at_risk
    assert len(listed) == result.prediction.at_risk_count == round(len(here) / 10)
    assert {one.id for one in listed} <= here
    assert [one.risk for one in listed] == sorted((one.risk for one in listed), reverse=True)
    assert all(one.reasons for one in listed)


# Cell 5: what people are told holds these figures.


def sentence(name: str, rate: Rate, others: Rate) -> str:
    def percent(share: float) -> str:
        return f"{share * 100:.2f} %"

    low, high = wilson(rate)
    ratio, ratio_low, ratio_high = katz(rate, others)
    return (
        f"{percent(rate.left / rate.customers)} of customers with {name} left ({rate.left:,} of {rate.customers:,}, 95 % interval"
        f" {percent(low)} to {percent(high)}), {rate.left / rate.customers / (1869 / 7043):.2f} times the average and {ratio:.2f}"
        f" times the rate of all others ({ratio_low:.2f} to {ratio_high:.2f})."
    )


def test_the_findings_say_so(rows: list[dict[str, str]], result: ClientAnalysisResult) -> None:
    counted = groups(rows)
    for name in ("Contract = Month-to-month", "tenure up to 12", "PaymentMethod = Electronic check"):
        rate = counted[name]
        assert sentence(name, rate, Rate(7043 - rate.customers, 1869 - rate.left)) in result.findings
