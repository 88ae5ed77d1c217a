"""How `company/customers.csv` was made: 400 invented customers of Tidewick Networks from a fixed seed.

Run `python -m deploy.demo.customers` to print the table again; a test holds the file to it.
"""

import csv
import io
import math
import random

SEED = 20_261_031
CUSTOMERS = 400
HEADER = (
    "customer_id",
    "segment",
    "region",
    "product",
    "contract",
    "payment_method",
    "onboarding",
    "tenure_months",
    "support_tickets",
    "monthly_charge_eur",
    "total_charges_eur",
    "churned",
)
_SEGMENTS = {"small_business": 52, "mid_market": 28, "public_sector": 12, "enterprise": 8}
_CONTRACTS = {
    "small_business": (62, 26, 12),
    "mid_market": (30, 42, 28),
    "public_sector": (8, 40, 52),
    "enterprise": (6, 34, 60),
}
_CHARGES_EUR = {"small_business": 89.0, "mid_market": 240.0, "public_sector": 310.0, "enterprise": 940.0}
_LEAVING = {"month_to_month": 0.95, "one_year": -0.55, "two_year": -1.6}


def table() -> str:
    """The CSV text, the same on every run."""
    chance = random.Random(SEED)  # noqa: S311 - invented data, no secret
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for number in range(CUSTOMERS):
        writer.writerow(_customer(chance, number))
    return text.getvalue()


def _customer(chance: random.Random, number: int) -> list[object]:
    segment = chance.choices(list(_SEGMENTS), list(_SEGMENTS.values()))[0]
    contract = chance.choices(list(_LEAVING), _CONTRACTS[segment])[0]
    region = chance.choices(("coast", "valley", "city", "highlands"), (30, 25, 33, 12))[0]
    product = chance.choices(("fibre", "fibre_voice", "managed_network"), (52, 33, 15))[0]
    payment = chance.choices(("invoice", "direct_debit", "card"), (44, 38, 18))[0]
    onboarding = chance.choices(("assisted", "self"), (58, 42))[0]
    longest = 24 if contract == "month_to_month" else 72
    tenure = max(1, min(longest, round(chance.expovariate(1 / (10 if contract == "month_to_month" else 30)))))
    tickets = min(12, int(chance.expovariate(1 / (2.6 if segment == "small_business" else 1.7))))
    factor = {"fibre": 1.0, "fibre_voice": 1.25, "managed_network": 1.7}[product]
    charge = round(_CHARGES_EUR[segment] * factor * chance.uniform(0.85, 1.2), 2)
    leaning = (
        -2.75
        + _LEAVING[contract]
        + (0.55 if segment == "small_business" else -0.35)
        + 0.28 * tickets
        + (0.6 if tenure <= 12 else -0.3)
        + (0.35 if payment == "invoice" else 0.0)
        + (0.25 if onboarding == "self" else 0.0)
    )
    churned = chance.random() < 1 / (1 + math.exp(-leaning))
    total = round(charge * tenure * chance.uniform(0.98, 1.0), 2)
    figures = [tenure, tickets, f"{charge:.2f}", f"{total:.2f}", "yes" if churned else "no"]
    return [f"TW-{1001 + number}", segment, region, product, contract, payment, onboarding, *figures]


if __name__ == "__main__":
    print(table(), end="")  # noqa: T201 - what it is for
