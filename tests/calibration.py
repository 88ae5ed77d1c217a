"""Calibration of confidence: the labelled cases answered by the real retrieval and the extractive model, and how right they are.

Those of texts (tests/confidence_cases.py), and those that rest on what tools computed (tests/tool_cases.py). `python -m
tests.calibration` fits the weights of actors/confidence.py to the even cases of each again and prints them with the figures.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from msgspec import UNSET, Struct
from msgspec.structs import replace

from actors.confidence import AGREEMENT, FRESHNESS, Rested, Work, confidence, of_answer
from actors.sophia.teams import business_insight
from actors.team import RELEVANT_FROM, dated, speaks_of
from adapters.extractive import compose
from adapters.memory_vectors import MemoryVectors
from adapters.minilm import MiniLm
from adapters.retrieval import LocalRetrieval
from contracts.domains import Clearance
from contracts.grounds import Grounds
from contracts.model import FLOW, Prompt
from contracts.retrieval import Entry, Query
from runtime.reading import WORDS_MATCH_FROM
from runtime.telemetry import NoTelemetry
from tests.confidence_cases import CASES, CORPUS, Case
from tests.tool_cases import ToolCase, tool_cases

NOW = datetime(2026, 11, 29, tzinfo=UTC)
EVIDENCE_MAX = 8
BINS = 5
TOOL_PARTS = ("meant", "named", "read", "precise", "freshness")
RIDGE = 0.02


class Judged(Struct, frozen=True):
    """A case with what its confidence is computed from and how right its answer was: 0, 1, or between."""

    case: Case
    grounds: Grounds
    confidence: float
    own: float
    right: float


def judged_all(folder: Path) -> list[Judged]:
    """Every case answered; `folder` keeps the model's graph."""
    return asyncio.run(_answered(folder))


async def _answered(folder: Path) -> list[Judged]:
    model = MiniLm(folder)
    await model.start()
    try:
        retrieval = LocalRetrieval(model, MemoryVectors(model.dimensions), NoTelemetry())
        entries = [
            Entry(
                id=str(uuid5(NAMESPACE_URL, item.title)),
                title=item.title,
                text=item.text,
                label=Clearance.INTERNAL,
                category=item.category,
                updated=NOW - timedelta(days=item.age_days),
            )
            for item in CORPUS
        ]
        await retrieval.index("sophia_business", entries)
        return [await _judged(case, retrieval) for case in CASES]
    finally:
        await model.stop()


async def _judged(case: Case, retrieval: LocalRetrieval) -> Judged:
    query = Query(
        partitions=("sophia_business",),
        text=case.question,
        clearance=Clearance.INTERNAL,
        now=NOW,
        limit=EVIDENCE_MAX,
    )
    hits = await retrieval.search(query)
    evidence = dated(
        [hit for hit in hits if hit.score >= RELEVANT_FROM or hit.relevance - hit.score >= WORDS_MATCH_FROM]
    )
    reply = compose(
        Prompt(
            role=business_insight.role, question=case.question, sections=business_insight.sections, evidence=evidence
        )
    )
    rested = Rested(question=case.question, evidence=evidence, now=NOW)
    sure, found = of_answer(rested, reply.sections, reply.cited)
    return Judged(case, found, sure, reply.confidence, _right(case, reply.sections["summary"]))


class JudgedTool(Struct, frozen=True):
    """A case of a tool with what its confidence is computed from; `before`: by the formula that knew nothing of tools' data."""

    case: ToolCase
    grounds: Grounds
    confidence: float
    before: float
    own: float
    right: float


def judged_tools() -> list[JudgedTool]:
    """Every case answered over what its tool found."""
    return [_judged_tool(case) for case in tool_cases()]


def _judged_tool(case: ToolCase) -> JudgedTool:
    basis = case.found.basis
    assert basis is not UNSET
    if basis.newest is UNSET:
        basis = replace(basis, newest=NOW - timedelta(days=case.age_days))
    work = Work(tool=case.tool, findings=case.found.findings, basis=basis)
    meant = speaks_of(case.question, (*case.team.cues, *case.team.more_cues))
    reply = compose(
        Prompt(
            role=case.team.role,
            question=case.question,
            sections=case.team.sections_at(FLOW),
            findings=case.found.findings,
            computed=True if meant else UNSET,
        )
    )
    sure, found = of_answer(Rested(question=case.question, evidence=(), works=(work,), now=NOW), reply.sections, ())
    before, _ = of_answer(
        Rested(question=case.question, evidence=(), findings=case.found.findings, now=NOW), reply.sections, ()
    )
    answer = "\n".join(reply.sections.values())
    return JudgedTool(case, found, sure, before, reply.confidence, float(case.right(answer)))


def _right(case: Case, summary: str) -> float:
    """The share of what it had to say, halved where it says what is wrong, too; what the corpus does not know cannot be right."""
    if not case.facts:
        return 0.0
    said = sum(fact in summary for fact in case.facts) / len(case.facts)
    return said / 2 if any(wrong in summary for wrong in case.wrong) else said


def brier(predicted: Sequence[float], right: Sequence[float]) -> float:
    return sum((one - other) ** 2 for one, other in zip(predicted, right, strict=True)) / len(right)


def calibration_error(predicted: Sequence[float], right: Sequence[float]) -> float:
    """Expected calibration error over five bins of equal width (Guo, Pleiss, Sun and Weinberger, ICML 2017)."""
    bins: dict[int, list[float]] = {}
    for one, other in zip(predicted, right, strict=True):
        bins.setdefault(min(BINS - 1, int(one * BINS)), []).append(one - other)
    return sum(abs(sum(held)) for held in bins.values()) / len(right)


def fitted(cases: Sequence[Judged]) -> dict[str, float]:
    """The weights of a logistic regression of how right answers were, those of the other parts given."""
    import numpy as np
    import statsmodels.api as sm

    parts = ["coverage", "relevance"]
    known = [one for one in cases if one.grounds.sources]
    right = np.array([one.right for one in known])
    given = np.array([AGREEMENT * one.grounds.agreement + FRESHNESS * one.grounds.freshness for one in known])
    table = sm.add_constant(np.array([[getattr(one.grounds, part) for part in parts] for one in known]))
    weights = sm.GLM(right, table, family=sm.families.Binomial(), offset=given).fit().params
    return dict(zip(["intercept", *parts], (round(float(one), 2) for one in weights), strict=True))


def fitted_tools(cases: Sequence[JudgedTool]) -> dict[str, float]:
    """The same for what tools computed; no weight below zero, and each drawn to it a little: not every part is in every case."""
    import numpy as np
    from scipy.optimize import minimize

    known = [(one.grounds.tool, one) for one in cases if one.grounds.tool is not UNSET]
    table = np.array([[1.0, *(getattr(tool, part) for part in TOOL_PARTS)] for tool, _ in known])
    given = np.array([AGREEMENT * one.grounds.agreement for _, one in known])
    right = np.array([one.right for _, one in known])

    def loss(weights: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
        odds = table @ weights + given
        return float(np.sum(np.logaddexp(0, odds) - right * odds) + RIDGE * np.sum(weights[1:] ** 2))

    bounds = [(None, None), *((0.0, None) for _ in TOOL_PARTS)]
    weights = minimize(loss, np.zeros(len(bounds)), method="L-BFGS-B", bounds=bounds).x
    return dict(zip(["intercept", *TOOL_PARTS], (round(float(one), 2) for one in weights), strict=True))


def main() -> None:
    tools = judged_tools()
    sys.stdout.write(f"tools: {fitted_tools(tools[::2])}\n")
    for name, some in (("fitted to", tools[::2]), ("held out", tools[1::2])):
        right = [one.right for one in some]
        for how, predicted in (
            ("by what they rest on", [one.confidence for one in some]),
            ("before", [one.before for one in some]),
            ("the model's own", [one.own for one in some]),
            ("always the mean", [sum(right) / len(right)] * len(some)),
        ):
            figures = f"Brier {brier(predicted, right):.3f}, error {calibration_error(predicted, right):.3f}"
            sys.stdout.write(f"tools, {name} ({len(some)}), {how}: {figures}\n")
    with tempfile.TemporaryDirectory() as folder:
        cases = judged_all(Path(folder))
    fit, held = cases[::2], cases[1::2]
    sys.stdout.write(f"{fitted(fit)}\n")
    for name, part in (("fitted to", fit), ("held out", held)):
        right = [one.right for one in part]
        mean = sum(right) / len(right)
        for how, predicted in (
            ("by evidence", [confidence(one.grounds) for one in part]),
            ("the model's own", [one.own for one in part]),
            ("always the mean", [mean] * len(part)),
        ):
            figures = f"Brier {brier(predicted, right):.3f}, error {calibration_error(predicted, right):.3f}"
            sys.stdout.write(f"{name} ({len(part)}), {how}: {figures}\n")


if __name__ == "__main__":
    main()
