"""Performance analysis: what is slow by measurement, out of our own spans and of uploaded profiles. Code is not guessed about.

Of spans: each operation's quantiles with intervals, its share of all time, failures, what the slowest runs waited for, and what
changed between two windows (`durations`). Of profiles: functions by their own samples, and two profiles compared (`profiles`).
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, Struct, UnsetType

from actors.artemis.tools.durations import SAMPLES_MIN, Change, Compared, Quantile, compare, quantiles
from actors.artemis.tools.earlier import Upload, in_order
from actors.artemis.tools.profiles import SIGNIFICANT, Function, Profile, Shift, functions, read_profile, shifts
from actors.tables import figure, percent
from actors.tool import Fetch, tool
from contracts.grounds import Basis
from contracts.operations import Operation, Operations, SlowRun
from runtime.errors import OutcomeError
from runtime.ports import Tool, ToolLimits

TIMED_MAX = 40  # operations with quantiles in the result
TOLD_MAX = 6
STEPS_TOLD_MAX = 5
FUNCTIONS_MAX = 50
ARCHIVE = (
    "The source code was not scanned for what may be slow: only what was measured is told. Ask for its code analysis, or import a"
    " profile of the program (py-spy, speedscope, collapsed stacks, pyinstrument)."
)

_operations = msgspec.json.Decoder(Operations)


class PerformanceAnalysisArguments(Struct, frozen=True, kw_only=True):
    """Digests of stored files: `spans` and `before` of our own operations in two windows, `profiles` of one or two profiles.

    `uploads` are the profiles' titles and times, in their order. `archive`: that of source code, as it was named by questions of
    an older flow.
    """

    archive: str | UnsetType = UNSET
    question: str = ""
    spans: str | UnsetType = UNSET
    before: str | UnsetType = UNSET
    window: str | UnsetType = UNSET
    profiles: tuple[str, ...] | UnsetType = UNSET
    uploads: tuple[Upload, ...] | UnsetType = UNSET
    notes: tuple[str, ...] | UnsetType = UNSET


class Timed(Struct, frozen=True, kw_only=True):
    """An operation with the quantiles of its durations; `share` is that of its own time in the time of all."""

    service: str
    name: str
    count: int
    failed: int
    share: float
    quantiles: tuple[Quantile, ...]


class PerformanceAnalysisResult(Struct, frozen=True, kw_only=True):
    """What was asked for and is there; the operations by their own time, the changes by what they cost."""

    findings: tuple[str, ...]
    spans: int = 0
    operations: tuple[Timed, ...] = ()
    slowest: tuple[SlowRun, ...] = ()
    changes: tuple[Change, ...] = ()
    functions: tuple[Function, ...] = ()
    shifts: tuple[Shift, ...] = ()
    basis: Basis | UnsetType = UNSET


def of_spans(now: Operations, before: Operations | None, window: str) -> PerformanceAnalysisResult:
    """What took time in the window, and what changed since the one before."""
    if not now.spans:
        return PerformanceAnalysisResult(
            findings=(f"No operation of ours ended in the {window}: there are no spans.",), basis=Basis(read=0, given=1)
        )
    whole = sum(one.self_ms for one in now.operations) or 1.0
    timed = [_timed(one, whole) for one in now.operations]
    compared = compare(before.operations, now.operations) if before is not None and before.spans else None
    findings = [
        f"{now.spans:,} spans of {now.runs:,} runs ended in the {window} ({_moment(now.since)} to {_moment(now.until)}): "
        f"{len(now.operations):,} operations, {figure(whole / 1_000)} s of work."
    ]
    if now.complete_until < now.until:
        findings.append(
            f"There were too many to read: those that ended after {_moment(now.complete_until)} are left out."
        )
    if compared is not None and before is not None:
        findings += _changes(compared, before)
    elif before is not None:
        findings.append(
            f"What got slower or faster cannot be told: nothing of ours ended from {_moment(before.since)} to"
            f" {_moment(before.until)}, which the {window} is compared with."
        )
    findings += _slowest(timed) + [_path(one) for one in now.slowest[:1]]
    return PerformanceAnalysisResult(
        findings=tuple(findings),
        spans=now.spans,
        operations=tuple(timed[:TIMED_MAX]),
        slowest=now.slowest,
        changes=compared.changes if compared else (),
        basis=Basis(
            read=round((now.complete_until - now.since).total_seconds()),
            given=round((now.until - now.since).total_seconds()),
            tried=1 if before is None else 2,
            done=1 + bool(compared and compared.changes),
            spread=_spread(max(timed, key=lambda one: one.quantiles[0].ms).quantiles[0]),
            newest=now.complete_until,
        ),
    )


def _spread(median: Quantile) -> float:
    """Half of the interval over the median; 1 where there were too few durations for one."""
    if median.low is None or median.high is None or not median.ms:
        return 1.0
    return (median.high - median.low) / 2 / median.ms


def _timed(one: Operation, whole: float) -> Timed:
    return Timed(
        service=one.service,
        name=one.name,
        count=one.count,
        failed=one.failed,
        share=one.self_ms / whole,
        quantiles=quantiles(one.ms),
    )


def _slowest(timed: Sequence[Timed]) -> list[str]:
    """By median, however seldom they were done: only comparisons need many. One sentence, so that their order is kept."""
    slow = sorted(timed, key=lambda one: -one.quantiles[0].ms)[:TOLD_MAX]
    told = "; ".join(f"{at}. {_told(one)}" for at, one in enumerate(slow, start=1))
    costly = [f"{one.service} {one.name} {percent(one.share)}" for one in timed[:TOLD_MAX]]
    lines = [
        f"Slowest operations by median: {told}.",
        f"Most time of their own, without what they wait for inside: {', '.join(costly)}.",
    ]
    failing = sorted((one for one in timed if one.failed), key=lambda one: -one.failed)[:TOLD_MAX]
    lines += [f"{one.service} {one.name} failed {one.failed:,} of {one.count:,} times." for one in failing]
    return lines


def _told(one: Timed) -> str:
    quantile = ", ".join(
        f"p{found.q * 100:g} {figure(found.ms)} ms{_interval(found.low, found.high)}" for found in one.quantiles
    )
    return f"{one.service} {one.name}, n = {one.count:,}, {quantile}"


def _interval(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return " (too few for an interval)"
    return f" (95 % {figure(low) if low is not None else '?'} to {figure(high) if high is not None else '?'})"


def _path(run: SlowRun) -> str:
    summed: dict[str, float] = {}
    for one in run.path:
        name = f"{one.service} {one.name}"
        summed[name] = summed.get(name, 0.0) + one.ms
    steps = sorted(summed.items(), key=lambda step: -step[1])[:STEPS_TOLD_MAX]
    told = ", ".join(f"{name} {figure(ms)} ms" for name, ms in steps)
    return f"The slowest run worked for {figure(run.ms)} ms, {run.spans:,} spans; its critical path: {told}."


def _changes(compared: Compared, before: Operations) -> list[str]:
    against = f"{_moment(before.since)} to {_moment(before.until)}"
    slower = [one for one in compared.changes if one.slower]
    faster = [one for one in compared.changes if one.faster]
    failing = [one for one in compared.changes if one.fails_more]
    lines = [
        f"Against {against}: {len(slower):,} of {len(compared.changes):,} compared operations became slower,"
        f" {len(faster):,} faster, {len(failing):,} fail more often."
    ]
    lines += [f"Slower: {_change(one)}." for one in slower[:TOLD_MAX]]
    lines += [f"Faster: {_change(one)}." for one in faster[:TOLD_MAX]]
    lines += [
        f"Fails more often: {one.service} {one.name}, {one.failed_before:,} of {one.before:,} before, {one.failed_after:,} of"
        f" {one.after:,} now (Fisher's exact test, Holm-adjusted p {one.failed_adjusted:.2g})."
        for one in failing[:TOLD_MAX]
    ]
    if compared.too_few:
        lines.append(
            f"{len(compared.too_few):,} operations have fewer than {SAMPLES_MIN} durations in one of the windows: not enough to"
            " compare them."
        )
    if compared.only_after:
        lines.append(f"New in this window: {', '.join(compared.only_after[:TOLD_MAX])}.")
    return lines


def _change(one: Change) -> str:
    low, high = min(one.low, one.high), max(one.low, one.high)
    return (
        f"{one.service} {one.name}, median {figure(one.before_ms)} ms before ({one.before:,} times), {figure(one.after_ms)} ms"
        f" now ({one.after:,}); difference of the medians 95 % {figure(low)} to {figure(high)} ms by bootstrap, Mann–Whitney U"
        f" with Holm-adjusted p {one.adjusted:.2g}, a later one is longer with chance {one.larger:.2f}"
    )


def of_profiles(
    profiles: Sequence[Profile], uploads: Sequence[Upload] = (), question: str = ""
) -> PerformanceAnalysisResult:
    """The hottest functions of one profile; of two, those of the later one and what changed, and which is the earlier."""
    last, order = profiles[-1], ""
    if len(profiles) > 1 and len(uploads) == len(profiles):
        (first, second), order = in_order(question, uploads[-2:], profiles[-2:])
        profiles = [profiles[-2:][first], profiles[-2:][second]]
        last = profiles[-1]
    hot = functions(last)
    findings = [order] if order else []
    findings += [
        f"The {'later ' if len(profiles) > 1 else ''}profile ({last.form}) holds {figure(last.total)} {last.unit} in"
        f" {len(last.stacks):,} different stacks of"
        f" {len(hot):,} functions."
    ]
    findings += [
        f"Hottest function {at}: {one.name}, {percent(one.own_share)} by itself, {percent(one.total_share)} with what it calls."
        for at, one in enumerate(hot[:TOLD_MAX], start=1)
    ]
    whole = sorted(hot, key=lambda one: -one.total)[:TOLD_MAX]
    findings.append(
        "Most with what they call: " + ", ".join(f"{one.name} {percent(one.total_share)}" for one in whole) + "."
    )
    moved: list[Shift] = []
    if len(profiles) > 1:
        try:
            moved = shifts(profiles[-2], last)
        except OutcomeError as error:
            findings.append(f"The two profiles were not compared: {error}.")
        else:
            findings += _shifted(moved)
    return PerformanceAnalysisResult(
        findings=tuple(findings),
        functions=tuple(hot[:FUNCTIONS_MAX]),
        shifts=tuple(moved[:FUNCTIONS_MAX]),
        basis=Basis(read=1, given=1, tried=len(profiles), done=2 if moved else 1, spread=_of_samples(last, hot)),
    )


def _of_samples(profile: Profile, hot: Sequence[Function]) -> float:
    """The interval of the hottest function's share, where the profile counts samples; time is measured whole."""
    from statsmodels.stats.proportion import proportion_confint

    if profile.unit != "samples" or not hot or not hot[0].own:
        return 0.0
    low, high = proportion_confint(round(hot[0].own), max(1, round(profile.total)), alpha=0.05, method="wilson")
    return float(high - low) / 2 / hot[0].own_share


def _shifted(moved: Sequence[Shift]) -> list[str]:
    certain = [one for one in moved if one.adjusted < SIGNIFICANT]
    lines = [
        f"Against the earlier profile {len(certain):,} of {len(moved):,} functions have another share of the samples"
        " (two-proportion z-test, Holm-adjusted)."
    ]
    return lines + [
        f"{one.name}: {percent(one.before)} before, {percent(one.after)} now; difference 95 % {percent(one.low)} to"
        f" {percent(one.high)} (Newcombe), adjusted p {one.adjusted:.2g}."
        for one in certain[:TOLD_MAX]
    ]


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _run(arguments: PerformanceAnalysisArguments, blobs: Fetch) -> PerformanceAnalysisResult:
    findings = list(arguments.notes or ())
    result = PerformanceAnalysisResult(findings=())
    if arguments.profiles:
        read = [read_profile(blobs(digest)) for digest in arguments.profiles]
        result = of_profiles(read, arguments.uploads or (), arguments.question)
    elif isinstance(arguments.spans, str):
        before = arguments.before
        earlier = _operations.decode(blobs(before)) if isinstance(before, str) else None
        result = of_spans(_operations.decode(blobs(arguments.spans)), earlier, arguments.window or "window")
    elif isinstance(arguments.archive, str):
        findings.append(ARCHIVE)
    basis = result.basis
    if arguments.notes and basis is not UNSET:
        basis = msgspec.structs.replace(basis, tried=basis.tried + len(arguments.notes))
    return msgspec.structs.replace(result, findings=(*findings, *result.findings), basis=basis)


PERFORMANCE_ANALYSIS: Tool = tool(
    "performance_analysis",
    _run,
    "Which operations of our own are slowest and which became slower, out of spans; the hottest functions of uploaded profiles.",
    permission="artemis:read",
    limits=ToolLimits(
        preload=("scipy.stats", "statsmodels.stats.proportion"),
    ),
)
