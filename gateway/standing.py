"""How confidential recorded runs are by now, for those who did not ask themselves.

Who asked was told, and may read again what he was told as it was labelled then. To everybody else a run is as confidential as the
knowledge that it rests on is now (projections/resting.py).
"""

from collections.abc import Iterable

from contracts.domains import Clearance
from gateway.identity import Principal
from gateway.services import Services


class Standing:
    """The labels of now of some runs, as far as they are above those recorded and the reader is not who asked."""

    def __init__(self, principal: Principal, raised: dict[str, Clearance]) -> None:
        self._principal = principal
        self._raised = raised

    def label(self, owner: str, run: str | None, label: Clearance) -> Clearance:
        """What it takes to read something of `owner`'s run that was recorded under `label`."""
        if owner == self._principal.username or run is None:
            return label
        return max(label, self._raised.get(run, label))


async def standing(services: Services, principal: Principal, runs: Iterable[tuple[str, str | None]]) -> Standing:
    """Of these runs, each with who asked. Raises UnavailableError."""
    others = {run for owner, run in runs if run is not None and owner != principal.username}
    return Standing(principal, await services.reads.raised_runs(sorted(others)) if others else {})
