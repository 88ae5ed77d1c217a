"""Which of two uploaded profiles is the earlier: as the question says, else as they were recorded, else as they were imported."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct

from actors.artemis.tools.profiles import Profile

_EARLIER = "before|earlier|older|old|baseline|previous|first|from"
_LATER = "after|afterwards|later|newer|new|current|latest|now|to"
_FILL = r"(?:(?:the|is|was|profile|one|recorded|taken)\s+)*"


class Upload(Struct, frozen=True, kw_only=True):
    """What a stored profile is called, and when it was stored or changed last."""

    title: str
    imported: datetime | None = None


def in_order(question: str, uploads: Sequence[Upload], profiles: Sequence[Profile]) -> tuple[tuple[int, int], str]:
    """The places of the earlier and of the later of two, and the sentence that says which is which, and by what."""
    said = _said(question, [one.title for one in uploads])
    recorded = [_moment(one.recorded) for one in profiles]
    imported = [one.imported for one in uploads]
    for order, by, moments in (
        (said, "as the question says", (None, None)),
        (_by(recorded), "by the times that stand in them", recorded),
        (_by(imported), "by when they were imported", imported),
    ):
        if order is not None:
            earlier, later = (f"“{uploads[at].title}”{_at(moments[at])}" for at in order)
            return order, f"The earlier profile is {earlier}, the later {later}, {by}."
    titles = [one.title for one in uploads]
    order = (0, 1) if titles[0] <= titles[1] else (1, 0)
    return order, (
        f"Which profile is the earlier cannot be told: neither the question nor their times say it. “{titles[order[0]]}” is"
        f" taken for the earlier, “{titles[order[1]]}” for the later; say “from … to …” to have it otherwise."
    )


def _by(moments: Sequence[datetime | None]) -> tuple[int, int] | None:
    first, second = moments
    if first is None or second is None or first == second:
        return None
    return (0, 1) if first < second else (1, 0)


def _at(moment: datetime | None) -> str:
    return f" ({moment:%Y-%m-%d %H:%M:%S})" if moment else ""


def _moment(seconds: float | None) -> datetime | None:
    """None for a number of seconds that is no time."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def _said(question: str, titles: Sequence[str]) -> tuple[int, int] | None:
    """By the question's words beside both names; None where it does not name both, or says one thing and another."""
    names = [_name(title) for title in titles]
    text = " ".join(question.lower().split())
    if not all(one and one in text for one in names) or names[0] == names[1]:
        return None
    # The longer name first: it may begin with the other.
    for at in sorted((0, 1), key=lambda at: -len(names[at])):
        text = re.sub(rf"(?<![\w.]){re.escape(names[at])}(?!\w|\.\w)", f"\x01{at}\x02", text)
    orders = {
        order
        for order in ((0, 1), (1, 0))
        for one, other in [(f"\x01{order[0]}\x02", f"\x01{order[1]}\x02")]
        if re.search(rf"{one}\s+{_FILL}(?:before|earlier than|older than|to|until)\s+{_FILL}{other}", text)
        or re.search(rf"{other}\s+{_FILL}(?:after|later than|newer than|since)\s+{_FILL}{one}", text)
    }
    if not orders:
        orders = _labelled(text)
    return orders.pop() if len(orders) == 1 else None


def _labelled(text: str) -> set[tuple[int, int]]:
    """By a word of earlier or later beside each name (`before: a, after: b`, `a (old) and b (new)`)."""
    found: set[tuple[int, int]] = set()
    for words, earlier in ((_EARLIER, True), (_LATER, False)):
        for at in (0, 1):
            name = f"\x01{at}\x02"
            if re.search(rf"\b(?:{words})\s*[:=]?\s*{_FILL}{name}", text) or re.search(
                rf"{name}\s*(?:\(|is\s|was\s|as\s)\s*{_FILL}(?:{words})\b", text
            ):
                found.add((at, 1 - at) if earlier else (1 - at, at))
    return found


def _name(title: str) -> str:
    return title.lower().removeprefix("profile").strip()
