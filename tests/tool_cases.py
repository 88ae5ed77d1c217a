"""Answers that rest on what tools computed, and how right they are: what is known beforehand of the same world is the judge.

Customers are samples of the real churn table; deals, measurements and spans are simulated, so that what comes, what changed and
what is slow is known; source trees are planted, whole or with files that cannot be read. Nothing is labelled by hand: an answer
is right where it says what holds of the whole, and never where the data cannot tell.
"""

import csv
import io
import math
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from actors.artemis.teams import code_analysis, performance_analysis, security, system_monitoring
from actors.artemis.tools import code_analysis as code
from actors.artemis.tools.performance_analysis import PerformanceAnalysisResult, of_spans
from actors.artemis.tools.security import scan
from actors.artemis.tools.source_tree import read_archive
from actors.artemis.tools.system_monitoring import monitor
from actors.sophia.teams import client_analysis, sales_intelligence
from actors.sophia.tools.client_analysis import analyse_clients
from actors.sophia.tools.deals import Deals, deals_of
from actors.sophia.tools.sales_intelligence import SalesIntelligenceResult, analyse_deals, basis
from actors.tables import read_table
from actors.team import Findings, Team
from contracts.measurements import Series
from contracts.operations import Operation, Operations
from tests.archives import zipped
from tests.data import shared_data
from tests.pipelines import ON, SEGMENTS, TODAY, simulated, table

NOW = datetime(2026, 11, 29, tzinfo=UTC)
Judge = Callable[[str], bool]


class ToolCase(Struct, frozen=True, kw_only=True):
    """A question, what its team's tool found, how old the data are, and whether an answer (its text) is right."""

    question: str
    team: Team
    tool: str
    found: Findings
    right: Judge
    age_days: float = 0.0


def never(_: str) -> bool:
    """The data cannot tell."""
    return False


def says(pattern: str) -> Judge:
    return lambda text: re.search(pattern, text) is not None


def near(pattern: str, truth: float, within: float = 0.1) -> Judge:
    """Whether the figure that the pattern finds is that near to the true one: a tenth of it, or a point of a share."""

    def right(text: str) -> bool:
        found = re.search(pattern, text)
        return found is not None and abs(float(found[1].replace(",", "")) - truth) <= max(1.0, within * truth)

    return right


def tool_cases() -> list[ToolCase]:
    """All; of each kind shuffled, so that the even and the odd ones have as many of it, and of its good and bad ones."""
    dice, cases = random.Random(0), list[ToolCase]()  # noqa: S311 - so that they can be had again
    for kind in (customers, deals, measurements, spans, trees):
        of_kind = list(kind())
        dice.shuffle(of_kind)
        cases += of_kind
    return cases


# customers

CHURN = (
    ("What share of our customers leave?", None, None),
    ("How high is churn among customers with fiber optic?", "InternetService", "Fiber optic"),
    ("How many customers who pay by electronic check leave?", "PaymentMethod", "Electronic check"),
    ("How many month-to-month customers do we lose?", "Contract", "Month-to-month"),
)
UNKNOWN_OF_CUSTOMERS = (
    "How many customers left for a competitor's offer?",
    "Which customers complained about their invoices in Norway?",
    "Do customers leave after a bad experience with the mobile app?",
)


@cache
def _rows() -> tuple[dict[str, str], ...]:
    return tuple(csv.DictReader(io.StringIO(shared_data("telco-customer-churn.csv").read_text("utf-8"))))


def _csv(rows: Sequence[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _churned(question: str, rows: Sequence[dict[str, str]], right: Judge, age_days: float = 0.0) -> ToolCase:
    result = analyse_clients(read_table(_csv(rows)), question)
    return ToolCase(
        question=question,
        team=client_analysis,
        tool="client_analysis",
        found=Findings(result.findings, basis=result.basis),
        right=right,
        age_days=age_days,
    )


def customers() -> Iterator[ToolCase]:
    """Samples of several sizes; some of which nobody noted whether those with a contract by the month left, some old."""
    everyone = _rows()
    for seed, size in enumerate((40, 150, 600)):
        for number, (question, column, value) in enumerate(CHURN):
            dice = random.Random(100 * seed + number)  # noqa: S311 - so that a sample can be had again
            those = [row for row in everyone if column is None or row[column] == value]
            group = f" with {column} = {value}" if column else ""
            right = near(
                rf"([\d.]+) % of customers{group} left", 100 * sum(row["Churn"] == "Yes" for row in those) / len(those)
            )
            case = _churned(question, dice.sample(everyone, size), right)
            yield case
            if size == 150:
                sample = dice.sample(everyone, size)
                yield _churned(question, [_unnoted(row) for row in sample], right)
                yield _churned(question, _calmer(sample), right, age_days=800.0)
            if size == 600:
                yield from (replace(case, age_days=days) for days in (90.0, 800.0))
    for size, question in zip((80, 200, 400), UNKNOWN_OF_CUSTOMERS, strict=True):
        yield _churned(question, everyone[:size], never)
    without = [{name: cell for name, cell in row.items() if name != "Churn"} for row in everyone[:300]]
    yield _churned("Who will leave us, and how many did?", without, never)


def _unnoted(row: dict[str, str]) -> dict[str, str]:
    return {**row, "Churn": ""} if row["Contract"] == "Month-to-month" else row


def _calmer(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """As it was when half as many left."""
    left = [row for row in rows if row["Churn"] == "Yes"]
    return [row for row in rows if row["Churn"] == "No"] + left[: len(left) // 2]


# deals

WON = 100 * sum(math.prod(min(0.95, on * by) for on in ON) for by in SEGMENTS.values()) / len(SEGMENTS)


def deals() -> Iterator[ToolCase]:
    """Pipelines of which is known what they will bring; some as they were nine months ago."""
    for seed, a_week in ((1, 0.3), (2, 0.7), (3, 1.5), (5, 0.4), (6, 1.0)):
        rows, later = simulated(seed, a_week=a_week)
        comes = sum(value for day, value in later if day <= TODAY + timedelta(days=91))
        known, result = _pipeline(table(rows))
        questions = (
            ("What will the pipeline bring next quarter?", near(r"deals worth ([\d,]+) EUR", comes, 0.2)),
            ("What share of our deals do we win?", near(r"([\d.]+) % \([^)]*\) of the decided deals were won", WON)),
            ("How much is open in the pipeline?", near(r"deals worth ([\d,]+) EUR are open", _open(rows))),
            ("Which partner in Norway referred most leads?", never),
        )
        for question, right in questions:
            yield _sold(question, known, result, right)
        if seed in (2, 5):
            known, result = _pipeline(table(simulated(seed, today=TODAY - timedelta(days=270), a_week=a_week)[0]))
            yield _sold(questions[2][0], known, result, questions[2][1])
            yield _sold(questions[0][0], known, result, questions[0][1])


def _open(rows: Sequence[dict[str, Any]]) -> float:
    return math.fsum(row["amount_eur"] for row in rows if row["stage"] not in ("won", "lost"))


def _pipeline(content: bytes) -> tuple[Deals, SalesIntelligenceResult]:
    known = deals_of(read_table(content), TODAY)
    assert known is not None
    return known, analyse_deals(known)


def _sold(question: str, known: Deals, result: SalesIntelligenceResult, right: Judge) -> ToolCase:
    assert result.pipeline is not None
    found = Findings(result.findings, basis=basis(result.pipeline, known, question))
    return ToolCase(question=question, team=sales_intelligence, tool="sales_intelligence", found=found, right=right)


# measurements

MINUTE_MS = 60_000


def measurements() -> Iterator[ToolCase]:
    """Figures with one change that is planted, or none; too few of them, or of long ago."""
    asked = "What is unusual in the metrics?"
    shifts = ((400, 12), (400, 0), (120, 8), (120, 0), (60, 6), (30, 8), (30, 4), (12, 8), (8, 8))
    for number, (points, shift, age_days) in enumerate([*((*one, 0) for one in shifts), (400, 12, 300)]):
        right = (
            says(r"mail pending (?:was|went|drifted)")
            if shift and not age_days
            else says("Nothing is unusual")
            if not shift
            else never
        )
        yield _monitored(asked, [_series(number, points, shift, age_days)], right)
    for number, short in ((20, 6), (21, 9)):
        series = [_series(number, 300, 0, 0, name="orders pending"), _series(number, short, 9, 0)]
        yield _monitored(asked, series, says(r"mail pending (?:was|went|drifted)"))
    for number, question in enumerate(
        ("Who changed the metrics of the mail server?", "What did the outage in Norway cost us?")
    ):
        yield _monitored(question, [_series(30 + number, 200, 9, 0)], never)


def _series(seed: int, points: int, shift: float, age_days: float, name: str = "mail pending") -> Series:
    dice = random.Random(seed)  # noqa: S311 - as above
    end_ms = int((NOW - timedelta(days=age_days)).timestamp() * 1_000)
    values = tuple(100 + dice.gauss(0, 2) + (shift * 2 if at > points * 0.7 else 0) for at in range(points))
    return Series(
        source=f"program {name}",
        at_ms=tuple(end_ms - (points - at) * MINUTE_MS for at in range(points)),
        figures={name: values},
    )


def _monitored(question: str, series: Sequence[Series], right: Judge) -> ToolCase:
    result = monitor((), None, series, window="last day")
    found = Findings(result.findings, basis=result.basis)
    return ToolCase(question=question, team=system_monitoring, tool="system_monitoring", found=found, right=right)


# spans


def spans() -> Iterator[ToolCase]:
    """Operations whose medians are known; few of them, or only those of the first half of the window."""
    asked = "Which operations are slowest?"
    for seed, (count, other_ms) in enumerate(product((3, 5, 8, 15, 40, 150, 600), (85, 96))):
        question = asked if seed % 3 else "Which operation takes longest?"
        yield _timed(question, seed, count, other_ms, says(r"median: 1\. sophia index"))
    for seed, count in ((20, 300), (21, 60), (22, 12)):
        yield _timed(asked, seed, count, 80, never, half=True)
    for seed, question in enumerate(("Which index of the database is missing?", "Who wrote the slowest query?")):
        yield _timed(question, 30 + seed, 200, 80, never)
    yield _timed(asked, 40, 0, 80, never)
    for seed, (count, factor) in enumerate(((300, 1.5), (80, 1.4), (25, 1.5), (10, 1.5), (25, 1.1))):
        before = _window(50 + seed, {"index": 100.0, "search": 80.0}, count, hours=24)
        now = _window(60 + seed, {"index": 100.0 * factor, "search": 80.0}, count)
        found = of_spans(now, before, "last day")
        yield _performed("What became slower?", found, says("Slower: sophia index"))


def _timed(question: str, seed: int, count: int, other_ms: float, right: Judge, *, half: bool = False) -> ToolCase:
    """`index` is the slowest; where the half was read it is only done in the other one."""
    names = {"search": other_ms, "store": 60.0} if half else {"index": 100.0, "search": other_ms, "store": 60.0}
    window = _window(seed, names, count)
    if half:
        window = replace(window, complete_until=window.since + timedelta(hours=12))
    return _performed(question, of_spans(window, None, "last day"), right)


def _performed(question: str, result: PerformanceAnalysisResult, right: Judge) -> ToolCase:
    found = Findings(result.findings, basis=result.basis)
    return ToolCase(question=question, team=performance_analysis, tool="performance_analysis", found=found, right=right)


def _window(seed: int, medians: Mapping[str, float], count: int, hours: int = 0) -> Operations:
    dice = random.Random(seed)  # noqa: S311 - as above
    until = NOW - timedelta(hours=hours)
    done = [
        Operation(service="sophia", name=name, count=count, failed=0, total_ms=sum(ms), self_ms=sum(ms), ms=ms)
        for name, median in medians.items()
        if (ms := tuple(dice.lognormvariate(math.log(median), 0.3) for _ in range(count)))
    ]
    return Operations(
        since=until - timedelta(days=1),
        until=until,
        complete_until=until,
        spans=sum(one.count for one in done),
        runs=count,
        operations=tuple(done),
    )


# source trees

PLAIN = """def plain_{0}(value: int) -> int:
    return value + {0}


def twice_{0}(value: int) -> int:
    return plain_{0}(value) * 2
"""
KNOT = "def knot(value: int) -> int:\n" + "".join(f"    if value == {n}:\n        return {n + 1}\n" for n in range(14))
HOLE = """import sqlite3

KEY = "AKIAIOSFODNN7EXAMPLX"


def found(name: str) -> object:
    return sqlite3.connect("a").execute("SELECT * FROM a WHERE b = '%s'" % name)
"""
MODULES = 8


def trees() -> Iterator[ToolCase]:
    """One function is complex, one file weak. Whole; with half of the files lost, those or others; and as of two years ago."""
    files = {f"shop/part_{n}.py": PLAIN.format(n) for n in range(MODULES)} | {"shop/__init__.py": ""}
    whole = files | {"shop/prices.py": KNOT, "shop/store.py": HOLE}
    half = {f"../{name}" if n % 2 else name: text for n, (name, text) in enumerate(files.items())}
    lost = half | {"../shop/prices.py": KNOT, "../shop/store.py": HOLE}
    kept = half | {"shop/prices.py": KNOT, "shop/store.py": HOLE}
    count = 2.0 * MODULES + 2
    for number, (content, age_days) in enumerate(
        ((whole, 0.0), (lost, 0.0), (kept, 0.0), (files, 730.0), (whole, 730.0), (whole, 30.0))
    ):
        packed = zipped(content)
        for question, right in (
            ("Which function is the most complex?", says(r"\bknot\b")),
            ("How many functions does the code have?", near(r"([\d,]+) functions with a mean", count)),
            (
                "How many lint findings and import cycles are there?",
                says(r"0 lint findings.*" if not number else "0 import cycles"),
            ),
            ("Where is the code hardest to understand?", says(r"\bknot\b")),
            ("Which developer wrote most of the code?", never),
        ):
            yield _read(question, code_analysis, "code_analysis", _analysed(packed), right, age_days)
        if number in (0, 1, 4):
            for question, right in (
                ("Is there a secret in the code?", says(r"secret[^.]*\bshop/store\.py|shop/store\.py[^.]*secret")),
                ("Where can SQL be injected?", says(r"shop/store\.py")),
                ("Which passwords of customers were leaked in May?", never),
            ):
                yield _read(question, security, "security", _scanned(packed), right, age_days)


@cache
def _analysed(packed: bytes) -> Findings:
    result = code.analyse(read_archive(packed))
    return Findings(result.findings, basis=result.basis)


@cache
def _scanned(packed: bytes) -> Findings:
    result = scan(read_archive(packed))
    return Findings(result.findings, basis=result.basis)


def _read(question: str, team: Team, tool: str, found: Findings, right: Judge, age_days: float) -> ToolCase:
    return ToolCase(question=question, team=team, tool=tool, found=found, right=right, age_days=age_days)
