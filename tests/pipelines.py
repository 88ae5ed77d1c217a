"""Simulated pipelines: deals that wander through stages at known rates, as rows of a table."""

import csv
import io
import random
from datetime import date, timedelta
from typing import Any

STAGES = ("qualified", "proposal", "negotiation")
ON = (0.6, 0.55, 0.7)  # the chance to go on from each
DAYS = (25, 35, 20)  # the mean stay in each
SEGMENTS = {"small": 0.8, "mid": 1.0, "large": 1.15}
FIRST = date(2023, 1, 2)
TODAY = date(2026, 11, 29)

Row = dict[str, Any]


def simulated(seed: int, *, today: date = TODAY, a_week: float = 3.0) -> tuple[list[Row], list[tuple[date, float]]]:
    """The deals as they are known on that day, and of all that will be won later the day and the value."""
    dice = random.Random(seed)  # noqa: S311 - so that a pipeline can be had again
    rows: list[Row] = []
    later: list[tuple[date, float]] = []
    opened, number = FIRST, 0
    while opened <= today + timedelta(days=120):
        number += 1
        row = _deal(dice, number, opened)
        if opened <= today:
            rows.append(_known(row, today))
        if row["stage"] == "won" and row["closed_date"] > today:
            later.append((row["closed_date"], row["amount_eur"]))
        opened += timedelta(days=max(0, round(dice.expovariate(a_week / 7))))
    return rows, later


def _deal(dice: random.Random, number: int, opened: date) -> Row:
    """Its whole life."""
    segment = dice.choice(list(SEGMENTS))
    row: Row = {
        "deal_id": f"D-{number:04}",
        "account": f"Account {dice.randrange(400)}",
        "segment": segment,
        "amount_eur": round(dice.lognormvariate(9.5, 0.6), 2),
        "opened_date": opened,
        "expected_close": opened + timedelta(days=dice.randint(60, 200)),
    }
    at = opened
    for name, on, days in zip(STAGES, ON, DAYS, strict=True):
        row[f"{name}_date"] = at
        at += timedelta(days=max(1, round(dice.expovariate(1 / days))))
        if dice.random() >= min(0.95, on * SEGMENTS[segment]):
            return {**row, "stage": "lost", "closed_date": at}
    return {**row, "stage": "won", "closed_date": at}


def _known(row: Row, today: date) -> Row:
    known = {name: value for name, value in row.items() if not name.endswith("_date") or value <= today}
    if "closed_date" not in known:
        known["stage"] = [name for name in STAGES if f"{name}_date" in known][-1]
    return known


def table(rows: list[Row]) -> bytes:
    """As CSV."""
    names = ["deal_id", "account", "segment", "amount_eur", "stage", "opened_date", *(f"{one}_date" for one in STAGES)]
    out = io.StringIO()
    writer = csv.DictWriter(out, [*names, "closed_date", "expected_close"])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()
