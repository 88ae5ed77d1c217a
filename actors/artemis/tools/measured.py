"""Our own measurements as a tool reads them: how the system is, and which series are to be judged."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median

from msgspec import Struct

from actors.artemis.tools.unusual import Watched
from actors.tables import figure
from contracts.measurements import BROKER, HEALTH, HOST, Series

STEADY = (
    ("slow consumers", 0.0),
    ("failed requests per s", 0.0),
    ("dead letters per s", 0.0),
    (" redelivered", 0.0),
    (" well", 1.0),
)
"""What a figure with such a name should always be."""
LEFT_OUT = (" ms", " last sequence", " bytes", "api errors", "subscriptions", "threads", "open files", "cpu share")
"""Ends of names whose figures grow with use or say nothing by themselves; `KEPT` are judged all the same."""
KEPT = ("cpu share", "memory bytes", "mean ms", "storage bytes", "disk free bytes", "memory available bytes")


class Health(Struct, frozen=True, kw_only=True):
    """The last measurement of health: when, the score (None: not measured), and which checks were not well then."""

    at_ms: int
    score: float | None
    checks: int
    ill: tuple[str, ...]


def health(series: Sequence[Series]) -> Health | None:
    """As it was measured last; None when it never was."""
    found = next((one for one in series if one.source == HEALTH), None)
    if found is None or not found.at_ms:
        return None
    last = {name: values[-1] for name, values in found.figures.items() if values[-1] is not None}
    checks = {name.removesuffix(" well"): value for name, value in last.items() if name.endswith(" well")}
    return Health(
        at_ms=found.at_ms[-1],
        score=last.get("score"),
        checks=len(checks),
        ill=tuple(sorted(name for name, value in checks.items() if value != 1)),
    )


def watched(series: Sequence[Series]) -> list[Watched]:
    """Every figure that is worth judging, named with its source."""
    found: list[Watched] = []
    for one in series:
        gaps = sorted(later - earlier for earlier, later in pairwise(one.at_ms))
        step_ms = gaps[len(gaps) // 2] if gaps else 1
        for name, values in one.figures.items():
            steady = next((usual for end, usual in STEADY if name.endswith(end)), None)
            if steady is None and name.endswith(LEFT_OUT) and not name.endswith(KEPT):
                continue
            points = [(at, value) for at, value in zip(one.at_ms, values, strict=True) if value is not None]
            found.append(
                Watched(
                    name=f"{one.source}: {name}",
                    at_ms=tuple(at for at, _ in points),
                    values=tuple(value for _, value in points),
                    step_ms=step_ms,
                    steady=steady,
                )
            )
    return found


def state(series: Sequence[Series]) -> list[str]:
    """How everything was at the last measurement, and over the window, in sentences."""
    sources = {one.source: one for one in series if one.at_ms}
    lines: list[str] = []
    if found := health(series):
        well = f"all {found.checks} checks well" if found.checks else "no check was measured"
        ill = f"not well: {', '.join(found.ill)}" if found.ill else well
        score = f"{figure(found.score)} of 100" if found.score is not None else "not measured"
        lines.append(f"Health at {clock(found.at_ms)}: score {score}, {ill}.")
    if host := sources.get(HOST):
        lines.append(
            f"The machine at {clock(host.at_ms[-1])}: CPU {_over(host, 'cpu share', _share)}; load per core"
            f" {_over(host, 'load per core', figure)}; memory {_over(host, 'memory share', _share)}; disk"
            f" {_disk(host)}."
        )
    if broker := sources.get(BROKER):
        lines += _broker(broker)
    if roles := [one for name, one in sources.items() if name not in (HOST, BROKER, HEALTH)]:
        largest = sorted(roles, key=lambda one: -_last(one, "memory bytes"))
        told = [
            f"{one.source} {_share(_last(one, 'cpu share'))} and {_size(_last(one, 'memory bytes'))}" for one in largest
        ]
        lines.append(f"Roles, share of the machine's CPU and memory at the last measurement: {', '.join(told)}.")
        if gateway := sources.get("gateway"):
            lines += _requests(gateway)
    return lines


def _disk(host: Series) -> str:
    full = f"{_share(_last(host, 'disk share'))} full" if _measured(host, "disk share") else "not measured"
    return full + (f", {_size(_last(host, 'disk free bytes'))} free" if _measured(host, "disk free bytes") else "")


def _measured(one: Series, name: str) -> bool:
    return any(value is not None for value in one.figures.get(name, ()))


def _broker(broker: Series) -> list[str]:
    def total(end: str) -> float:
        return sum(_last(broker, name) for name in broker.figures if name.endswith(end))

    filled = {name: _last(broker, name) for name in broker.figures if name.endswith(" filled share")}
    if not filled:
        connections = (
            f"; {figure(_last(broker, 'connections'))} connections" if _measured(broker, "connections") else ""
        )
        return [f"JetStream at {clock(broker.at_ms[-1])}: no stream was measured{connections}."]
    fullest = max(filled, key=lambda name: filled[name])
    return [
        f"JetStream at {clock(broker.at_ms[-1])}: {len(filled)} streams hold {figure(round(total(' messages')))} messages in"
        f" {_size(_last(broker, 'storage bytes'))} on disk, the fullest"
        f" {fullest.removesuffix(' filled share')} at {_share(filled[fullest])}; {figure(total(' pending'))} messages wait,"
        f" {figure(total(' unacknowledged'))} are handed out, {figure(total(' redelivered'))} were handed out again;"
        f" {figure(_last(broker, 'connections'))} connections, {figure(_last(broker, 'slow consumers'))} slow consumers."
    ]


def _requests(gateway: Series) -> list[str]:
    if "requests per s" not in gateway.figures:
        return []
    times = [value for value in gateway.figures.get("request mean ms", ()) if value is not None]
    took = f", mean {figure(median(times))} ms (median over the window)" if times else ""
    return [
        f"Requests: {_over(gateway, 'requests per s', figure)} a second{took}; failed"
        f" {_over(gateway, 'failed requests per s', figure)} a second."
    ]


def _last(one: Series, name: str) -> float:
    return next((value for value in reversed(one.figures.get(name, ())) if value is not None), 0.0)


def _over(one: Series, name: str, said: Callable[[float], str]) -> str:
    values = [value for value in one.figures.get(name, ()) if value is not None]
    if not values:
        return "not measured"
    return f"{said(values[-1])} (median {said(median(values))}, highest {said(max(values))})"


def _share(value: float) -> str:
    return f"{value * 100:.1f} %"


def _size(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"


def clock(at_ms: int) -> str:
    """A moment for people, UTC."""
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
