"""Calibration of confidence: the labelled cases answered by the real retrieval and the extractive model, and how right they are.

`python -m tests.calibration` fits the weights of actors/confidence.py to the even cases again and prints them with the figures.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct

from actors.confidence import AGREEMENT, FRESHNESS, Rested, confidence, of_answer
from actors.sophia.teams import business_insight
from actors.team import RELEVANT_FROM, dated
from adapters.extractive import compose
from adapters.memory_vectors import MemoryVectors
from adapters.minilm import MiniLm
from adapters.retrieval import LocalRetrieval
from contracts.domains import Clearance
from contracts.grounds import Grounds
from contracts.model import Prompt
from contracts.retrieval import Entry, Query
from runtime.reading import WORDS_MATCH_FROM
from runtime.telemetry import NoTelemetry
from tests.confidence_cases import CASES, CORPUS, Case

NOW = datetime(2026, 11, 29, tzinfo=UTC)
EVIDENCE_MAX = 8
BINS = 5


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


def main() -> None:
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
