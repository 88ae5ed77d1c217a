"""A table's columns as the numbers that a logistic model is made of.

A category is one 0/1 column for each value but the commonest, against which the others are compared; values of too few customers
are taken together. A number is counted in standard deviations from its mean; where it is missing the mean stands, and a 0/1
column says so. What other columns say already is left out, by name: a term of which those before it explain nine tenths (a
variance inflation factor above 10, as Marquardt proposed in 1970), categories before numbers.
"""

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from actors.tables import Column, figure

if TYPE_CHECKING:
    import numpy as np

LEVEL_ROWS_MIN = 20
LEVELS_MAX = 20
NUMBERS_FROM = 5  # different values: with fewer a number is taken as a category
INFLATION_MAX = 10.0

RARE, MISSING = "(other)", "(missing)"


class Term(Struct, frozen=True):
    """One column of the design: of which column of the table, what it stands for, and against what."""

    column: str
    name: str
    against: str


class Design(Struct, frozen=True):
    """A row a customer, a column a term. `dependent` are terms that say nothing new."""

    terms: tuple[Term, ...]
    matrix: "np.ndarray"
    dependent: tuple[str, ...]


def usable(column: Column) -> bool:
    """Whether a model can be made of a column: not of ids, dates, texts, nor of what is the same for all."""
    if column.kind == "number":
        return column.distinct >= 2
    return column.kind in ("category", "boolean") and 2 <= column.distinct <= LEVELS_MAX


def design(columns: list[Column]) -> Design:
    """The terms of usable columns: of categories first, then of numbers, else in their order."""
    import numpy as np

    terms: list[Term] = []
    arrays: list[np.ndarray] = []
    for column in sorted(columns, key=lambda one: one.kind == "number"):
        made = _number(column) if column.kind == "number" and column.distinct >= NUMBERS_FROM else _levels(column)
        for term, values in made:
            terms.append(term)
            arrays.append(values)
    rows = len(columns[0].cells) if columns else 0
    matrix = np.column_stack(arrays) if arrays else np.empty((rows, 0))
    kept = independent(matrix)
    return Design(
        terms=tuple(term for term, keep in zip(terms, kept, strict=True) if keep),
        matrix=matrix[:, kept],
        dependent=tuple(term.name for term, keep in zip(terms, kept, strict=True) if not keep),
    )


def independent(matrix: "np.ndarray") -> "np.ndarray":
    """Which columns those before them that are kept, and a constant, do not explain."""
    import numpy as np

    centred = matrix - matrix.mean(axis=0) if len(matrix) else matrix
    kept: list[int] = []
    basis = np.empty((len(matrix), 0))
    for at, length in enumerate(np.linalg.norm(centred, axis=0)):
        rest = centred[:, at] - basis @ (basis.T @ centred[:, at])
        left = float(np.linalg.norm(rest))
        if length > 0 and (left / length) ** 2 > 1 / INFLATION_MAX:
            kept.append(at)
            basis = np.column_stack([basis, rest / left])
    found = np.zeros(matrix.shape[1], dtype=bool)
    found[kept] = True
    return found


def _number(column: Column) -> list[tuple[Term, "np.ndarray"]]:
    import numpy as np

    values = np.array([np.nan if value is None else value for value in column.numbers])
    there = ~np.isnan(values)
    mean, deviation = float(values[there].mean()), float(values[there].std())
    if deviation <= 0:
        return []
    made = np.where(there, (values - mean) / deviation, 0.0)
    found = [(Term(column.name, f"{column.name} higher by {figure(deviation)}", ""), made)]
    if there.sum() <= len(values) - LEVEL_ROWS_MIN:
        found.append((Term(column.name, f"{column.name} = {MISSING}", "known"), (~there).astype(float)))
    return found


def _levels(column: Column) -> list[tuple[Term, "np.ndarray"]]:
    import numpy as np

    cells = [cell or MISSING for cell in column.cells]
    counts = Counter(cells)
    rare = {level for level, count in counts.items() if count < LEVEL_ROWS_MIN}
    if rare:
        cells = [RARE if cell in rare else cell for cell in cells]
        counts = Counter(cells)
    levels = sorted(counts, key=lambda level: (-counts[level], level))
    array = np.array(cells)
    return [
        (Term(column.name, f"{column.name} = {level}", levels[0]), (array == level).astype(float))
        for level in levels[1:]
    ]
