"""Conditions of questions: on the real churn table and on random ones the figures of a group are those pandas counts."""

import io
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.intents import meant
from actors.sophia.teams import client_analysis
from actors.sophia.tools.asked import answers, mean
from actors.sophia.tools.client_analysis import analyse_clients
from actors.sophia.tools.conditions import read
from actors.tables import Table, percent, read_table
from adapters.extractive import compose
from contracts.model import Prompt
from tests.unit.test_churn_notebook import TABLE


@pytest.fixture(scope="module")
def telco() -> Table:
    assert TABLE.exists(), f"the real data is missing: {TABLE} (set DIARCHY_TEST_DATA)"
    return read_table(TABLE.read_bytes())


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.read_csv(TABLE)


@pytest.mark.parametrize(
    ("question", "query"),
    [
        (
            "churn rate of customers with tenure above 60 who pay by mailed check",
            "tenure > 60 and PaymentMethod == 'Mailed check'",
        ),
        ("What is the churn rate for women?", "gender == 'Female'"),
        ("Do senior citizens without online security leave?", "SeniorCitizen == 1 and OnlineSecurity == 'No'"),
        ("customers with partner and dependents", "Partner == 'Yes' and Dependents == 'Yes'"),
        ("customers without internet service", "InternetService == 'No'"),
        (
            "who pays more than 80 a month and is on month-to-month?",
            "MonthlyCharges > 80 and Contract == 'Month-to-month'",
        ),
        ("customers on one year or two-year contracts", "Contract in ('One year', 'Two year')"),
        ("fibre optic, but not month-to-month", "InternetService == 'Fiber optic' and Contract != 'Month-to-month'"),
        ("with between 10 and 20 months of tenure", "10 <= tenure <= 20"),
        ("total charges of at least 1,000 and tenure of 12", "TotalCharges >= 1000 and tenure == 12"),
        ("customers paying 80 or more", "MonthlyCharges >= 80"),
        ("churn rate of customers who are not on a month-to-month contract", "Contract != 'Month-to-month'"),
        ("churn of customers that do not pay by electronic check", "PaymentMethod != 'Electronic check'"),
        ("customers with neither a partner nor dependents", "Partner == 'No' and Dependents == 'No'"),
        ("customers with neither online security nor tech support", "OnlineSecurity == 'No' and TechSupport == 'No'"),
        ("customers without a partner or dependents", "Partner == 'No' and Dependents == 'No'"),
        ("customers who pay by a method other than mailed check", "PaymentMethod != 'Mailed check'"),
        (
            "churn of customers with a partner except those on two-year contracts",
            "Partner == 'Yes' and Contract != 'Two year'",
        ),
        ("customers with a contract other than one year or two year", "Contract == 'Month-to-month'"),
        ("customers who aren’t women and pay by mailed check", "gender == 'Male' and PaymentMethod == 'Mailed check'"),
        ("customers who never use paperless billing", "PaperlessBilling == 'No'"),
        (
            "non-senior customers excluding those with fiber optic",
            "SeniorCitizen == 0 and InternetService != 'Fiber optic'",
        ),
        ("not only women but seniors", "gender == 'Female' and SeniorCitizen == 1"),
        ("women who do not pay more than 80 a month", "gender == 'Female' and MonthlyCharges <= 80"),
        ("senior clients on fiber optic", "SeniorCitizen == 1 and InternetService == 'Fiber optic'"),
        ("customers with streaming TV and phone service", "StreamingTV == 'Yes' and PhoneService == 'Yes'"),
        ("customers with exactly 72 months of tenure", "tenure == 72"),
    ],
)
def test_a_group_of_the_real_table(telco: Table, frame: pd.DataFrame, question: str, query: str) -> None:
    frame = frame.assign(TotalCharges=pd.to_numeric(frame.TotalCharges, errors="coerce"))
    wanted = frame.index.isin(frame.query(query).index)
    assert read(telco, question).members(telco.rows) == tuple(wanted)
    left = int((frame.Churn[wanted] == "Yes").sum())
    rate = f"{percent(left / wanted.sum())} of customers with "
    assert any(
        one.startswith(rate) and f"({left:,} of {wanted.sum():,}, 95 % interval" in one
        for one in answers(telco, read(telco, question), question)
    )


def test_what_is_not_understood_is_told(telco: Table) -> None:
    assert read(telco, "churn of women in Zurich born before 1980").unread == ("“in Zurich born”", "“before 1980”")
    unit = read(telco, "customers with us for more than 5 years")
    assert unit.conditions == ()
    assert unit.unread == ("“more than 5 years” (column tenure does not say whether it is in months)",)
    for plain in (
        "Which customers are most at risk and why?",
        "Why do customers leave?",
        "how many customers do we have",
    ):
        assert read(telco, plain).unread == ()
        assert read(telco, plain).conditions == ()


@pytest.mark.parametrize(
    ("question", "unread"),
    [
        ("customers who did not complain about fiber optic", "“not complain about fiber optic”"),
        ("customers not without a partner", "“not without a partner”"),
        ("customers not in Zurich and on fiber optic", "“not in Zurich”"),
    ],
)
def test_a_negation_that_cannot_be_bound_is_told_and_never_answered_for_the_opposite(
    telco: Table, question: str, unread: str
) -> None:
    reading = read(telco, question)
    assert unread in reading.unread
    assert "Fiber" not in reading.name() or "and on fiber" in question
    assert "Partner" not in reading.name()


@pytest.mark.parametrize(
    ("question", "query"),
    [
        ("customers not on the Pro plan", "Plan != 'Pro'"),
        ("clients outside the North", "Region != 'North'"),
        ("non-VIP clients on Pro", "VIP == 'No' and Plan == 'Pro'"),
        ("VIP clients in the South on Pro", "VIP == 'Yes' and Region == 'South' and Plan == 'Pro'"),
    ],
)
def test_words_of_another_table_are_denied_alike(question: str, query: str) -> None:
    rows = [
        f"{p},{r},{v},{c}"
        for p in ("Pro", "Basic")
        for r in ("North", "South")
        for v in ("Yes", "No")
        for c in ("Yes", "No")
    ]
    text = "Plan,Region,VIP,Churn\n" + "\n".join(rows * 4)
    frame = pd.read_csv(io.StringIO(text))
    reading = read(read_table(text.encode()), question)
    assert reading.unread == ()
    assert reading.members(len(frame)) == tuple(frame.index.isin(frame.query(query).index))


@pytest.mark.parametrize(
    ("question", "unread"),
    [
        ("How many customers are on a five-year contract?", "“five-year contract”"),
        ("How many customers who left last month were there?", "“last month”"),
        ("How many left-handed customers do we have?", "“left-handed”"),
        ("How many custmers use electonic check?", "“electonic check”"),
        ("How many customers have streaming?", "“streaming”"),
        (
            "churn of customers with less than a year of tenure",
            "“less than a year” (column tenure does not say whether it is in months)",
        ),
    ],
)
def test_the_count_of_all_never_stands_for_that_of_a_group_that_is_not_known(
    telco: Table, question: str, unread: str
) -> None:
    reading = read(telco, question)
    assert unread in reading.unread
    assert reading.conditions == ()
    first, *_ = analyse_clients(telco, question).findings
    assert first.startswith("Not taken into account")
    assert unread in first


@pytest.mark.parametrize(
    "question",
    [
        "How high is the churn rate?",
        "What is our churn rate and how can we reduce it?",
        "What is the churn rate by gender?",
        "What is the average tenure of leavers?",
        "How many of our customers pay more than 80 a month?",
        "How many customers with streaming TV and phone service left?",
    ],
)
def test_words_that_restrict_nothing_are_not_told(telco: Table, question: str) -> None:
    assert read(telco, question).unread == ()


def test_years_are_months_where_the_column_says_that_it_is_in_months() -> None:
    table = read_table(b"tenure_months,churned\n" + b"".join(b"%d,no\n" % n for n in range(100)))
    assert sum(read(table, "customers for more than 5 years").members(100)) == 39
    assert sum(read(table, "customers with less than a year of tenure").members(100)) == 12


IN_ZURICH = "Not taken into account, for nothing that is known of these customers goes by that name: “in Zurich”"


@pytest.mark.parametrize(
    ("question", "first", "also"),
    [
        ("churn of customers with tenure above 60 who pay by mailed check", "(1 of 132,", "26.54 % (1,869 of 7,043)"),
        (
            "What is the churn rate for women?",
            "26.92 % of customers with gender = Female (“women”) left (939 of 3,488",
            "26.54 %",
        ),
        (
            "What is the average monthly charge of customers who left?",
            "is 74.44 (mean of column MonthlyCharges",
            "79.65",
        ),
        (
            "What percentage of customers are women?",
            "49.52 % of all customers are customers with gender = Female (“women”) (3,488 of 7,043,",
            "48.36 %",
        ),
        (
            "What is the highest monthly charge of women?",
            "The highest MonthlyCharges of customers with gender = Female (“women”) is 118.75",
            "26.92 %",
        ),
        ("How many customers do we have?", "7,043 in all", "5,174 of them are still here and 1,869 left"),
        (
            "Does paying by electronic check cause churn?",
            "45.29 % of 2,365 such customers left",
            "association, not cause, for no",
        ),
        ("Why do customers leave?", "Contract = Month-to-month (42.71 % of 3,875 left", "association, not cause"),
        ("How many women in Zurich left?", "3,488 of 7,043", IN_ZURICH),
        (
            "What percentage of customers on two year contracts left?",
            "2.83 % of customers with Contract = Two year left",
            "26.54 %",
        ),
    ],
)
def test_the_summary_answers_what_was_asked(telco: Table, question: str, first: str, also: str) -> None:
    findings = analyse_clients(telco, question).findings
    assert first in findings[0]
    asked = Prompt(
        role="r", question=question, sections=client_analysis.sections, evidence=(), findings=findings, computed=True
    )
    summary = compose(asked).sections["summary"]
    assert first in summary
    assert also in summary


def test_what_is_asked_without_the_word_customer_is_still_what_the_tool_is_for() -> None:
    for question in (
        "How many women left?",
        "median tenure of leavers",
        "the highest monthly charge",
        "Do seniors stay?",
    ):
        assert meant("client_analysis", question)
    assert not meant("client_analysis", "How many managers approve letters?")


PLANS = ("Basic", "Family pack", "Pro")
REGIONS = ("North", "South east")


@st.composite
def asked(draw: st.DrawFn) -> tuple[str, str, str]:
    """A table as CSV, a question on it, and the same as pandas has it."""
    row = st.tuples(
        st.sampled_from(PLANS),
        st.sampled_from(REGIONS),
        st.sampled_from(("Yes", "No")),
        st.integers(0, 90),
        st.sampled_from(("Yes", "No")),
    )
    rows = draw(st.lists(row, min_size=30, max_size=60))
    everything = [(plan, region, "Yes", 5, "No") for plan in PLANS for region in REGIONS] + [
        ("Pro", "North", "No", 7, "Yes")
    ]
    lines = [f"{p},{r},{s},{n},{c}" for p, r, s, n, c in (*everything * 4, *rows)]
    plan, region, limit = draw(st.sampled_from(PLANS)), draw(st.sampled_from(REGIONS)), draw(st.integers(0, 90))
    words, sign = draw(
        st.sampled_from((("above", ">"), ("at least", ">="), ("below", "<"), ("at most", "<="), ("exactly", "==")))
    )
    support, cell = draw(st.sampled_from((("with", "Yes"), ("without", "No"))))
    parts = [
        (f"on {plan}", f"Plan == '{plan}'"),
        (f"in the {region.lower()}", f"Region == '{region}'"),
        (f"{support} phone support", f"PhoneSupport == '{cell}'"),
        (f"with orders {words} {limit}", f"Orders {sign} {limit}"),
    ]
    chosen = draw(st.lists(st.sampled_from(parts), min_size=1, max_size=4, unique=True))
    question = f"How many customers {' and '.join(said for said, _ in chosen)} left?"
    return (
        "Plan,Region,PhoneSupport,Orders,Churn\n" + "\n".join(lines),
        question,
        " and ".join(query for _, query in chosen),
    )


@given(asked())
def test_a_group_of_any_table_is_what_pandas_counts(case: tuple[str, str, str]) -> None:
    text, question, query = case
    table, frame = read_table(text.encode()), pd.read_csv(io.StringIO(text))
    reading = read(table, question)
    wanted = frame.query(query)
    assert reading.unread == ()
    assert reading.members(table.rows) == tuple(frame.index.isin(wanted.index))
    counted, *rates = answers(table, reading, question)
    assert f": {len(wanted):,} of {len(frame):,};" in counted
    left = int((wanted.Churn == "Yes").sum())
    if len(wanted):
        assert f" left ({left:,} of {len(wanted):,}, 95 % interval" in rates[0]
    column = table.named("Orders")
    assert column is not None
    held = mean([value for value, member in zip(column.numbers, reading.members(table.rows), strict=True) if member])
    assert (held is None) == wanted.empty
    if held is not None:
        assert (held.mean, held.median) == pytest.approx((wanted.Orders.mean(), wanted.Orders.median()))


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    table = read_table(b"plan,orders,churned\n" + b"basic,1,yes\npro,2,no\nbasic,3,no\n" * 8)
    reading = read(table, text)
    assert len(reading.members(table.rows)) == table.rows
    assert all(re.match("“", one) for one in reading.unread)
