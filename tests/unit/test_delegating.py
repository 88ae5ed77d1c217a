"""Delegating a vote: refused where it would leave too few whose agreement counts."""

import pytest

from actors.system.approval import State, decide, evolve
from contracts.approval import Policy
from runtime.errors import Rejected
from tests.approvals import acting, delegate, requested


@pytest.mark.parametrize(
    ("quorum", "named", "handed", "allowed"),
    [
        (2, ("bob", "cleo"), [("bob", "cleo")], False),
        (2, ("bob", "cleo"), [("bob", "eve")], True),
        (2, ("bob", "cleo"), [("bob", "eve"), ("cleo", "eve")], True),
        (2, ("ann", "bob", "cleo"), [("bob", "cleo")], False),
        (2, ("bob", "cleo", "dan"), [("bob", "cleo")], True),
        (2, ("bob", "cleo", "dan"), [("bob", "cleo"), ("cleo", "dan")], True),
        (2, ("bob", "cleo", "dan"), [("bob", "cleo"), ("cleo", "dan"), ("bob", "dan")], False),
        (1, ("bob", "cleo"), [("bob", "cleo")], True),
        (2, (), [("bob", "cleo")], True),
    ],
)
def test_a_delegation_that_leaves_too_few_of_those_named_is_refused(
    quorum: int, named: tuple[str, ...], handed: list[tuple[str, str]], *, allowed: bool
) -> None:
    """Each delegation but the last is allowed: of that, who delegates and whom to count as one."""
    state = evolve(State(), requested(acting(Policy(quorum=quorum, approvers=named))))
    for by, to in handed[:-1]:
        for event in decide(state, delegate(by, to)):
            state = evolve(state, event)
    if allowed:
        assert decide(state, delegate(*handed[-1]))
    else:
        with pytest.raises(Rejected, match=f"a quorum of {quorum} could not come together"):
            decide(state, delegate(*handed[-1]))
