"""Dead letters for a terminal: a table, a page, a line."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from contracts.domains import Clearance
from contracts.kernel import DeadLetter
from contracts.letters import LetterOutcome
from deploy.rendering import clean, shortened, table
from runtime.letters import view_of

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = ("Id", "Time", "Subject", "Reason", "Tries", "Back")
REASON_CHARS_MAX = 300  # in a table


def as_line(what: DeadLetter | LetterOutcome) -> bytes:
    """As a line of JSON, a letter as the API shows it."""
    return msgspec.json.encode(view_of(what, Clearance.TOP_SECRET) if isinstance(what, DeadLetter) else what)


def listing(letters: Sequence[DeadLetter]) -> "Table":
    """For a terminal: as wide as it is."""
    from rich.text import Text

    id_, time, subject, reason, tries, back = HEADINGS
    shown = table(None)
    shown.add_column(id_, no_wrap=True)
    shown.add_column(time, no_wrap=True)
    shown.add_column(subject, ratio=2, overflow="fold")
    shown.add_column(reason, ratio=3, overflow="fold")
    shown.add_column(tries, justify="right")
    shown.add_column(back, justify="right")
    for letter in letters:
        shown.add_row(*map(Text, _cells(letter, REASON_CHARS_MAX)))
    return shown


def tabbed(letters: Sequence[DeadLetter]) -> list[str]:
    """For programs and files: a line of headings, then one a letter, with tabs between whole values."""
    return ["\t".join(row) for row in (HEADINGS, *(_cells(letter) for letter in letters))]


def paragraphs(letter: DeadLetter) -> str:
    """Everything about one letter."""
    lines = [
        f"dead letter  {letter.id}",
        f"from         {letter.subject} #{letter.sequence}",
        f"type         {letter.type}",
    ]
    lines += [
        f"label        {letter.label.value}",
        f"put aside    {_moment(letter.time)} after {letter.attempts} attempts",
    ]
    if letter.reaction:
        lines.append(f"reaction     to event {letter.reaction}")
    lines += [f"{one.how:<12} {_moment(one.time)} by {one.by}" for one in letter.history]
    if letter.burials > 1:
        lines.append(f"came back    {letter.burials - 1} times")
    lines.append(f"reason       {letter.reason}")
    if letter.ended:
        lines.append(f"\nended: its content is gone; its body's SHA-256 was {letter.digest}")
    if letter.headers:
        lines += ["", "headers", *(f"  {name}: {value}" for name, value in letter.headers.items())]
    if letter.stack:
        lines += ["", "stack", *(f"  {line}" for line in letter.stack.splitlines())]
    if letter.body:
        lines += [
            "",
            "body" if letter.whole else "body, cut",
            *(f"  {line}" for line in _body(letter.body).splitlines()),
        ]
    return "\n".join(map(clean, lines))


def outcome_line(outcome: LetterOutcome) -> str:
    return clean(f"{outcome.id}  {outcome.outcome}{f': {outcome.detail}' if outcome.detail else ''}")


def _body(body: bytes) -> str:
    try:
        return msgspec.json.format(body.decode(), indent=2)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return body.decode(errors="replace")


def _cells(letter: DeadLetter, reason_chars_max: int = sys.maxsize) -> tuple[str, ...]:
    """Under the headings; the reason in one line."""
    reason = shortened(letter.reason, reason_chars_max)
    back = str(letter.burials - 1) if letter.burials > 1 else ""
    return letter.id, _moment(letter.time), clean(letter.subject), reason, str(letter.attempts), back


def _moment(time: str) -> str:
    return time[:19].replace("T", " ")
