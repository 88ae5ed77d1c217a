"""When two sources disagree: pairs that can both be true, and pairs that cannot."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ceo import disagreeing
from actors.ceo.stance import stance

TODAY = date(2026, 11, 29)

BOTH_CAN_BE = (
    # of a forbidden case, what stands beside it
    ("Customer data must not be stored outside the EU.", "Customer data is stored in the EU."),
    ("Customer data is never kept beyond the European Union.", "Customer data is kept in the EU."),
    ("Releases do not go out without a security test.", "Releases go out with a security test."),
    ("Customer invoices are not cancelled unless fraud is proven.", "Customer invoices are paid in time."),
    ("The portal does not open before the audit.", "The portal opens for customers in spring."),
    # negations that say the same, or of another day
    ("We do not build our own data centre.", "We buy the data centre."),
    ("The portal is bought, not built.", "The portal is bought from a vendor."),
    ("Sales does not hire in Norway.", "Sales never hires in Norway."),
    ("The portal must not open in May 2027.", "The portal opens in June 2027."),
    # amounts that keep a limit, are written in another unit, or are the other one rounded
    ("The portal may cost at most 500,000 EUR.", "The portal costs 420,000 EUR."),
    ("The support team has at least 5 engineers.", "The support team has 7 engineers."),
    ("The portal may cost up to 500,000 EUR.", "The portal may cost at least 300,000 EUR."),
    ("Churn among business customers was 18 %.", "Churn among business customers was 18.4 %."),
    ("Customer support answers in 2 hours.", "Customer support answers in 120 minutes."),
    ("Revenue from business customers was 1.2 million EUR.", "Revenue from business customers was 1,234,000 EUR."),
    # figures of other times
    ("Churn among business customers was 18 % in May 2026.", "Churn among business customers was 21 % in June 2026."),
    # days that both allow
    ("The customer portal opens by September 2027.", "The customer portal opens before June 2027."),
    ("The customer portal opens by September 2027.", "The customer portal opens in May 2027."),
    ("The customer portal must not open before June 2027.", "The customer portal opens in September 2027."),
    ("The customer portal opens in 2027.", "The customer portal opens on 3 May 2027."),
    ("Billing failed for customers in February 2026.", "Billing failed for customers in June 2026."),
)
ONE_IS_WRONG = (
    ("Customer data must not be stored outside the EU.", "Customer data is stored outside the EU."),
    ("Customer data must not be stored outside the EU.", "Customer data is stored in the US, outside the Union."),
    ("Releases do not go out without a security test.", "Releases go out without a security test."),
    ("Customer data must not be sold.", "Customer data is sold to partners."),
    ("Customer data must not be sold in 2027.", "Customer data is sold in 2027."),
    ("The customer portal opens in May.", "The customer portal is closed in May."),
    ("We build our own data centre.", "We buy the data centre."),
    ("Sales does not hire in Norway.", "Sales hires in Norway."),
    ("The service is sold only through resellers.", "The service is sold through our web shop."),
    ("The portal may cost at most 500,000 EUR.", "The portal costs 620,000 EUR."),
    ("The support team has at least 5 engineers.", "The support team has 3 engineers."),
    ("The support team has at least 9 engineers.", "The support team has at most 7 engineers."),
    ("Churn among business customers was 18 %.", "Churn among business customers was 21 %."),
    ("Churn among business customers was 18 % in 2026.", "Churn among business customers was 21 % in June 2026."),
    ("The customer portal opens before June 2027.", "The customer portal opens in September 2027."),
    ("The customer portal opens by June 2027.", "The customer portal opens after August 2027."),
    ("The customer portal must not open before June 2027.", "The customer portal opens in May 2027."),
    ("The customer portal opens in May 2027.", "The customer portal opens in June 2027."),
)


def disagree(one: str, other: str) -> bool:
    return disagreeing.disagree(stance(one, TODAY), stance(other, TODAY), TODAY)


@pytest.mark.parametrize(("one", "other"), BOTH_CAN_BE)
def test_what_can_both_be_true_is_no_disagreement(one: str, other: str) -> None:
    assert not disagree(one, other)


@pytest.mark.parametrize(("one", "other"), ONE_IS_WRONG)
def test_what_cannot_both_be_true_is(one: str, other: str) -> None:
    assert disagree(one, other)


def test_what_is_about_other_things_is_none() -> None:
    assert not disagree("The customer portal opens in May.", "Sales opened an office.")
    assert not disagree("Churn was 18 %.", "Churn is 21 %."), "one word is no topic"


SAID = st.sampled_from([text for pair in (*BOTH_CAN_BE, *ONE_IS_WRONG) for text in pair])


@given(SAID, SAID)
def test_it_does_not_matter_who_says_which(one: str, other: str) -> None:
    assert disagree(one, other) == disagree(other, one)


@given(SAID)
def test_nothing_disagrees_with_itself(text: str) -> None:
    assert not disagree(text, text)
