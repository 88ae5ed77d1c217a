"""When timers fire: cron expressions, intervals, and what is refused."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import OutcomeError
from runtime.schedule import HORIZON_S_MAX, Cron, Every, When, check, next_after

NOW = datetime(2026, 11, 21, 4, 8, 35, 250_000, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("0 * * * * *", "2026-11-21T04:09:00"),
        ("36 8 4 * * *", "2026-11-21T04:08:36"),
        ("35 8 4 * * *", "2026-11-22T04:08:35"),
        ("0 30 8 * * mon-fri", "2026-11-23T08:30:00"),
        ("0 */15 * * * *", "2026-11-21T04:15:00"),
        ("0 10-50/20 5,6 * * *", "2026-11-21T05:10:00"),
        ("0 0 0 1 JAN *", "2027-01-01T00:00:00"),
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
        ("0 0 0 1 * 3", "2026-11-25T00:00:00"),  # both days restricted: either suffices
        ("0 0 0 13 * */1", "2026-12-13T00:00:00"),
        ("0 0 0 */9 * sun", "2026-11-22T00:00:00"),
        ("0 0 22/2 ? * ?", "2026-11-21T22:00:00"),
        ("59 59 23 31 12 *", "2026-12-31T23:59:59"),
    ],
)
def test_the_next_time(expression: str, wanted: str) -> None:
    assert next_after(Cron(expression), NOW) == datetime.fromisoformat(wanted).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("* * * * *", "six fields"),
        ("0 0 0 1 1 * 2026", "six fields"),
        ("", "six fields"),
        ("* * * * * *", "Every is for"),
        ("0,30 * * * * *", "Every is for"),
        ("0 60 * * * *", "minute '60': must be 0 to 59"),
        ("0 0 24 * * *", "hour"),
        ("0 0 0 0 * *", "day of month '0': must be 1 to 31"),
        ("0 0 0 1 13 *", "month"),
        ("0 0 0 * * 7", "day of week '7': must be 0 to 6 or sun, mon"),
        ("0 5-1 * * * *", "begins after its end"),
        ("0 */0 * * * *", "step"),
        ("0 1/ * * * *", "step"),
        ("0 , * * * *", "minute"),
        ("0 1-2-3 * * * *", "minute"),
        ("0 ٣ * * * *", "minute"),  # a digit, but not one of ours
        ("0 0 0 30 feb *", "no moment"),
        ("0 " + ",".join("0" * 200) + " * * * *", "200 characters"),
    ],
)
def test_what_is_no_cron_expression_says_why(expression: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Cron(expression)


def test_an_interval_is_a_second_to_a_year() -> None:
    assert next_after(Every(90), NOW) == NOW + timedelta(seconds=90)
    for seconds in (0, -1, 366 * 86_400 + 1):
        with pytest.raises(ValueError, match=f"every {seconds} seconds"):
            Every(seconds)


@pytest.mark.parametrize("when", [NOW, Every(5), Cron("0 0 9 * * *")])
def test_a_time_travels_as_json(when: When) -> None:
    assert msgspec.json.decode(msgspec.json.encode(when), type=When) == when


def test_what_is_decoded_is_checked_too() -> None:
    with pytest.raises(msgspec.ValidationError, match="hour"):
        msgspec.json.decode(b'{"type":"cron","expression":"0 0 25 * * *"}', type=When)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "*", "ü", "x" * 129, "a\n"])
def test_a_name_is_a_token(name: str) -> None:
    with pytest.raises(OutcomeError, match="timer name"):
        check(name, NOW, NOW)


def test_a_moment_has_a_zone_and_is_not_too_far() -> None:
    check("x", NOW + timedelta(seconds=HORIZON_S_MAX), NOW)
    check("x", NOW - timedelta(days=4_000), NOW)
    with pytest.raises(OutcomeError, match="away"):
        check("x", NOW + timedelta(seconds=HORIZON_S_MAX + 1), NOW)
    with pytest.raises(OutcomeError, match="time zone"):
        check("x", NOW.replace(tzinfo=None), NOW)


_fields = [(0, 59), (0, 59), (0, 23), (1, 28), (1, 12), (0, 6)]


@given(
    numbers=st.tuples(*(st.integers(low, high) for low, high in _fields)),
    free=st.sets(st.integers(1, 5)),
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - given there
)
def test_the_next_time_is_later_fits_and_is_the_first(
    numbers: tuple[int, ...], free: set[int], moment: datetime
) -> None:
    cron = Cron(" ".join("*" if field in free else str(number) for field, number in enumerate(numbers)))
    found = next_after(cron, moment)
    assert found > moment
    shown = (found.second, found.minute, found.hour, found.day, found.month, found.isoweekday() % 7)
    fits = [field in free or shown[field] == numbers[field] for field in range(6)]
    assert all(fits[:3])
    assert fits[4]
    assert (fits[3] or fits[5]) if not {3, 5} & free else (fits[3] and fits[5])
    assert next_after(cron, found - timedelta(microseconds=1)) == found
    assert next_after(cron, moment + (found - moment) / 2) in (found, next_after(cron, found - timedelta(seconds=1)))
