"""What a question restricts itself to, read against a table's columns and values: `women on fiber with tenure above 60`.

Read are values by their name, columns of yes and no by theirs, numbers by the words of COMPARISONS, and who left. All must hold;
several values of one column mean any of them. What looks like a condition and is none of these is `unread`: told, not dropped.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from actors.sophia.tools.condition_words import (
    AFTER,
    BEFORE,
    BETWEEN,
    COMPARED,
    COMPARISONS,
    FAR,
    GENERAL,
    HEADS,
    JOINS,
    LASTING,
    LEFT,
    NAMED_NUMBERS,
    NEAR,
    NO,
    PAYING,
    SIGNS,
    SOURCE,
    STAYED,
    TRAILED,
    UNREAD_MAX,
    VALUES_MAX,
    WHOM,
    YES,
)
from actors.sophia.tools.customers import charge_column, outcome_column, outcomes
from actors.sophia.tools.leftover import leftovers, phrases
from actors.sophia.tools.negation import denials
from actors.sophia.tools.question_tokens import Token, keys, spaced, tokens
from actors.sophia.tools.risk import is_tenure
from actors.tables import Column, Table, figure
from runtime.text import STOP_WORDS, stem


class Condition(Struct, frozen=True):
    """One thing that must hold; `said` are the question's words for it, `rows` which of the table meet it.

    `value`: the cell that is meant; rows with one of several such of a column meet them together. Empty where none must be equal.
    """

    column: str
    text: str
    said: str
    rows: tuple[bool, ...]
    value: str = ""

    @property
    def told(self) -> str:
        """As it was read, with the question's words where these are others."""
        mine = {stem(one.text) for one in tokens(spaced(self.text))}
        words = {stem(one.text) for one in tokens(self.said) if one.text not in STOP_WORDS | YES | NO}
        return self.text if words <= mine else f"{self.text} (“{self.said}”)"


class Reading(Struct, frozen=True):
    """`conditions` in the question's order; `left`: it asks of those who left, or who stayed. `unread`: phrases, in quotes."""

    conditions: tuple[Condition, ...]
    left: Condition | None
    unread: tuple[str, ...]

    def members(self, count: int, *, of_outcome: bool = False) -> tuple[bool, ...]:
        """The rows, of `count`, that meet all conditions; several of one column are met by any of them."""
        wanted = (*self.conditions, self.left) if of_outcome and self.left else self.conditions
        columns: dict[str, list[tuple[bool, ...]]] = {}
        for one in wanted:
            columns.setdefault(one.column if one.value else one.text, []).append(one.rows)
        met = [[any(cells) for cells in zip(*rows, strict=True)] for rows in columns.values()]
        return tuple(all(cells) for cells in zip(*met, strict=True)) if met else (True,) * count

    def name(self, *, of_outcome: bool = False) -> str:
        """All conditions in words; empty where there are none."""
        wanted = (*self.conditions, self.left) if of_outcome and self.left else self.conditions
        columns: dict[str, list[str]] = {}
        for one in wanted:
            columns.setdefault(one.column if one.value else one.text, []).append(one.told)
        return " and ".join(" or ".join(texts) for texts in columns.values())


def read(table: Table, question: str, skipped: Sequence[str] = ()) -> Reading:
    """The conditions of a question on the rows of a table; columns named in `skipped` are not looked at."""
    return _Reader(table, question, skipped).reading()


class _Found(Struct, frozen=True):
    """A condition at the words `start` to `end`, and what it is where a negation binds to it."""

    start: int
    end: int
    meant: Condition
    denied: Condition


class _Reader:
    """One question; `used` are the places of the words that were understood."""

    def __init__(self, table: Table, question: str, skipped: Sequence[str]) -> None:
        outcome = outcome_column(table)
        without = {*skipped, outcome.name if outcome else ""}
        self._columns = [
            one for one in table.columns if one.name not in without and one.kind not in ("id", "text", "empty")
        ]
        self._charge = charge_column(table)
        self._outcome = None if outcome is None or outcome.name in skipped else outcome
        self._question = question
        self._tokens = tokens(question)
        self._used: set[int] = set()
        self._unread: list[tuple[int, str]] = []
        self._groups = {key for one in self._columns if one.kind != "number" for key in keys(one.name)}
        self._known = {key for column in table.columns for key in keys(column.name)}

    def reading(self) -> Reading:
        left = self._of_outcome()
        found = sorted((*self._numbers(), *self._values(), *self._flags()), key=lambda one: one.start)
        told = self._bound(found)
        self._not_read(phrases(self._question, self._tokens, self._used))
        rest = [*self._rest()]
        self._not_read(leftovers(self._question, self._tokens, self._used, self._restricts))
        unread = sorted([*self._unread, *rest])
        texts = tuple(dict.fromkeys(text for _, text in unread))[:UNREAD_MAX]
        return Reading(tuple({one.text: one for one in told}.values()), left, texts)

    def _not_read(self, found: Iterable[tuple[int, int]]) -> None:
        for start, end in found:
            self._unread.append((self._tokens[start].start, f"“{self._said(start, end)}”"))
            self._used |= set(range(start, end))

    def _bound(self, found: Sequence[_Found]) -> list[Condition]:
        """Each as it is meant; those that a negation stands before which cannot be bound are told as not understood."""
        spans = [(one.start, one.end) for one in found]
        bound = denials(self._question, self._tokens, spans, self._used, lambda one: not self._says(one))
        self._not_read(bound.unread)
        told = []
        for at, one in enumerate(found):
            if at in bound.dropped:
                continue
            if at in bound.denied:
                start = bound.denied[at]
                self._used |= set(range(start, one.end))
                told.append(replace(one.denied, said=self._said(start, one.end)))
            else:
                told.append(one.meant)
        return told

    def _of_outcome(self) -> Condition | None:
        if self._outcome is None:
            return None
        flags = outcomes(self._outcome)
        for pattern, wanted in ((STAYED, False), (LEFT, True)):
            if match := pattern.search(self._question):
                self._use(match.start(), match.end())
                cells = zip(self._outcome.cells, flags, strict=True)
                value = next((cell for cell, flag in cells if flag is wanted), "Yes" if wanted else "No")
                text = f"{self._outcome.name} = {value}"
                return Condition(self._outcome.name, text, match[0], tuple(flag is wanted for flag in flags), value)
        return None

    # Numbers

    def _numbers(self) -> Iterator[_Found]:
        taken: list[tuple[int, int]] = []
        for pattern in (BETWEEN, TRAILED, COMPARED):
            for match in pattern.finditer(self._question):
                if any(match.start() < end and start < match.end() for start, end in taken):
                    continue
                one = self._number(match, max((end for _, end in taken if end <= match.start()), default=0))
                if one is not None:
                    taken.append(match.span())
                    self._use(*match.span())
                    held = [
                        at
                        for at, word in enumerate(self._tokens)
                        if word.start < match.end() and match.start() < word.end
                    ]
                    yield _Found(held[0], held[-1] + 1, one, self._not(one))

    def _number(self, match: re.Match[str], since: int) -> Condition | None:
        groups = match.groupdict()
        unit = (groups["unit"] or "").lower().rstrip("s")
        equal = (groups.get("phrase") or "").lower() in ("of", "=")
        column, near = self._of_number(match, since, unit, exact=equal)
        if column is None:
            if not equal:
                self._unread.append((match.start(), f"“{match[0].strip()}”"))
                self._use(*match.span())
            return None
        factor = _factor(unit, column)
        if factor is None:
            why = f"“{match[0].strip()}” (column {column.name} does not say whether it is in months)"
            self._unread.append((match.start(), why))
            self._use(*match.span())
            return None
        self._used |= near
        first = _value(groups["number"]) * factor
        if "other" in groups:
            second = _value(groups["other"]) * factor
            low, high = min(first, second), max(first, second)
            rows = tuple(one is not None and low <= one <= high for one in column.numbers)
            return Condition(column.name, f"{column.name} from {figure(low)} to {figure(high)}", match[0].strip(), rows)
        phrase = " ".join(groups["phrase"].lower().split())
        compare = AFTER.get(phrase) or COMPARISONS[phrase]
        rows = tuple(one is not None and compare(one, first) for one in column.numbers)
        return Condition(column.name, f"{column.name} {SIGNS[compare]} {figure(first)}", match[0].strip(), rows)

    def _of_number(self, match: re.Match[str], since: int, unit: str, *, exact: bool) -> tuple[Column | None, set[int]]:
        """The column a number is of, by the words before it, else by those behind; and where these stand."""
        before = [at for at, one in enumerate(self._tokens) if since <= one.start and one.end <= match.start()]
        before = before[-2 if exact else -BEFORE :]
        behind = [at for at, one in enumerate(self._tokens) if one.start >= match.end()][:NEAR]
        stop = next((at for at, one in enumerate(behind) if self._tokens[one].text in JOINS | HEADS), len(behind))
        numeric = [one for one in self._columns if one.kind == "number"]
        windows = (before,) if exact else (before, behind[:stop])
        for window in windows:
            names = {self._tokens[at].key for at in window}
            scores = {one.name: len(names & {*keys(one.name)}) / len({*keys(one.name)} or {""}) for one in numeric}
            best = max(scores.values(), default=0.0)
            if best >= 0.5:
                ties = [one for one in numeric if scores[one.name] == best]
                chosen = next((one for one in ties if one is self._charge), ties[0] if len(ties) == 1 else None)
                wanted = {*keys(chosen.name)} if chosen else set()
                return chosen, {at for at in window if self._tokens[at].key in wanted}
        if exact:
            return None, set()
        names = {self._tokens[at].key for at in (*before, *behind[:stop])}
        if names & PAYING and not unit:
            return self._charge, {at for at in before if self._tokens[at].key in PAYING}
        lasting = [one for one in numeric if is_tenure(one)]
        return (lasting[0], set()) if lasting and (unit or names & LASTING) else (None, set())

    def _not(self, one: Condition) -> Condition:
        """The opposite of a condition on a number; rows without one meet neither."""
        numbers = next(column.numbers for column in self._columns if column.name == one.column)
        rows = tuple(number is not None and not row for number, row in zip(numbers, one.rows, strict=True))
        return Condition(one.column, f"{one.column} not {one.text.removeprefix(one.column).strip()}", one.said, rows)

    # Names

    def _values(self) -> Iterator[_Found]:
        """Values of category columns, the longest names first, each place once."""
        named = [
            (keys(part), column, value)
            for column in self._columns
            if column.kind == "category"
            for value in sorted({cell for cell in column.cells if cell})[:VALUES_MAX]
            for part in dict.fromkeys((value, value.partition(" (")[0]))
        ]
        for name, column, value in sorted(named, key=lambda one: -len(one[0])):
            if not _telling(name):
                continue
            for start in self._places(name):
                rows = tuple(cell == value for cell in column.cells)
                others = tuple(bool(cell) and cell != value for cell in column.cells)
                end = start + len(name)
                said = self._said(start, end)
                self._used |= set(range(start, end))
                meant = Condition(column.name, f"{column.name} = {value}", said, rows, value)
                yield _Found(
                    start, end, meant, Condition(column.name, f"{column.name} other than {value}", said, others)
                )

    def _flags(self) -> Iterator[_Found]:
        """Columns of yes and no by their name, or by a word that no other such column has."""
        flags = [(one, cells) for one in self._columns if (cells := _yes_and_no(one)) is not None]
        shared = [key for column in self._columns for key in {*keys(column.name)}]
        for column, (yes, no) in (*flags, *flags):  # again, for what is joined to one that comes later in the table
            name = keys(column.name)
            single = [(key,) for key in name if len(name) > 1 and shared.count(key) == 1 and _telling((key,))]
            denied = _equal(column, no, "")
            meant = _equal(column, yes, "")
            if not yes:
                rows = tuple(bool(one) and one != no for one in column.cells)
                meant = Condition(column.name, f"{column.name} other than {no}", "", rows, no)
            for wanted in (name, *single):
                for start in self._places(wanted):
                    end = start + len(wanted)
                    if not self._is_condition(start, end):
                        continue
                    self._used |= set(range(start, end))
                    yield _Found(start, end, replace(meant, said=self._said(start - 1, end)), denied)

    def _places(self, name: Sequence[str]) -> Iterator[int]:
        """Where the question has that name, in words that nothing else took; one alone is no part of another (`self-service`)."""
        for start in range(len(self._tokens) - len(name) + 1):
            held = self._tokens[start : start + len(name)]
            if [one.key for one in held] != list(name) or self._used & set(range(start, start + len(name))):
                continue
            if len(name) > 1 or not held[0].tied or (start and self._tokens[start - 1].text == "non"):
                yield start

    def _is_condition(self, start: int, end: int) -> bool:
        """Whether the words about a column's name say that it is meant: `with a partner`, `no partner`, `VIP clients`."""
        before = [one.text for one in self._tokens[max(0, start - NEAR) : start]]
        near = {one.text for one in self._tokens[max(0, start - FAR) : start]}
        behind = self._tokens[end].key if end < len(self._tokens) else ""
        joined = start
        while joined and self._tokens[joined - 1].text in ("and", "or", "nor", "a", "an", "the"):
            joined -= 1
        if joined < start and joined - 1 in self._used:
            return True
        return not before or bool({*before} & YES or near & NO) or behind in WHOM

    # The rest

    def _rest(self) -> Iterator[tuple[int, str]]:
        """Phrases that begin as a condition does and say something that was not understood."""
        at = 0
        while at < len(self._tokens):
            head = at
            at += 1
            asks = head == 0 and self._tokens[head].text in ("who", "whose", "where")
            if asks or self._tokens[head].text not in HEADS or head in self._used:
                continue
            while at < len(self._tokens) and not self._ends(at):
                at += 1
            inside = [one for one in range(head + 1, at) if one not in self._used]
            said = {self._tokens[one].key for one in inside}
            if said & SOURCE:
                continue
            odd = [one for one in inside if self._says(self._tokens[one])]
            if odd:
                self._used |= set(range(head, odd[-1] + 1))
                yield self._tokens[head].start, f"“{self._said(head, odd[-1] + 1)}”"

    def _ends(self, at: int) -> bool:
        one = self._tokens[at]
        between = self._question[self._tokens[at - 1].end : one.start]
        return at in self._used or one.text in HEADS | JOINS or bool(re.search(r"[?!;:,.]\s", between))

    def _says(self, one: Token) -> bool:
        return (
            one.text not in STOP_WORDS and one.key not in GENERAL and one.key not in self._known and len(one.text) > 1
        )

    def _restricts(self, one: Token) -> bool:
        """The same in a question for a figure: there the name of a group, too, that was not taken for a condition."""
        return self._says(one) or (one.key in self._groups and one.key not in GENERAL and one.text not in STOP_WORDS)

    def _said(self, start: int, end: int) -> str:
        return self._question[self._tokens[max(0, start)].start : self._tokens[end - 1].end]

    def _use(self, start: int, end: int) -> None:
        self._used |= {at for at, one in enumerate(self._tokens) if one.start < end and start < one.end}


def _equal(column: Column, cell: str, said: str) -> Condition:
    return Condition(column.name, f"{column.name} = {cell}", said, tuple(one == cell for one in column.cells), cell)


def _telling(name: Sequence[str]) -> bool:
    """Whether a name can be meant: not `yes`, `no`, a number or a word of every question."""
    return bool(name) and not all(
        one.isdigit() or len(one) < 2 or one in STOP_WORDS | {"yes", "tru", "fals"} for one in name
    )


def _yes_and_no(column: Column) -> tuple[str, str] | None:
    """The cells that say yes and no; yes is empty where all others do (`DSL`, `Fiber optic`, `No`)."""
    by_name = {cell.lower(): cell for cell in column.cells if cell}
    if column.kind == "boolean":
        yes = next((by_name[one] for one in ("yes", "true", "y", "1", "t") if one in by_name), None)
        no = next((by_name[one] for one in ("no", "false", "n", "0", "f") if one in by_name), None)
        return (yes, no) if yes is not None and no is not None else None
    if column.kind == "category" and "no" in by_name:
        return by_name.get("yes", ""), by_name["no"]
    return None


def _value(text: str) -> float:
    return float({"a": 1, **NAMED_NUMBERS}.get(text.lower(), 0) or text.replace(",", ""))


def _factor(unit: str, column: Column) -> float | None:
    """What turns a number into the column's unit; None: the column does not say what it is in, and years are asked for."""
    name = {*keys(column.name)}
    if not unit or unit in name or (unit == "month" and not name & {"year"}):
        return 1.0
    if unit == "year":
        return 12.0 if "month" in name else None
    return 1 / 12
