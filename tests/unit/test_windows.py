"""The windows of time that questions speak of."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.artemis.windows import LONGEST, windows

ASKED = datetime(2026, 11, 29, 22, 45, tzinfo=UTC)
MIDNIGHT = ASKED.replace(hour=0, minute=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("question", "since", "until", "said"),
    [
        ("Which operations are slowest?", ASKED - HOUR, ASKED, "last hour"),
        ("Is anything unusual in the last 15 minutes?", ASKED - HOUR / 4, ASKED, "last 15 minutes"),
        ("Slowest within the past two days?", ASKED - 2 * DAY, ASKED, "last 2 days"),
        ("What was unusual yesterday?", MIDNIGHT - DAY, MIDNIGHT, "yesterday"),
        ("Anything strange since yesterday?", MIDNIGHT - DAY, ASKED, "since yesterday"),
        ("Which are slowest today?", MIDNIGHT, ASKED, "today"),
        ("What happened since 21:30?", ASKED - timedelta(minutes=75), ASKED, "since 21:30"),
        ("What happened since 23:00?", ASKED - timedelta(hours=23, minutes=45), ASKED, "since 23:00"),
        ("Slowest of the last 900 weeks", ASKED - LONGEST, ASKED, "last week"),
    ],
)
def test_a_window_of_a_question(question: str, since: datetime, until: datetime, said: str) -> None:
    found = windows(question, ASKED)
    assert (found.since, found.until, found.said, found.compares) == (since, until, said, False)


@pytest.mark.parametrize(
    ("question", "since", "before"),
    [
        ("What got slower since yesterday?", MIDNIGHT, (MIDNIGHT - DAY, ASKED - DAY)),
        ("Is it slower today than yesterday?", MIDNIGHT, (MIDNIGHT - DAY, ASKED - DAY)),
        ("What got slower in the last hour?", ASKED - HOUR, (ASKED - 2 * HOUR, ASKED - HOUR)),
        ("Is it faster than 10 minutes ago?", ASKED - HOUR / 6, (ASKED - HOUR / 3, ASKED - HOUR / 6)),
        ("Any regressions?", ASKED - HOUR, (ASKED - 2 * HOUR, ASKED - HOUR)),
    ],
)
def test_two_windows_of_a_question(question: str, since: datetime, before: tuple[datetime, datetime]) -> None:
    found = windows(question, ASKED)
    assert found.compares
    assert (found.since, found.until, (found.before_since, found.before_until)) == (since, ASKED, before)


@given(
    st.text(max_size=80) | st.sampled_from(["last 99999 weeks", "0 seconds ago", "since 99:99", "since 00:00 today"])
)
def test_any_text_has_a_window_that_is_not_empty_and_one_before_it(question: str) -> None:
    found = windows(question, ASKED)
    assert found.since < found.until <= ASKED
    assert found.before_since < found.before_until <= found.until
    assert found.until - found.since <= LONGEST
