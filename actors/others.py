"""What a reaction asks other domains: with patience, so that it can answer in part, and whole when they are back."""

from msgspec import Struct

from contracts.collaboration import Missing, Outcome, Request
from contracts.domains import Domain
from runtime.asking import Requesting
from runtime.effects import Effects
from runtime.errors import OutcomeError


class Asked(Struct, frozen=True):
    """One request, and its outcome; None while there is none."""

    domain: Domain
    request_type: str
    outcome: Outcome | None
    missing: tuple[Missing, ...] = ()


class Others:
    """The requests of one reaction, in the order in which they were made.

    Not `patient`, as those were that were recorded before, `ask` waits however long: then nothing is ever missing.
    """

    def __init__(self, effects: Effects, *, patient: bool) -> None:
        self._effects = effects
        self._patient = patient
        self._asked: list[Asked] = []
        self._open: dict[int, Requesting] = {}

    @property
    def asked(self) -> tuple[Asked, ...]:
        """Each request, as far as there is an outcome of it."""
        return tuple(self._asked)

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What there is no outcome of yet."""
        return tuple(missing for asked in self._asked for missing in asked.missing)

    @property
    def outcomes(self) -> list[tuple[Domain, str, Outcome]]:
        """What there is, of whom and to which request."""
        return [(one.domain, one.request_type, one.outcome) for one in self._asked if one.outcome is not None]

    async def ask(self, domain: Domain, request: Request) -> Outcome | None:
        """The outcome, as far as there is one in time; what is `missing` of it `completed` waits for."""
        if not self._patient:
            outcome = await self._effects.ask(domain, request)
            self._asked.append(Asked(domain, request.request_type, outcome))
            return outcome
        asking = self._effects.asking(domain, request)
        found = await asking.within()
        if not found.answered:
            self._open[len(self._asked)] = asking
        itself = Missing(domain=domain, request_type=request.request_type, why=found.why)
        missing = () if found.answered else found.outcome.missing if found.outcome else (itself,)
        self._asked.append(Asked(domain, request.request_type, found.outcome, missing))
        return found.outcome

    async def completed(self) -> None:
        """Return when all has come that is missing. Raises OutcomeError where none of it will."""
        open_, self._open = self._open, {}
        reasons: list[str] = []
        for number, asking in open_.items():
            outcome = await asking.outcome()
            before = self._asked[number]
            if outcome.status != "completed" or outcome.missing:
                whys = "; ".join(one.why for one in outcome.missing)
                reasons.append(f"{before.domain.value}: {whys or outcome.reason or outcome.status}")
                outcome = before.outcome or outcome
            self._asked[number] = Asked(before.domain, before.request_type, outcome)
        if reasons and len(reasons) == len(open_):
            raise OutcomeError("; ".join(reasons))
