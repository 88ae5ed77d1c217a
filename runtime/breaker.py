"""A circuit breaker as a pure state machine (M. Nygard, "Release It!", 2007): who calls keeps the state and tells the time.

Closed: calls pass; failures of `failures_open` calls in a row open it, however often one of them was repeated: a call that is
asked for again and again within seconds says no more of the other side than it did at first. Open: calls are refused for
`reset_s`. Half-open: one call at a time passes; `successes_close` successes close it, one failure opens it again. A call whose
outcome is never told (its caller was cancelled) holds the half-open place for `reset_s` at most.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

Mode = Literal["closed", "open", "half_open"]


class Policy(Struct, frozen=True, kw_only=True):
    """When to open, for how many seconds, and when to close."""

    failures_open: int = 5
    reset_s: float = 60.0
    successes_close: int = 3


class Breaker(Struct, frozen=True, kw_only=True):
    """The state. Times are seconds of any clock that does not go back. `failed` are the calls that failed in a row, as far as
    they have a name; `failures` counts them all."""

    mode: Mode = "closed"
    failures: int = 0
    failed: tuple[str, ...] = ()
    successes: int = 0
    opened_at: float = 0.0
    probe_at: float | None = None


def admit(breaker: Breaker, policy: Policy, now: float) -> tuple[Breaker, bool]:
    """Whether a call may be made now, and the state after deciding so."""
    match breaker.mode:
        case "closed":
            return breaker, True
        case "open":
            if now - breaker.opened_at < policy.reset_s:
                return breaker, False
            return Breaker(mode="half_open", opened_at=breaker.opened_at, probe_at=now), True
        case "half_open":
            if breaker.probe_at is not None and now - breaker.probe_at < policy.reset_s:
                return breaker, False
            return replace(breaker, probe_at=now), True


def succeeded(breaker: Breaker, policy: Policy) -> Breaker:
    """The state after an admitted call succeeded; late news from before it opened changes nothing."""
    match breaker.mode:
        case "closed":
            return Breaker()
        case "open":
            return breaker
        case "half_open":
            successes = breaker.successes + 1
            return (
                Breaker()
                if successes >= policy.successes_close
                else replace(breaker, successes=successes, probe_at=None)
            )


def failed(breaker: Breaker, policy: Policy, now: float, call: str = "") -> Breaker:
    """The state after an admitted call failed; a late failure does not keep an open breaker open for longer.

    `call` names it: its repeats under the same name count once, until a call succeeds. Calls without a name count each.
    """
    match breaker.mode:
        case "closed":
            if call and call in breaker.failed:
                return breaker
            failures = breaker.failures + 1
            if failures >= policy.failures_open:
                return Breaker(mode="open", opened_at=now)
            return replace(breaker, failures=failures, failed=(*breaker.failed, call) if call else breaker.failed)
        case "open":
            return breaker
        case "half_open":
            return Breaker(mode="open", opened_at=now)


def released(breaker: Breaker) -> Breaker:
    """The state after an admitted call ended without saying anything about the other side (it was cancelled)."""
    return replace(breaker, probe_at=None)


def retry_after_s(breaker: Breaker, policy: Policy, now: float) -> float:
    """How long a refused caller had better wait: 0 when closed."""
    match breaker.mode:
        case "closed":
            return 0.0
        case "open":
            return max(0.0, breaker.opened_at + policy.reset_s - now)
        case "half_open":
            return max(0.0, breaker.probe_at + policy.reset_s - now) if breaker.probe_at is not None else 0.0
