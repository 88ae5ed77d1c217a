"""Figures of the machine and of processes, as psutil has them."""

from collections.abc import Callable

import psutil

from adapters.prometheus import PrometheusMetrics
from runtime import telemetry

SERVERS = ("nats-server", "postgres")
"""The embedded servers' programs, as the processes beside the roles are named."""

_SPLIT = {
    telemetry.REQUEST_SECONDS: "route",
    telemetry.EFFECT_SECONDS: "effect",
    telemetry.PROVIDER_CALLS_TOTAL: "outcome",
}
"""Metrics that are measured by the values of one label, too, beside their sum."""


def machine(folder: str) -> Callable[[], dict[str, float]]:
    """Takes the figures of the machine, of the disk that holds the folder, and of the servers beside this process.

    Shares are 0 to 1; that of the CPU is since the call before.
    """
    cores = psutil.cpu_count() or 1
    psutil.cpu_percent()

    def take() -> dict[str, float]:
        memory, swap, disk = psutil.virtual_memory(), psutil.swap_memory(), psutil.disk_usage(folder)
        return {
            "cpu share": psutil.cpu_percent() / 100,
            "load per core": psutil.getloadavg()[0] / cores,
            "memory share": memory.percent / 100,
            "memory available bytes": float(memory.available),
            "swap share": swap.percent / 100,
            "disk share": disk.percent / 100,
            "disk free bytes": float(disk.free),
            **_servers(),
        }

    return take


def _servers() -> dict[str, float]:
    """The memory of the servers that our parent, the supervisor, started, too; of what it did not start nothing is known."""
    found: dict[str, float] = {}
    try:
        beside = psutil.Process().parent()
        for process in beside.children() if beside else ():
            if (name := process.name()) in SERVERS:
                found[f"{name} memory bytes"] = found.get(f"{name} memory bytes", 0.0) + process.memory_info().rss
    except psutil.Error:  # One has ended meanwhile.
        return found
    return found


class RoleFigures:
    """Takes the figures of this process: its share of the machine's CPU, its memory, and what its metrics counted meanwhile."""

    def __init__(self, metrics: PrometheusMetrics) -> None:
        self._metrics = metrics
        self._process = psutil.Process()
        self._cores = psutil.cpu_count() or 1
        self._before: dict[str, float] = {}
        self._process.cpu_percent()

    def take(self, seconds: float) -> dict[str, float]:
        """`seconds`: since the last call. Means are of what ended since then; where nothing did there is none."""
        process = self._process
        with process.oneshot():
            figures = {
                "cpu share": process.cpu_percent() / 100 / self._cores,
                "memory bytes": float(process.memory_info().rss),
                "threads": float(process.num_threads()),
                "open files": float(process.num_fds()),
            }
        totals, gauges = self._totals()
        before, self._before = self._before, totals
        for name, total in totals.items():
            more = total - before.get(name, 0.0)
            if name.endswith(" count"):
                if more > 0:
                    took = totals[name.removesuffix(" count") + " sum"] - before.get(
                        name.removesuffix(" count") + " sum", 0.0
                    )
                    figures[f"{name.removesuffix(' count')} mean ms"] = 1_000 * took / more
            elif not name.endswith(" sum"):
                figures[f"{name} per s"] = more / seconds
        return figures | gauges

    def _totals(self) -> tuple[dict[str, float], dict[str, float]]:
        """Counters, and sums and counts of histograms, over all labels and by those that are split; and gauges."""
        totals: dict[str, float] = {}
        gauges: dict[str, float] = {}
        for kind, metric, part, labels, value in self._metrics.samples():
            name = metric.removeprefix("diarchy_").removesuffix("_total").removesuffix("_seconds").replace("_", " ")
            if kind == "gauge":
                gauges[name] = gauges.get(name, 0.0) + value
                continue
            if part == "bucket":
                continue
            names = [name] + ([f"{name} {labels[label]}"] if (label := _SPLIT.get(metric)) else [])
            if metric == telemetry.REQUESTS_TOTAL and labels["status"].startswith("5"):
                names.append("failed requests")
            for one in names:
                key = one + (f" {part}" if part else "")
                totals[key] = totals.get(key, 0.0) + value
        if "requests" in totals:
            totals.setdefault("failed requests", 0.0)
        return totals, gauges
