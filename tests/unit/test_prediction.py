"""Who will leave, on tables that nobody has seen: sound whatever the columns are, and right where the truth is known."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.sophia.tools.client_analysis import ClientAnalysisResult, analyse_clients
from actors.sophia.tools.design import independent
from actors.sophia.tools.prediction import fit, third
from actors.tables import read_table
from deploy.demo import customers


def table(seed: int, rows: int, odds: float) -> bytes:
    """Members of a gym, of whom those on trial leave with these odds times those of the others; the rest is noise."""
    dice = random.Random(seed)  # noqa: S311 - a test's choices
    lines = ["member_no,plan,visits,town,lapsed"]
    for number in range(rows):
        trial = dice.random() < 0.4
        chance = 0.2 / 0.8 * (odds if trial else 1.0)
        left = dice.random() < chance / (1 + chance)
        visits = "" if dice.random() < 0.1 else str(dice.randrange(30))
        lines.append(
            f"M{number},{'trial' if trial else 'full'},{visits},{dice.choice('abc')},{'yes' if left else 'no'}"
        )
    return "\n".join(lines).encode()


def analysed(data: bytes) -> ClientAnalysisResult:
    return analyse_clients(read_table(data), "Who will leave?")


def test_customers_at_the_same_risk_for_the_same_reasons_are_named_together() -> None:
    (told,) = [one for one in analysed(customers.table().encode()).findings if one.startswith("The customers most at")]
    assert "TW-1031, TW-1189, TW-1231, TW-1294, predicted risk 51.29 %, reasons contract = month_to_month" in told
    assert told.count("segment = small_business") == 2


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(200, 500), odds=st.floats(1, 8))
def test_the_prediction_is_sound_on_any_table(seed: int, rows: int, odds: float) -> None:
    result = analysed(table(seed, rows, odds))
    found = result.prediction
    if found is None:
        assert result.no_prediction
        return
    assert sum(check.customers for check in found.checks) == rows
    assert sum(check.churned for check in found.checks) == result.churned
    assert found.still_there == rows - result.churned
    assert found.at_risk_count == max(1, round(found.still_there / 10)) == len(found.at_risk)
    for check in found.checks:
        assert 0 <= check.auc <= 1
        assert 0 <= check.brier <= 1
        assert sum(group.customers for group in check.groups) == check.customers
        assert check.lift_low <= check.lift <= check.lift_high
    for one in found.odds:
        assert one.low is None or one.high is None or one.low <= one.ratio <= one.high
    assert all(0 < one.risk < 1 for one in (*found.at_risk, *found.held_out))
    assert all(third(one.id) == 0 for one in found.held_out)
    assert all(0 <= one.low <= one.rate <= one.high <= 1 and one.p <= one.q <= 1 for one in result.rates)


def test_what_was_planted_is_found_with_its_odds() -> None:
    result = analysed(table(7, 6_000, 5.0))
    assert {one.name for one in result.drivers} == {"plan = trial"}
    assert result.prediction is not None
    trial = next(one for one in result.prediction.odds if one.name == "plan = trial")
    assert trial.low is not None
    assert trial.high is not None
    assert trial.low < 5.0 < trial.high
    assert all("plan = trial" in one.reasons[0] for one in result.prediction.at_risk)
    assert any("visits = (missing)" in one.name for one in result.prediction.odds)


def test_the_odds_are_those_of_a_table_of_four_cells() -> None:
    """With one yes-or-no column the maximum likelihood is known: the cross product of the counts, with Woolf's interval."""
    cells = {(1.0, 1.0): 30, (1.0, 0.0): 20, (0.0, 1.0): 10, (0.0, 0.0): 40}
    matrix = np.array([[x] for (x, _), count in cells.items() for _ in range(count)])
    left = np.array([y for (_, y), count in cells.items() for _ in range(count)])
    model = fit(matrix, left)
    assert model.bounds is not None
    log, error = math.log(30 * 40 / (20 * 10)), math.sqrt(1 / 30 + 1 / 20 + 1 / 10 + 1 / 40)
    assert model.coefficients[1] == pytest.approx(log, abs=1e-6)
    assert model.bounds[1] == pytest.approx([log - 1.959964 * error, log + 1.959964 * error], abs=1e-4)


def test_a_group_that_left_as_a_whole_is_penalised_and_has_no_interval() -> None:
    lines = [f"c{number},{'ab'[number % 2]},{'x' if number < 60 else 'y'},{'yes' if number < 60 or number % 5 == 0 else 'no'}"
             for number in range(400)]  # fmt: skip
    result = analysed(("customer_id,kind,group,churned\n" + "\n".join(lines)).encode())
    assert result.prediction is not None
    assert result.prediction.penalised
    assert all(one.low is None for one in result.prediction.odds)
    assert all(math.isfinite(one.ratio) for one in result.prediction.odds)


def test_without_enough_of_both_no_model_is_made_and_that_is_said() -> None:
    lines = [f"c{number},{'ab'[number % 2]},{'yes' if number < 20 else 'no'}" for number in range(300)]
    result = analysed(("customer_id,kind,churned\n" + "\n".join(lines)).encode())
    assert result.prediction is None
    assert "No list of customers at risk was made: only 20 customers left, under 30." in result.findings


def test_a_column_that_names_the_outcome_is_never_used() -> None:
    data = table(3, 600, 4.0).decode().splitlines()
    leaking = [
        f"{data[0]},lapsed_reason",
        *(f"{line},{'price' if line.endswith('yes') else 'none'}" for line in data[1:]),
    ]
    leaking = [line if number % 7 else line.replace("none", "price") for number, line in enumerate(leaking)]
    result = analysed("\n".join(leaking).encode())
    assert result.left_out == ("lapsed_reason",)
    assert result.prediction is not None
    assert not any("lapsed_reason" in one.name for one in result.prediction.odds)


def test_what_others_say_is_left_out() -> None:
    dice = np.random.default_rng(1)
    base = dice.normal(size=(100, 3))
    matrix = np.column_stack([base, base[:, 0] + base[:, 1], np.ones(100), base[:, 2] + 0.01 * base[:, 0]])
    assert independent(matrix).tolist() == [True, True, True, False, False, False]
