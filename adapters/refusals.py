"""What a provider says that does not answer: how much of it is told to whom, and when it may be asked again."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from runtime.masking import MASK, mask
from runtime.text import clip

KEY_REFUSED = (401, 403)
TOLD_CHARS_MAX = 300
READ_CHARS_MAX = 2_000  # of what was said
RETRY_AFTER_S_DEFAULT = 5
RETRY_AFTER_S_MAX = 600


def told(status: int, body: bytes, key: str) -> str:
    """For whoever asked, and for his run's log: not what is said of our key, or of what we may do; that is for operators."""
    return f"HTTP {status} (why is in the log of the process)" if status in KEY_REFUSED else detailed(status, body, key)


def detailed(status: int, body: bytes, key: str) -> str:
    """For operators: the status and what was said of it."""
    text = said(body, key)
    return f"HTTP {status}: {text}" if text else f"HTTP {status}"


def said(body: bytes, key: str = "") -> str:
    """The message of an error in OpenAI's form, else all of the text: on one line, cut, without secrets, `key` among them."""
    try:
        found = _message(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        found = None
    text = (body.decode(errors="replace") if found is None else found)[:READ_CHARS_MAX]
    text = mask(text.replace(key, MASK) if key else text)
    return clip(" ".join("".join(sign if sign.isprintable() else " " for sign in text).split()), TOLD_CHARS_MAX)


def _message(answer: object) -> str | None:
    """Servers wrap it once, twice or not at all."""
    for name in ("error", "message"):
        if isinstance(answer, dict):
            answer = answer.get(name, answer)
    return answer if isinstance(answer, str) else None


def retry_after_s(given: str | None, now: datetime) -> int:
    """The seconds of a Retry-After header, which has them or a date; bounded, and a guess where it has neither."""
    try:
        return _bounded(float(given or ""))
    except (ValueError, OverflowError):
        pass
    try:
        at = parsedate_to_datetime(given or "")
    except (ValueError, OverflowError):
        return RETRY_AFTER_S_DEFAULT
    return _bounded(((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())


def _bounded(seconds: float) -> int:
    return min(RETRY_AFTER_S_MAX, max(1, math.ceil(seconds)))
