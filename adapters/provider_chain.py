"""Several chat models in order: the first that answers wins, and one that keeps failing is left alone for a while."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence

from contracts.model import Prompt, Reply
from runtime import breaker
from runtime.breaker import Breaker, Mode, Policy
from runtime.errors import OutcomeError, UnavailableError
from runtime.ports import ChatModel


class ProviderChain:
    """Ordered fallback with a circuit breaker a provider; itself a ChatModel.

    An unavailable provider and one that answers unusably both hand on to the next; only unavailability counts against its
    breaker. When none answers: UnavailableError if any may come back (the shortest wait), else the last OutcomeError.
    """

    def __init__(
        self, models: Sequence[ChatModel], *, policy: Policy | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not models:
            raise ValueError("a chain needs at least one model")
        self._models = tuple(models)
        self._policy = policy or Policy()
        self._clock = clock
        self._breakers = [Breaker() for _ in models]

    @property
    def name(self) -> str:
        return " > ".join(model.name for model in self._models)

    def modes(self) -> dict[str, Mode]:
        """Each provider's breaker by name, for health reports."""
        return {model.name: held.mode for model, held in zip(self._models, self._breakers, strict=True)}

    async def complete(self, prompt: Prompt, *, idempotency_key: str) -> Reply:
        waits_s: list[float] = []
        reasons: list[str] = []
        unusable: OutcomeError | None = None
        for at, model in enumerate(self._models):
            self._breakers[at], admitted = breaker.admit(self._breakers[at], self._policy, self._clock())
            if not admitted:
                waits_s.append(breaker.retry_after_s(self._breakers[at], self._policy, self._clock()))
                reasons.append(f"{model.name}: its circuit is open")
                continue
            try:
                reply = await model.complete(prompt, idempotency_key=idempotency_key)
            except UnavailableError as error:
                self._breakers[at] = breaker.failed(self._breakers[at], self._policy, self._clock())
                waits_s.append(error.retry_after_s)
                reasons.append(f"{model.name}: {error}")
            except OutcomeError as error:
                self._breakers[at] = breaker.succeeded(
                    self._breakers[at], self._policy
                )  # It is there; its answer is bad.
                unusable = error
                reasons.append(f"{model.name}: {error}")
            except asyncio.CancelledError:
                self._breakers[at] = breaker.released(self._breakers[at])
                raise
            else:
                self._breakers[at] = breaker.succeeded(self._breakers[at], self._policy)
                return reply
        if waits_s or unusable is None:
            raise UnavailableError("every model", "; ".join(reasons), max(1, math.ceil(min(waits_s, default=5.0))))
        raise unusable
