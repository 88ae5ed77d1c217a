"""What a run of chaos leaves behind: a summary in Markdown and everything as JSON."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import results
from chaos.history import Finding
from chaos.run import CHECKS, Outcome

TITLE = "Chaos"
RUNS = Path("chaos-data")
FINDINGS_SHOWN_MAX = 20  # of each check; the JSON has them all


def stamp(name: str) -> str:
    """A name for this run's folder."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}"


def keep(outcome: Outcome, path: Path) -> None:
    """Write the report to `path` and the run as JSON beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# Chaos, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n\n{results.machine()}\n\n{summary(outcome)}\n")
    path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(outcome, enc_hook=str), indent=1))


def publish(outcome: Outcome) -> None:
    """Put the summary among the figures."""
    chaos = outcome.chaos
    command = f"just chaos --kills {chaos.kills} --pauses {chaos.pauses} --seed {chaos.seed} --workers {chaos.workers}"
    results.write(TITLE, command, summary(outcome))


def summary(outcome: Outcome) -> str:
    """Counts, the struck parts, and each check with what it found."""
    return "\n\n".join((_counts(outcome), _parts(outcome), _checks(outcome)))


def _counts(outcome: Outcome) -> str:
    told = ", ".join(f"{status or 'no answer'}: {number:,}" for status, number in outcome.statuses.items())
    kinds = ", ".join(f"{name} {number:,} of {outcome.commands[name]:,}" for name, number in outcome.accepted.items())
    return table(
        ("what", "figure"),
        [
            (
                "kills, pauses",
                f"{outcome.kills:,}, {outcome.pauses:,} in {outcome.seconds:,.0f} s, seed {outcome.chaos.seed}",
            ),
            ("workers a domain", str(outcome.chaos.workers)),
            ("commands accepted", f"{sum(outcome.accepted.values()):,} of {sum(outcome.commands.values()):,}"),
            ("of each kind", kinds),
            ("answers by status", told),
            ("longest until accepted", f"{outcome.slowest_s} s"),
            ("records in the logs, runs", f"{outcome.records:,}, {outcome.runs:,}"),
            ("dead letters", f"{outcome.letters:,}"),
            ("model calls, of them repeats", f"{outcome.calls:,}, {outcome.calls_repeated:,}"),
            ("rows rebuilt and compared", f"{sum(outcome.rows.values()):,} in {len(outcome.rows)} tables"),
        ],
    )


def _parts(outcome: Outcome) -> str:
    struck = Counter((one.strike.victim, one.strike.kind) for one in outcome.struck)
    names = sorted({victim for victim, _ in struck})
    rows = [(name, str(struck[name, "kill"]), str(struck[name, "pause"])) for name in names]
    return table(("part", "kills", "pauses"), rows)


def _checks(outcome: Outcome) -> str:
    found = Counter(finding.check for finding in outcome.findings)
    rows = [(name, str(found[name]) if found[name] else "in order") for name in CHECKS]
    return "\n\n".join(filter(None, (table(("check", "found"), rows), listed(outcome.findings))))


def listed(findings: Sequence[Finding]) -> str:
    """The findings, the first few of each check."""
    by_check: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        by_check[finding.check].append(finding.what)
    return "\n".join(f"- **{name}**: {what}" for name, told in by_check.items() for what in told[:FINDINGS_SHOWN_MAX])


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """In Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
