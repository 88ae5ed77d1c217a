"""Tables as the tools of both domains read them: CSV bytes to typed columns, with every limit named.

Nothing is guessed silently: what was padded, cut or unreadable is counted and can be told.
"""

import contextlib
import csv
import io
import math
import re
import statistics
from datetime import datetime
from typing import Literal

from msgspec import Struct

from runtime.errors import OutcomeError

BYTES_MAX = 64_000_000
ROWS_MAX = 200_000
COLUMNS_MAX = 200
CATEGORIES_MAX = 50
TYPED_SHARE_MIN = 0.95

Kind = Literal["number", "boolean", "category", "date", "id", "text", "empty"]

_TRUE = frozenset({"yes", "true", "y", "1", "t"})
_FALSE = frozenset({"no", "false", "n", "0", "f"})
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?")
_SAID = re.compile(r"(?i)\s*sep=([,;\t|])\r?\n")  # a spreadsheet's own first line
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
_ID_NAME = re.compile(r"(?:^|[_\s])(?:id|uuid|key|number|no)$|(?<=[a-z])I[Dd]$", re.IGNORECASE)


class Column(Struct, frozen=True):
    """A column: its kind, cells as text (missing ones empty), and for numbers the values (None where missing)."""

    name: str
    kind: Kind
    cells: tuple[str, ...]
    numbers: tuple[float | None, ...] = ()

    @property
    def missing(self) -> int:
        return sum(not cell for cell in self.cells)

    @property
    def distinct(self) -> int:
        return len({cell for cell in self.cells if cell})


class Table(Struct, frozen=True):
    """A rectangular table; `ragged` counts the rows that had too few or too many cells and were padded or cut."""

    columns: tuple[Column, ...]
    rows: int
    ragged: int

    def named(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


class Summary(Struct, frozen=True):
    """What a column holds. The figures of a number column; `top` are the commonest values of the others with counts."""

    name: str
    kind: Kind
    missing: int
    distinct: int
    minimum: float | None = None
    median: float | None = None
    mean: float | None = None
    maximum: float | None = None
    top: tuple[tuple[str, int], ...] = ()


def read_table(data: bytes) -> Table:
    """The table in CSV bytes (UTF-8, UTF-16 with its mark, or as Windows writes; comma, semicolon, tab or bar).

    Raises OutcomeError saying what is wrong.
    """
    if len(data) > BYTES_MAX:
        raise OutcomeError(f"the table is {len(data):,} bytes; at most {BYTES_MAX:,} are read")
    text = _text(data)
    said = _SAID.match(text)
    text = text[said.end() :] if said else text.lstrip("\r\n")
    first = text[: text.find("\n")] if "\n" in text else text
    delimiter = said[1] if said else max(",;\t|", key=lambda one: _cells(first, one))
    header, rows, ragged = _rows(text, delimiter)
    if not rows:
        raise OutcomeError("the table has a header but no rows")
    commas = delimiter == ";"
    columns = tuple(_column(name, [row[at] for row in rows], commas=commas) for at, name in enumerate(header))
    return Table(columns, len(rows), ragged)


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise OutcomeError("the file is binary, not a CSV table") from error
    if b"\0" in data[:4096]:
        raise OutcomeError("the file is binary, not a CSV table")
    for encoding in ("utf-8-sig", "cp1252"):
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode(encoding)
    return data.decode("latin-1")


def _cells(line: str, delimiter: str) -> int:
    """How many cells a line has if that separates them."""
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return 0


def _rows(text: str, delimiter: str) -> tuple[list[str], list[list[str]], int]:
    rows: list[list[str]] = []
    header: list[str] = []
    ragged = 0
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(cells)
                continue
            if len(cells) != len(header):
                ragged += 1
                cells = (cells + [""] * len(header))[: len(header)]  # noqa: PLW2901 - the padded row replaces the read one
            rows.append([cell.strip() for cell in cells])
            if len(rows) > ROWS_MAX:
                raise OutcomeError(f"the table has more than {ROWS_MAX:,} rows")
    except csv.Error as error:
        raise OutcomeError(f"the file is not a CSV table: {error}") from error
    if len(header) < 2:
        raise OutcomeError("the file is not a CSV table: no header of at least two columns")
    return header, rows, ragged


def _header(cells: list[str]) -> list[str]:
    if len(cells) > COLUMNS_MAX:
        raise OutcomeError(f"the table has {len(cells)} columns; at most {COLUMNS_MAX} are read")
    names: list[str] = []
    for at, cell in enumerate(cells, start=1):
        name = " ".join(cell.split())[:100] or f"column {at}"
        names.append(name if name not in names else f"{name} ({at})")
    return names


def _column(name: str, raw: list[str], *, commas: bool) -> Column:
    """`commas`: a comma may be the decimal mark, and is where all numbers of the column can be read so."""
    cells = tuple("" if cell.lower() in _MISSING else cell for cell in raw)
    present = [cell for cell in cells if cell]
    if not present:
        return Column(name, "empty", cells)
    distinct = set(present)
    lowered = {cell.lower() for cell in distinct}
    if len(distinct) <= 2 and (lowered <= (_TRUE | _FALSE)) and len(present) > 2:
        return Column(name, "boolean", cells)
    enough = TYPED_SHARE_MIN * len(present)
    if len(distinct) == len(present) and len(present) > 20 and _ID_NAME.search(name):
        return Column(name, "id", cells)
    bare = [_bare(cell) for cell in present] if commas else []
    commas = any("," in cell for cell in bare) and all(map(_DECIMAL_COMMA.fullmatch, bare))
    numbers = tuple(number(_with_point(cell) if commas else cell) for cell in cells)
    if sum(value is not None for value in numbers) >= enough:
        return Column(name, "number", cells, numbers)
    if sum(moment(cell) is not None for cell in distinct) >= TYPED_SHARE_MIN * len(distinct):
        return Column(name, "date", cells)
    if len(distinct) <= CATEGORIES_MAX and (len(distinct) <= len(present) / 2 or len(present) <= 20):
        return Column(name, "category", cells)
    return Column(name, "id" if len(distinct) == len(present) and _short(distinct) else "text", cells)


def _short(cells: set[str]) -> bool:
    return all(len(cell) <= 40 and cell.count(" ") <= 1 for cell in cells)


def number(cell: str) -> float | None:
    """The number a cell shows (`1,234.5`, `€12`, `26 %` as 26), or None."""
    text = _bare(cell)
    if not text or not any(char.isdigit() for char in text) or not _NUMBER.fullmatch(text):
        return None
    value = float(text.replace(",", ""))
    return value if math.isfinite(value) else None


def _bare(cell: str) -> str:
    return cell.strip().strip("€$£%").strip()


def _with_point(cell: str) -> str:
    return cell.replace(".", "").replace(",", ".")


def moment(cell: str) -> datetime | None:
    """The ISO 8601 date or time a cell shows, without its zone, or None."""
    if len(cell) < 8 or not cell[:4].isdigit():
        return None
    try:
        return datetime.fromisoformat(cell).replace(tzinfo=None)
    except ValueError:
        return None


def truth(cell: str) -> bool | None:
    """Yes or no as a cell of a boolean column says it; None where it is missing."""
    text = cell.lower()
    return True if text in _TRUE else False if text in _FALSE else None


def summarise(column: Column) -> Summary:
    """The figures of one column, unrounded; the ten commonest values of a category or yes/no column."""
    values = [value for value in column.numbers if value is not None]
    if column.kind == "number" and values:
        return Summary(
            name=column.name,
            kind=column.kind,
            missing=column.missing,
            distinct=column.distinct,
            minimum=min(values),
            median=statistics.median(values),
            mean=math.fsum(values) / len(values),
            maximum=max(values),
        )
    counts: dict[str, int] = {}
    if column.kind in ("category", "boolean"):
        for cell in column.cells:
            if cell:
                counts[cell] = counts.get(cell, 0) + 1
    top = tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:10])
    return Summary(column.name, column.kind, column.missing, column.distinct, top=top)


def percent(share: float) -> str:
    """0.2654 as `26.54 %`."""
    return f"{share * 100:.2f} %"


def figure(value: float) -> str:
    """A number for a sentence: thousands separated, at most two decimals, none where it is whole."""
    return f"{value:,.0f}" if abs(value - round(value)) < 0.005 else f"{value:,.2f}"
