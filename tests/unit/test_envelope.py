"""Headers become the envelope they were made of, whether they are read line by line or as one text."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from adapters.nats_wire import parse_header_lines
from contracts.domains import Clearance, Domain
from contracts.envelope import Envelope, from_header_text, from_headers, header_text

TEXTS = st.text(max_size=20)
PERHAPS = st.none() | TEXTS
TIMES = st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001 - the zone is drawn
    datetime(2990, 1, 1),  # noqa: DTZ001
    timezones=st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
ENVELOPES = st.builds(
    Envelope,
    id=TEXTS,
    type=TEXTS,
    time=TIMES,
    correlation=TEXTS,
    principal=TEXTS,
    source=st.sampled_from(Domain),
    causation=PERHAPS,
    reaction=PERHAPS,
    target=st.none() | st.sampled_from(Domain),
    clearance=st.sampled_from(Clearance),
    label=st.sampled_from(Clearance),
    priority=st.integers(0, 99),
    response_required=st.booleans(),
    reply_to=PERHAPS,
    deadline=st.none() | TIMES,
    idempotency_key=PERHAPS,
    traceparent=PERHAPS,
    prev=PERHAPS,
    hash=PERHAPS,
)
ONE = Envelope(
    id="i",
    type="t",
    time=datetime(2026, 1, 2, tzinfo=UTC),
    correlation="c",
    principal="p",
    source=Domain.SOPHIA,
    hash="h",
)
LINES = [f"{line}\r\n" for line in header_text(ONE).split("\r\n")[:-1]]


def by_lines(text: str) -> Envelope | None:
    try:
        return from_headers(parse_header_lines(text.encode()))
    except ValueError:
        return None


@given(ENVELOPES, st.sampled_from(["", "\r\n", "Nats-Msg-Id: x\r\nNats-Sequence: 7\r\n\r\n"]))
def test_the_text_says_what_its_lines_say(envelope: Envelope, behind: str) -> None:
    text = header_text(envelope)
    found = from_header_text(text + behind)
    assert found is not None
    assert found == by_lines(text + behind)
    if not {"\r", "\n"}.intersection("".join(_texts(envelope))):
        assert found == envelope


@given(
    st.lists(st.sampled_from([*LINES, "Diarchy-Id: other\r\n", "Diarchy-Label: unheard\r\n", "X: y\r\n"]), max_size=20)
)
def test_lines_in_another_order_are_left_to_whoever_reads_each(lines: list[str]) -> None:
    text = "".join(lines)
    try:
        found = from_header_text(text)
    except ValueError:
        assert by_lines(text) is None
    else:
        assert found in (None, by_lines(text))


def test_what_is_doubled_or_stands_behind_is_not_overlooked() -> None:
    assert from_header_text("".join(LINES)) == ONE
    assert from_header_text("".join([*LINES, "Diarchy-Id: other\r\n"])) is None
    assert from_header_text("".join(reversed(LINES))) is None


def _texts(envelope: Envelope) -> list[str]:
    return [value for name in Envelope.__struct_fields__ if isinstance(value := getattr(envelope, name), str)]
