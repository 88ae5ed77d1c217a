"""Pairs after what a second fresh reviewer tried on 2026-11-30: their findings, worded again from their report.

The rules were changed for them, all that are still missed included. Docs/adr/0038 has the figures, tests/unit/test_comparing.py a
floor.
"""

from tests.comparison_pairs import A, C, Pair, R

STRANGER = (
    Pair(
        "Sign a 400,000 EUR contract without asking the board.",
        "Contracts above 250,000 EUR need the approval of the board.",
        C,
    ),
    Pair("Sign a 400,000 EUR contract.", "Contracts above 250,000 EUR need the approval of the board.", R),
    Pair("The new biscuit is made without palm oil.", "Palm oil is banned from all our recipes.", A),
    Pair("Remove palm oil from all recipes.", "Palm oil is banned from all our recipes.", A),
    Pair("Give a warranty of 2 years on all machines.", "We give a warranty of at least five years on machines.", C),
    Pair("Give a 6-year warranty on all machines.", "We give a warranty of at least five years on machines.", A),
    Pair("Pay interns 1,500 CHF monthly.", "Interns are paid at least 2,000 CHF a month.", C),
    Pair("Deliver spare parts within 60 days.", "The delivery time of spare parts is not above 40 days.", C),
    Pair("Access logs are kept for one year.", "Access logs are deleted after 90 days.", C),
    Pair("Delete access logs after 60 days.", "Access logs are deleted after 90 days at the latest.", A),
    Pair("Buy diesel vans until 2032.", "All vans are electric by 2028.", C),
    Pair("Buy 45 % of our parts from Bosch.", "No supplier delivers more than 30 % of our parts.", C),
    Pair("Buy 45 % of our parts from Bosch.", "No supplier has a share above 30 % of our parts.", C),
    Pair("Write the new service in Python.", "New services are written only in Java or Kotlin.", C),
    Pair("Run adverts for the biscuit on children's television.", "We do not advertise to children.", C),
    Pair("Give customers a 10 % discount.", "Customers get a discount of at most 15 %.", A),
)
