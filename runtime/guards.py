"""Guards: a circuit breaker around every dependency that reactions call, so that what is down is not asked over and over."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from time import monotonic

from runtime import breaker
from runtime.breaker import Breaker, Policy
from runtime.errors import OpenCircuitError, OutcomeError, UnavailableError

_DEFAULT = Policy()
_CLOSED = Breaker()


class Guards:
    """One breaker a dependency, shared by all reactions of a worker. Times are those of `clock`, seconds."""

    def __init__(self, policies: Mapping[str, Policy], clock: Callable[[], float] = monotonic) -> None:
        """`policies` by dependency; the others have the default."""
        self._policies = policies
        self._clock = clock
        self._breakers: dict[str, Breaker] = {}
        self._last: dict[str, str] = {}

    def admit(self, dependency: str) -> None:
        """Before a call; then exactly one of `succeeded`, `failed`, `released`. Raises OpenCircuitError."""
        policy = self._policy(dependency)
        self._breakers[dependency], admitted = breaker.admit(self._of(dependency), policy, self._clock())
        if not admitted:
            seconds = breaker.retry_after_s(self._of(dependency), policy, self._clock())
            last = self._last.get(dependency)
            reason = "its circuit is open after several failures" + (f", at last: {last}" if last else "")
            raise OpenCircuitError(dependency, reason, max(1, round(seconds)))

    def succeeded(self, dependency: str) -> None:
        self._breakers[dependency] = breaker.succeeded(self._of(dependency), self._policy(dependency))

    def failed(self, dependency: str, why: str = "", call: str = "") -> None:
        """`why` is said with what is refused from then on; repeats of one `call` count once, until a call succeeds."""
        self._last[dependency] = why
        policy, now = self._policy(dependency), self._clock()
        self._breakers[dependency] = breaker.failed(self._of(dependency), policy, now, call)

    def released(self, dependency: str) -> None:
        """The call ended without saying anything about the dependency."""
        self._breakers[dependency] = breaker.released(self._of(dependency))

    @asynccontextmanager
    async def call(self, dependency: str) -> AsyncIterator[None]:
        """Around one call: UnavailableError and TimeoutError are failures. Raises OpenCircuitError."""
        self.admit(dependency)
        try:
            yield
        except (UnavailableError, TimeoutError) as error:
            self.failed(dependency, str(error))
            raise
        except OutcomeError:
            self.succeeded(dependency)
            raise
        except BaseException:
            self.released(dependency)
            raise
        self.succeeded(dependency)

    def _policy(self, dependency: str) -> Policy:
        return self._policies.get(dependency, _DEFAULT)

    def _of(self, dependency: str) -> Breaker:
        return self._breakers.get(dependency, _CLOSED)
