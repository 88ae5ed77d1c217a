"""Memory of every process over time: proportional set size, which counts what processes share once."""

import asyncio
import time
from collections.abc import Callable, Sequence
from statistics import mean, median

import psutil
from msgspec import Struct

MIB = 1 << 20
GROWTH_SHARE_MAX = 0.10
GROWTH_MIB_MAX = 16.0


class Course(Struct, frozen=True, kw_only=True):
    """One part's memory over the run: MiB at the start, after a fifth, in the middle, at the end, and the slope after it."""

    part: str
    first_mib: float
    fifth_mib: float
    middle_mib: float
    last_mib: float
    peak_mib: float
    slope_mib_per_min: float
    flat: bool


class Scales:
    """Weighs every part again and again."""

    def __init__(self, parts: Sequence[str], pid: Callable[[str], int | None]) -> None:
        self._parts = parts
        self._pid = pid
        self._weights: dict[str, list[tuple[float, float]]] = {part: [] for part in parts}

    async def run(self, every_s: float) -> None:
        """Without end."""
        while True:
            for part in self._parts:
                weight = await asyncio.to_thread(_weight, self._pid(part))
                if weight:
                    self._weights[part].append((time.monotonic(), weight))
            await asyncio.sleep(every_s)

    def courses(self) -> list[Course]:
        """What became of each part. Flat: from the second fifth to the last it grew by less than a tenth, or 16 MiB."""
        return [_course(part, weights) for part, weights in self._weights.items() if len(weights) >= 5]


def _weight(pid: int | None) -> float:
    """MiB of a process and its children; 0 where there is none."""
    try:
        process = psutil.Process(pid or -1)
        return sum(one.memory_full_info().pss for one in (process, *process.children(recursive=True))) / MIB
    except (psutil.Error, ValueError):
        return 0.0


def _course(part: str, weights: Sequence[tuple[float, float]]) -> Course:
    fifth = len(weights) // 5
    later = weights[fifth:]
    second = median(weight for _, weight in weights[fifth : 2 * fifth])
    last = median(weight for _, weight in weights[-fifth:])
    return Course(
        part=part,
        first_mib=round(weights[0][1], 1),
        fifth_mib=round(second, 1),
        middle_mib=round(weights[len(weights) // 2][1], 1),
        last_mib=round(last, 1),
        peak_mib=round(max(weight for _, weight in weights), 1),
        slope_mib_per_min=round(60 * _slope(later), 2),
        flat=last - second < max(GROWTH_MIB_MAX, GROWTH_SHARE_MAX * second),
    )


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares: MiB a second."""
    x_mean, y_mean = mean(x for x, _ in points), mean(y for _, y in points)
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread if spread else 0.0
