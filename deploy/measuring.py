"""What each role measures: itself; the system role the machine and the broker, too, and the gateway everybody's health."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from adapters.broker_figures import broker_figures
from contracts import measurements
from deploy.plant import Plant
from runtime.measuring import Figures, Sampler, Take

if TYPE_CHECKING:
    from gateway.services import CheckFunction


def sampler(service: str, plant: Plant) -> Sampler:
    """Of the whole process: the sources that its roles have added, and itself under its roles' names."""
    sources = {**plant.sources, service.replace("+", "-"): _itself(plant)}
    return Sampler(plant.measurements, sources, every_s=plant.settings.limits.measure_s)


def of_machine_and_broker(plant: Plant) -> dict[str, Take]:
    """The machine is that on which the system role runs."""
    from adapters.host_figures import machine

    folder = plant.settings.folder
    take = machine(str(folder if folder.exists() else "/"))

    async def host() -> Figures:
        return take()

    async def broker() -> Figures:
        return await broker_figures(plant.broker)

    return {measurements.HOST: host, measurements.BROKER: broker}


def of_health(checks: "Mapping[str, CheckFunction]", timeout_s: float) -> dict[str, Take]:
    """What `/health/detailed` says: the score, and of every check whether it is well (1 or 0) and how long it took."""
    from gateway.queries import checked

    async def health() -> Figures:
        found = await checked(checks, timeout_s)
        figures: Figures = {"score": found.score}
        for check in found.checks:
            figures[f"{check.name} well"] = float(check.ok)
            figures[f"{check.name} ms"] = check.milliseconds
        return figures

    return {measurements.HEALTH: health}


def _itself(plant: Plant) -> Take:
    from adapters.host_figures import RoleFigures

    figures = RoleFigures(plant.telemetry.metrics)
    before = time.monotonic()

    async def role() -> Figures:
        nonlocal before
        now = time.monotonic()
        seconds, before = max(now - before, 0.001), now
        return figures.take(seconds)

    return role
