"""The circuit breaker: what it promises in any order of calls, outcomes and time."""

from hypothesis import given
from hypothesis import strategies as st

from runtime import breaker
from runtime.breaker import Breaker, Policy

POLICY = Policy(failures_open=5, reset_s=60, successes_close=3)


def opened(now: float = 0.0) -> Breaker:
    state = Breaker()
    for _ in range(POLICY.failures_open):
        state = breaker.failed(state, POLICY, now)
    return state


def test_five_failures_open_it_and_a_success_between_starts_over() -> None:
    state = Breaker()
    for _ in range(4):
        state = breaker.failed(state, POLICY, 0)
    state = breaker.succeeded(state, POLICY)
    for _ in range(4):
        state = breaker.failed(state, POLICY, 0)
    assert state.mode == "closed"
    assert breaker.failed(state, POLICY, 0).mode == "open"


def test_the_repeats_of_one_call_count_once_until_a_success() -> None:
    state = Breaker()
    for _ in range(10 * POLICY.failures_open):
        state = breaker.failed(state, POLICY, 0, "one")
    assert (state.mode, state.failures) == ("closed", 1)
    for other in "abc":
        state = breaker.failed(state, POLICY, 0, other)
        state = breaker.failed(state, POLICY, 0, "one")
    assert state.mode == "closed"
    assert breaker.failed(state, POLICY, 0, "d").mode == "open"
    again = breaker.failed(breaker.succeeded(state, POLICY), POLICY, 0, "one")
    assert again.failures == 1, "after a success it counts again"


def test_a_trial_that_fails_opens_it_whoever_asks() -> None:
    state = Breaker()
    for name in "abcde":
        state = breaker.failed(state, POLICY, 0, name)
    state, _ = breaker.admit(state, POLICY, 60)
    assert breaker.failed(state, POLICY, 61, "a").mode == "open"


def test_open_refuses_for_sixty_seconds() -> None:
    state = opened(100)
    assert not breaker.admit(state, POLICY, 159.9)[1]
    assert breaker.retry_after_s(state, POLICY, 130) == 30
    state, admitted = breaker.admit(state, POLICY, 160)
    assert (state.mode, admitted) == ("half_open", True)


def test_half_open_lets_one_through_and_three_successes_close_it() -> None:
    state, _ = breaker.admit(opened(), POLICY, 60)
    assert not breaker.admit(state, POLICY, 61)[1]
    for now in (61, 62):
        state = breaker.succeeded(state, POLICY)
        assert state.mode == "half_open"
        state, admitted = breaker.admit(state, POLICY, now)
        assert admitted
    assert breaker.succeeded(state, POLICY) == Breaker()


def test_half_open_failure_opens_again() -> None:
    state, _ = breaker.admit(opened(), POLICY, 60)
    state = breaker.failed(state, POLICY, 61)
    assert state.mode == "open"
    assert not breaker.admit(state, POLICY, 120)[1]


def test_a_cancelled_probe_gives_its_place_back() -> None:
    state, _ = breaker.admit(opened(), POLICY, 60)
    assert breaker.admit(breaker.released(state), POLICY, 61)[1]
    assert breaker.admit(state, POLICY, 120)[1], "a probe that never ends holds the place for reset_s at most"


@given(
    st.lists(
        st.tuples(st.sampled_from(["ok", "fail", "cancel", "late_ok", "late_fail"]), st.floats(0, 100)), max_size=60
    )
)
def test_any_history(steps: list[tuple[str, float]]) -> None:
    state, now, streak = Breaker(), 0.0, 0
    for outcome, wait in steps:
        now += wait
        before = state
        if outcome.startswith("late"):
            if state.mode == "open":
                late = breaker.succeeded(state, POLICY) if outcome == "late_ok" else breaker.failed(state, POLICY, now)
                assert late == state, "late news changes nothing while open"
            continue
        state, admitted = breaker.admit(state, POLICY, now)
        assert admitted == (breaker.retry_after_s(before, POLICY, now) == 0)
        if not admitted:
            assert before.mode != "closed"
            continue
        if outcome == "ok":
            state, streak = breaker.succeeded(state, POLICY), 0
        elif outcome == "fail":
            state, streak = breaker.failed(state, POLICY, now), streak + 1
            assert streak < POLICY.failures_open or state.mode == "open"
        else:
            state = breaker.released(state)
        assert state.failures < POLICY.failures_open
        assert state.successes < POLICY.successes_close
