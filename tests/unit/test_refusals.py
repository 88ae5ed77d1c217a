"""When a provider may be asked again, in both forms of the header, and what is told of what it says."""

from datetime import UTC, datetime

import pytest

from adapters.refusals import RETRY_AFTER_S_DEFAULT, RETRY_AFTER_S_MAX, retry_after_s, said

NOW = datetime(2026, 11, 29, 17, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("17", 17),
        ("0.2", 1),
        ("-3", 1),
        ("99999", RETRY_AFTER_S_MAX),
        ("Sun, 29 Nov 2026 17:00:42 GMT", 42),
        ("Sunday, 29-Nov-26 17:00:42 GMT", 42),
        ("Sun Nov 29 17:00:42 2026", 42),
        ("Sun, 29 Nov 2026 18:00:42 +0100", 42),
        ("Sun, 29 Nov 2026 16:00:00 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_S_MAX),
        *[
            (other, RETRY_AFTER_S_DEFAULT)
            for other in ("", None, "soon", "inf", "nan", "Sun, 99 Nov 2026", "1, 2", "," * 9)
        ],
    ],
)
def test_both_forms_of_retry_after_are_read_and_bounded(given: str | None, seconds: int) -> None:
    assert retry_after_s(given, NOW) == seconds


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b"plain\x00 text\xff", "plain text\ufffd"),
        (b'{"error": {"message": "m", "type": "t"}}', "m"),
        (b'{"error": "m"}', "m"),
        (b'{"message": "m"}', "m"),
        (b'{"detail": 1}', '{"detail": 1}'),
        (b'{"error": null}', '{"error": null}'),
        (b"[" * 100_000, "[" * 299 + "\u2026"),
    ],
)
def test_the_message_is_taken_out_of_what_was_said(body: bytes, text: str) -> None:
    assert said(body) == text
