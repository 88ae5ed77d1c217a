"""Who will leave: a logistic model of a customer table, checked on customers it has never seen.

The customers are dealt into thirds by a hash of their id. Each third is predicted by a model of the two others, so nobody's risk
rests on his own outcome; the first third is the held-out one whose figures are told: AUC (the Mann-Whitney statistic), Brier
score, calibration in ten groups, and the lift of the tenth with the highest risk. Odds ratios are of a model of all customers.

A model has at most one term for ten of the rarer outcome (Peduzzi et al., 1996, "A simulation study of the number of events per
variable in logistic regression analysis"): columns that differ most come first. It is fitted by maximum likelihood (statsmodels);
where that has no end, because some group left or stayed as a whole, with a ridge penalty and then without intervals.
"""

import hashlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from actors.sophia.tools.design import Design, Term, design, usable
from actors.sophia.tools.risk import wilson
from actors.tables import Column, figure, percent

if TYPE_CHECKING:
    import numpy as np

THIRDS = 3
OUTCOMES_MIN = 30  # of each kind, for a model to be made
EVENTS_A_TERM = 10
TERMS_MAX = 60
GROUPS = 10
LISTED_MAX = 1_000
REASONS_MAX = 3
REASONED, NAMED = 5, 15  # customers told with their reasons, and by name
REASON_ODDS_MIN = 1.05
COEFFICIENT_MAX = 12.0  # beyond it maximum likelihood runs away: a group that left or stayed as a whole
DEVIATIONS_MAX = 20.0


class Odds(Struct, frozen=True, kw_only=True):
    """What goes with a term, the others held equal: the odds of leaving times `ratio`. `against`: compared with whom.

    Without bounds where the model had to be penalised.
    """

    name: str
    against: str
    ratio: float
    low: float | None
    high: float | None
    p: float | None


class Group(Struct, frozen=True):
    """A tenth of the held-out third by predicted risk: the mean prediction, and what happened."""

    customers: int
    predicted: float
    observed: float


class Check(Struct, frozen=True, kw_only=True):
    """How predictions did on a third that the model had not seen. `top` is the tenth with the highest risk; `lift` its rate over
    the third's, with the Wilson bounds of the rate over the same. `calibration_error`: mean distance of prediction and rate.
    """

    customers: int
    churned: int
    auc: float
    brier: float
    brier_without: float
    top: int
    top_churned: int
    top_rate: float
    lift: float
    lift_low: float
    lift_high: float
    calibration_error: float
    groups: tuple[Group, ...]


class AtRisk(Struct, frozen=True, kw_only=True):
    """A customer with the predicted risk of leaving and what raises it most against the average customer, in odds."""

    id: str
    risk: float
    reasons: tuple[str, ...] = ()


class Prediction(Struct, frozen=True, kw_only=True):
    """`checks` has one entry a third, the held-out one first. `at_risk` is the tenth with the highest risk of those still there
    (the first LISTED_MAX), `held_out` that of the whole held-out third, on which its lift was counted.
    """

    odds: tuple[Odds, ...]
    penalised: bool
    checks: tuple[Check, ...]
    still_there: int
    at_risk_count: int
    at_risk_from: float
    at_risk: tuple[AtRisk, ...]
    held_out: tuple[AtRisk, ...]
    not_used: tuple[str, ...]


def third(identity: str) -> int:
    """0, 1 or 2: always the same for an id; 0 is held out."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") % THIRDS


def predict(
    columns: Sequence[Column], strength: dict[str, float], flags: Sequence[bool | None], ids: Sequence[str]
) -> Prediction | str:
    """The prediction; where no model can be made, why. `strength`: by column, how much those who left differ in it."""
    known = [flag for flag in flags if flag is not None]
    rarer = min(sum(known), len(known) - sum(known))
    if rarer < OUTCOMES_MIN:
        return f"only {rarer} customers {'left' if sum(known) == rarer else 'stayed'}, under {OUTCOMES_MIN}"
    most = min(TERMS_MAX, rarer * (THIRDS - 1) // THIRDS // EVENTS_A_TERM)
    made, not_used = _bounded(columns, strength, most)
    if not made.terms:
        return "no column can be used"
    return _Fitted(made, flags, ids, not_used).prediction(columns)


def _bounded(columns: Sequence[Column], strength: dict[str, float], most: int) -> tuple[Design, tuple[str, ...]]:
    """A design of at most so many terms, of the columns that differ most; and which had no room or say nothing new."""
    ranked = sorted((one for one in columns if usable(one)), key=lambda one: (-strength.get(one.name, 0.0), one.name))
    chosen: list[Column] = []
    left_out: list[str] = []
    terms = 0
    for column in ranked:
        count = len(design([column]).terms)
        if count and terms + count <= most:
            chosen.append(column)
            terms += count
        else:
            left_out.append(column.name)
    made = design(chosen)
    return made, (*left_out, *made.dependent)


class _Model(Struct, frozen=True):
    """Coefficients, the constant first, and what statsmodels says of their errors."""

    coefficients: "np.ndarray"
    bounds: "np.ndarray | None"
    p_values: "np.ndarray | None"

    def risk(self, matrix: "np.ndarray") -> "np.ndarray":
        import numpy as np
        from scipy.special import expit

        whole = np.column_stack([np.ones(len(matrix)), matrix])
        return np.asarray(expit(whole @ self.coefficients))


def fit(matrix: "np.ndarray", left: "np.ndarray") -> _Model:
    """The logistic model: maximum likelihood, else with a ridge penalty of 1 over the number of rows."""
    import numpy as np
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    model = GLM(left, np.column_stack([np.ones(len(matrix)), matrix]), family=Binomial())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What it warns of is looked at below.
        fitted = model.fit(maxiter=50)
        found = np.asarray(fitted.params)
        if fitted.converged and np.isfinite(found).all() and np.abs(found).max() <= COEFFICIENT_MAX:
            return _Model(found, np.asarray(fitted.conf_int(0.05)), np.asarray(fitted.pvalues))
        penalty = np.full(len(found), 1.0 / len(left))
        penalty[0] = 0.0
        return _Model(np.asarray(model.fit_regularized(alpha=penalty, L1_wt=0.0).params), None, None)


class _Fitted:
    """The models of a design and what they predict."""

    def __init__(
        self, made: Design, flags: Sequence[bool | None], ids: Sequence[str], not_used: tuple[str, ...]
    ) -> None:
        import numpy as np

        self._design = made
        self._matrix = made.matrix
        self._ids = ids
        self._not_used = not_used
        self._known = np.array([flag is not None for flag in flags])
        self._left = np.array([bool(flag) for flag in flags])
        self._thirds = np.array([third(one) for one in ids])
        self._models = [self._fit(self._known & (self._thirds != number)) for number in range(THIRDS)]
        self._means = [self._matrix[self._known & (self._thirds != number)].mean(axis=0) for number in range(THIRDS)]
        self._risk = np.empty(len(ids))
        for number, model in enumerate(self._models):
            rows = self._thirds == number
            self._risk[rows] = model.risk(self._matrix[rows])

    def _fit(self, rows: "np.ndarray") -> _Model:
        return fit(self._matrix[rows], self._left[rows].astype(float))

    def prediction(self, columns: Sequence[Column]) -> Prediction:
        import numpy as np

        whole = self._fit(self._known)
        here = self._top(np.flatnonzero(self._known & ~self._left))
        told = _Telling(self._design.terms, columns)
        listed = [
            replace(self._customer(row), reasons=told.reasons(row, self._parts(row))) for row in here[:LISTED_MAX]
        ]
        return Prediction(
            odds=_odds(self._design.terms, whole),
            penalised=whole.bounds is None,
            checks=tuple(self._check(number) for number in range(THIRDS)),
            still_there=int((self._known & ~self._left).sum()),
            at_risk_count=len(here),
            at_risk_from=float(self._risk[here[-1]]),
            at_risk=tuple(listed),
            held_out=tuple(self._customer(row) for row in self._top(self._rows(0))[:LISTED_MAX]),
            not_used=self._not_used,
        )

    def _rows(self, number: int) -> "np.ndarray":
        import numpy as np

        return np.flatnonzero(self._known & (self._thirds == number))

    def _top(self, rows: "np.ndarray") -> list[int]:
        """The tenth of the rows with the highest risk, highest first; of equal ones by id."""
        ranked = sorted(rows.tolist(), key=lambda row: (-self._risk[row], self._ids[row]))
        return ranked[: max(1, round(len(ranked) / GROUPS))]

    def _customer(self, row: int) -> AtRisk:
        return AtRisk(id=self._ids[row], risk=float(self._risk[row]))

    def _parts(self, row: int) -> "np.ndarray":
        """What each term adds to a customer's log odds, against the average customer of the two thirds that predict him."""
        import numpy as np

        number = int(self._thirds[row])
        return np.asarray(self._models[number].coefficients[1:] * (self._matrix[row] - self._means[number]))

    def _check(self, number: int) -> Check:
        import numpy as np
        from scipy.stats import mannwhitneyu

        rows = self._rows(number)
        risk, left = self._risk[rows], self._left[rows]
        churned, customers = int(left.sum()), len(rows)
        share = churned / customers
        pairs = churned * (customers - churned)
        auc = float(mannwhitneyu(risk[left], risk[~left]).statistic) / pairs if pairs else 0.5
        top = self._top(rows)
        top_churned = int(self._left[top].sum())
        low, high = wilson(top_churned, len(top))
        groups = tuple(
            Group(len(part), float(risk[part].mean()), float(left[part].mean()))
            for part in np.array_split(np.argsort(risk, kind="stable"), GROUPS)
            if len(part)
        )
        return Check(
            customers=customers,
            churned=churned,
            auc=auc,
            brier=float(np.mean((risk - left) ** 2)),
            brier_without=share * (1 - share),
            top=len(top),
            top_churned=top_churned,
            top_rate=top_churned / len(top),
            lift=top_churned / len(top) / share if share else 0.0,
            lift_low=low / share if share else 0.0,
            lift_high=high / share if share else 0.0,
            calibration_error=sum(one.customers * abs(one.predicted - one.observed) for one in groups) / customers,
            groups=groups,
        )


def _odds(terms: Sequence[Term], model: _Model) -> tuple[Odds, ...]:
    """A ratio a term, those that surely differ first, the largest of them first."""
    import numpy as np

    found = []
    for at, term in enumerate(terms, start=1):
        bounds = None if model.bounds is None else np.exp(np.clip(model.bounds[at], -DEVIATIONS_MAX, DEVIATIONS_MAX))
        found.append(
            Odds(
                name=term.name,
                against=term.against,
                ratio=float(np.exp(model.coefficients[at])),
                low=None if bounds is None else float(bounds[0]),
                high=None if bounds is None else float(bounds[1]),
                p=None if model.p_values is None else float(model.p_values[at]),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.p is not None and one.p >= 0.05, -one.ratio, one.name)))


class _Telling:
    """Reasons in words: a column with the customer's own value, and what it does to his odds."""

    def __init__(self, terms: Sequence[Term], columns: Sequence[Column]) -> None:
        self._terms = terms
        self._columns = {column.name: column for column in columns}

    def reasons(self, row: int, parts: "np.ndarray") -> tuple[str, ...]:
        import math

        together: dict[str, float] = {}
        for term, part in zip(self._terms, parts.tolist(), strict=True):
            together[term.column] = together.get(term.column, 0.0) + part
        ranked = sorted(together.items(), key=lambda pair: (-pair[1], pair[0]))
        return tuple(
            f"{self._value(name, row)} (odds × {math.exp(part):.1f})"
            for name, part in ranked[:REASONS_MAX]
            if math.exp(part) >= REASON_ODDS_MIN
        )

    def _value(self, name: str, row: int) -> str:
        column = self._columns[name]
        value = column.numbers[row] if column.numbers else None
        cell = figure(value) if value is not None else column.cells[row]
        return f"{name} = {cell or '(missing)'}"


def told(found: Prediction, name: str) -> list[str]:
    """The prediction in sentences; `name`: by what the customers are told apart."""
    check = found.checks[0]
    sentences = _most(found)
    sentences.append(
        f"The predicted risk was checked on a held-out third ({check.customers:,} customers by a hash of {name}): of the tenth"
        f" most at risk {percent(check.top_rate)} left ({check.top_churned:,} of {check.top:,}), {check.lift:.2f} times that"
        f" third's average (95 % interval {check.lift_low:.2f} to {check.lift_high:.2f}); AUC {check.auc:.3f}, Brier score"
        f" {check.brier:.3f} ({check.brier_without:.3f} without a model), mean calibration error"
        f" {percent(check.calibration_error)}."
    )
    return sentences


def told_odds(found: Prediction) -> list[str]:
    """What raises the odds of leaving most, in sentences."""
    return [_ratio(one) for one in found.odds if one.low is not None and one.low > 1][:5]


def _most(found: Prediction) -> list[str]:
    """Who they are: the first ones with their reasons, the next by name, and how many the tenth most at risk are."""
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for one in found.at_risk[:REASONED]:
        alike.setdefault((percent(one.risk), one.reasons), []).append(one.id)
    first = "; ".join(
        f"{', '.join(ids)}, predicted risk {risk}, reasons {', '.join(reasons) or 'none that stands out'}"
        for (risk, reasons), ids in alike.items()
    )
    named = ", ".join(f"{one.id} ({percent(one.risk)})" for one in found.at_risk[REASONED:NAMED])
    return [
        f"The customers most at risk of leaving are {first}.",
        f"The tenth most at risk of the {found.still_there:,} customers still here are {found.at_risk_count:,} customers, at"
        f" predicted risks from {percent(found.at_risk_from)} up{f'; the next of them are {named}' if named else ''}.",
    ]


def _ratio(one: Odds) -> str:
    against = f" against {one.against}" if one.against else ""
    bounds = f" (95 % interval {one.low:.2f} to {one.high:.2f})" if one.low is not None and one.high is not None else ""
    return f"All else equal, the odds of leaving with {one.name}{against} are {one.ratio:.2f} times as high{bounds}."
