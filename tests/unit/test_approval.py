"""An approval: who may decide, what counts, when it is over, and that what is used is what people saw."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from actors.system.approval import State, approval, decide, evolve
from contracts.approval import (
    DECIDE,
    Action,
    ApprovalAnswered,
    ApprovalDelegated,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRevoked,
    ApprovalRule,
    ApprovalUsed,
    ApprovalVoided,
    ApprovalWithdrawn,
    Authority,
    ExpireApproval,
    Policy,
    Status,
    UseApproval,
    Verdict,
    VoidApproval,
    WithdrawApproval,
)
from contracts.domains import Clearance, Domain
from runtime.approving import policy_for
from runtime.errors import Rejected
from runtime.testing import Given, given
from tests.approvals import (
    EXPIRES,
    ID,
    NOW,
    WAITER,
    acting,
    decider,
    delegate,
    deny,
    grant,
    request,
    requested,
    revoke,
)

ONE, TWO = acting(), acting(Policy(quorum=2))
PERMITTED = Authority(how="permission", what=DECIDE)
DELEGATED = Authority(how="permission", what=DECIDE, delegated_by="bob")
NOBODY = decider("sophia_user", decides=False)
LATE = decider(at=EXPIRES)


def granted(by: str, action: Action, authority: Authority = PERMITTED) -> ApprovalGranted:
    return ApprovalGranted(by=by, digest=action.digest, authority=authority)


def answered(
    action: Action, status: Status, by: tuple[str, ...] = (), reason: str = "", waiter: str = WAITER
) -> ApprovalAnswered:
    verdict = Verdict(approval=ID, status=status, digest=action.digest, by=by, reason=reason)
    return ApprovalAnswered(waiter=waiter, verdict=verdict)


def asked(action: Action, label: Clearance = Clearance.INTERNAL) -> Given:
    return given(approval, requested(action, label))


def use(action: Action, **changes: Any) -> UseApproval:
    return msgspec.structs.replace(UseApproval(digest=action.digest, at=NOW, waiter="w"), **changes)


def test_it_is_asked_for_once_with_the_digest_of_what_will_run() -> None:
    given(approval).when(request(ONE)).then(requested(ONE))
    asked(ONE).when(request(TWO)).then()


def test_nothing_is_decided_about_what_nobody_asked_for() -> None:
    given(approval).when(grant("bob", ONE)).rejects("no such approval")
    given(approval).when(use(ONE)).rejects("no such approval")


def test_who_may_decides_and_the_effect_is_told() -> None:
    asked(ONE).when(grant("bob", ONE)).then(granted("bob", ONE), answered(ONE, "granted", ("bob",)))


def test_a_quorum_needs_different_people() -> None:
    first = asked(TWO).when(grant("bob", TWO)).then(granted("bob", TWO))
    first.when(grant("bob", TWO)).then()
    first.when(grant("cleo", TWO)).then(granted("cleo", TWO), answered(TWO, "granted", ("bob", "cleo")))


def test_a_grant_names_the_digest_that_was_seen() -> None:
    asked(ONE).when(grant("bob", TWO)).rejects("look again")


def test_four_eyes_who_asked_does_not_decide_himself() -> None:
    asked(ONE).when(grant("ann", ONE)).rejects("somebody else must decide")
    asked(ONE).when(deny("ann")).rejects("somebody else must decide")
    asked(ONE).when(delegate("ann", "bob")).rejects("somebody else must decide")
    alone = acting(Policy(self_approval=True))
    asked(alone).when(grant("ann", alone)).then(granted("ann", alone), answered(alone, "granted", ("ann",)))


def test_who_may_decide_is_named_has_the_role_or_the_permission() -> None:
    named, by_role = acting(Policy(approvers=("bob",))), acting(Policy(roles=("approver",)))
    asked(ONE).when(grant("bob", ONE, NOBODY)).rejects("permission approvals:decide")
    asked(named).when(grant("cleo", named)).rejects("you are none of those who may decide: bob")
    asked(named).when(grant("bob", named, NOBODY)).then(
        granted("bob", named, Authority(how="named")), answered(named, "granted", ("bob",))
    )
    asked(by_role).when(grant("bob", by_role)).rejects("role approver")
    asked(by_role).when(grant("bob", by_role, decider("approver", decides=False))).then(
        granted("bob", by_role, Authority(how="role", what="approver")), answered(by_role, "granted", ("bob",))
    )


def test_what_is_above_his_clearance_is_not_there_for_him() -> None:
    low = decider(clearance=Clearance.INTERNAL)
    for message in (grant("bob", ONE, low), deny("bob", who=low), delegate("bob", "cleo", who=low), revoke("bob", low)):
        asked(ONE, Clearance.RESTRICTED).when(message).rejects("no such approval")


def test_one_denial_ends_it() -> None:
    denied = ApprovalDenied(by="bob", digest=TWO.digest, authority=PERMITTED, reason="too broad")
    ended = asked(TWO).when(grant("cleo", TWO), deny("bob", "too broad"))
    after = ended.then(denied, answered(TWO, "denied", ("cleo",), "bob: too broad"))
    after.when(grant("dan", TWO)).rejects("it was denied: bob: too broad")


def test_a_delegate_decides_with_his_delegators_vote() -> None:
    after = (
        asked(TWO)
        .when(delegate("bob", "eve"))
        .then(ApprovalDelegated(by="bob", to="eve", until=None, authority=PERMITTED))
    )
    after.when(delegate("bob", "eve")).then()
    voted = after.when(grant("eve", TWO, NOBODY)).then(granted("eve", TWO, DELEGATED))
    voted.when(grant("bob", TWO)).rejects("you two count as one")
    voted.when(delegate("bob", "dan")).rejects("has agreed already")
    voted.when(grant("cleo", TWO)).then(granted("cleo", TWO), answered(TWO, "granted", ("eve", "cleo")))


def test_a_delegate_who_may_decide_himself_and_his_delegator_count_as_one() -> None:
    asked(TWO).when(delegate("bob", "cleo"), grant("cleo", TWO), grant("bob", TWO)).rejects("you two count as one")


def test_two_delegates_of_one_count_as_one() -> None:
    both = asked(TWO).when(delegate("bob", "eve"), delegate("bob", "fay"), grant("eve", TWO, NOBODY))
    both.after.when(grant("fay", TWO, NOBODY)).rejects("you two count as one")


def test_a_delegation_is_not_handed_on_and_ends_in_time() -> None:
    until = NOW + timedelta(hours=1)
    after = asked(ONE).when(delegate("bob", "eve", until)).after
    after.when(delegate("eve", "fay", who=NOBODY)).rejects("only he can delegate it")
    after.when(grant("eve", ONE, decider("sophia_user", at=until, decides=False))).rejects("you are none of those")
    asked(ONE).when(delegate("bob", "eve", NOW)).rejects("has passed")


def test_a_delegation_that_would_get_round_the_rules_is_refused() -> None:
    asked(ONE).when(delegate("bob", "bob")).rejects("cannot delegate to yourself")
    asked(ONE).when(delegate("bob", "ann")).rejects("nor to who asked for it")
    asked(ONE).when(delegate("eve", "fay", who=NOBODY)).rejects("you are none of those")
    never = acting(Policy(delegation=False))
    asked(never).when(delegate("bob", "eve")).rejects("allows no delegation")
    many = asked(ONE).when(*(delegate("bob", f"u{number}") for number in range(20))).after
    many.when(delegate("bob", "eve")).rejects("at most 20")


def test_what_is_taken_back_before_it_is_used_counts_no_longer() -> None:
    after = asked(TWO).when(grant("bob", TWO), revoke("bob")).then(ApprovalRevoked(by="bob"))
    after.when(grant("cleo", TWO)).then(granted("cleo", TWO))
    full = asked(ONE).when(grant("bob", ONE)).after
    full.when(revoke("cleo")).rejects("neither agreed nor delegated")
    why = "bob took his agreement back"
    void = full.when(revoke("bob")).then(ApprovalRevoked(by="bob"), ApprovalVoided(approved=ONE.digest, reason=why))
    void.when(use(ONE)).then(answered(ONE, "voided", (), why, "w"))


def test_a_delegation_is_taken_back_with_what_was_granted_by_it() -> None:
    after = asked(TWO).when(delegate("bob", "eve"), grant("eve", TWO, NOBODY), revoke("bob")).after
    after.when(grant("eve", TWO, NOBODY)).rejects("you are none of those")
    after.when(grant("bob", TWO)).then(granted("bob", TWO))


def test_its_time_ends_it_by_the_timer_and_by_the_clock() -> None:
    asked(ONE).when(grant("bob", ONE, LATE)).rejects("its time was over")
    asked(ONE).when(ExpireApproval()).then(ApprovalExpired(), answered(ONE, "expired"))
    asked(ONE).when(ExpireApproval(), grant("bob", ONE)).rejects("its time is over")
    full = asked(ONE).when(grant("bob", ONE)).after
    unused = "nobody used it in time"
    full.when(use(ONE, at=EXPIRES)).then(ApprovalExpired(), answered(ONE, "expired", ("bob",), unused, "w"))
    full.when(ExpireApproval()).then(ApprovalExpired())
    full.when(use(ONE), ExpireApproval()).then()


def test_only_who_asked_withdraws_it() -> None:
    asked(ONE).when(WithdrawApproval(by="bob", reason="")).rejects("only who asked")
    withdrawn = ApprovalWithdrawn(by="ann", reason="changed my mind")
    after = asked(ONE).when(WithdrawApproval(by="ann", reason="changed my mind"))
    gone = after.then(withdrawn, answered(ONE, "withdrawn", (), "changed my mind"))
    gone.when(WithdrawApproval(by="ann", reason="")).then()
    gone.when(grant("bob", ONE)).rejects("has withdrawn it")


def test_it_is_used_once_and_says_by_what() -> None:
    full = asked(ONE).when(grant("bob", ONE)).after
    used = ApprovalUsed(digest=ONE.digest, causation=ONE.causation, effect=3)
    after = full.when(use(ONE)).then(used, answered(ONE, "used", ("bob",), "", "w"))
    after.when(use(ONE)).then()
    again = after.when(use(ONE, waiter="another")).events
    assert [msgspec.to_builtins(one)["verdict"]["status"] for one in again] == ["voided"]
    after.when(revoke("bob")).rejects("runs already")
    after.when(WithdrawApproval(by="ann", reason="")).rejects("runs already")


def test_what_would_run_instead_voids_it_and_both_are_recorded() -> None:
    why = "what was to run is not what was approved"
    voided = ApprovalVoided(approved=ONE.digest, running=TWO.digest, reason=why)
    full = asked(ONE).when(grant("bob", ONE)).after
    after = full.when(use(TWO)).then(voided, answered(ONE, "voided", ("bob",), why, "w"))
    after.when(use(ONE, waiter="v")).then(answered(ONE, "voided", ("bob",), why, "v"))
    last = full.when(use(ONE), VoidApproval(running=TWO.digest, reason=why)).then(voided)
    last.when(VoidApproval(running=TWO.digest, reason=why)).then()


def test_what_is_not_granted_is_not_used() -> None:
    asked(ONE).when(use(ONE)).then(answered(ONE, "waiting", waiter="w"))
    asked(ONE).when(deny("bob"), use(ONE)).then(answered(ONE, "denied", (), "bob: no", "w"))


# The digest ----------------------------------------------------------------------------------------------------------

CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "name": st.text(max_size=20),
    "arguments": st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ).map(lambda value: msgspec.Raw(msgspec.json.encode(value, order="deterministic"))),
    "policy": st.builds(
        Policy,
        quorum=st.integers(1, 5),
        expires_s=st.integers(1, 100_000),
        approvers=st.lists(st.sampled_from(["a", "b"]), max_size=2).map(tuple),
        roles=st.lists(st.sampled_from(["admin", "approver"]), max_size=2).map(tuple),
        self_approval=st.booleans(),
        delegation=st.booleans(),
    ),
    "domain": st.sampled_from(Domain),
    "actor": st.text(max_size=20),
    "principal": st.text(max_size=20),
    "causation": st.text(max_size=20),
    "correlation": st.text(max_size=20),
    "effect": st.integers(0, 1_000),
}


def test_every_field_of_an_action_is_tried_below() -> None:
    assert set(CHANGES) == set(Action.__struct_fields__)


@for_all(st.sampled_from(sorted(CHANGES)).flatmap(lambda name: st.tuples(st.just(name), CHANGES[name])))
def test_any_change_of_any_field_changes_the_digest(change: tuple[str, Any]) -> None:
    name, value = change
    changed = msgspec.structs.replace(ONE, **{name: value})
    assert (changed.digest == ONE.digest) == (changed == ONE)


def test_the_digest_is_that_of_the_stored_action_too() -> None:
    stored = msgspec.json.decode(msgspec.json.encode(requested(TWO))).keys() and msgspec.json.encode(requested(TWO))
    again = msgspec.json.decode(stored, type=type(requested(TWO)))
    assert again.action.digest == again.digest == TWO.digest


# Any sequence --------------------------------------------------------------------------------------------------------

PEOPLE = ("ann", "bob", "cleo", "dan", "eve", "fay")
ENTITLED = {"ann", "bob", "cleo", "dan"}
MOMENTS = st.sampled_from([NOW, EXPIRES - timedelta(seconds=1), EXPIRES, EXPIRES + timedelta(days=1)])


def _who(name: str, at: Any) -> Any:
    return decider(at=at) if name in ENTITLED else decider("sophia_user", at=at, decides=False)


def _steps(quorum: int) -> st.SearchStrategy[Any]:
    action, other = acting(Policy(quorum=quorum)), acting(Policy(quorum=quorum), b'{"total":3}')
    name = st.sampled_from(PEOPLE)
    who = st.tuples(name, MOMENTS)
    step = st.one_of(
        st.tuples(who, st.sampled_from([action, action, action, other])).map(
            lambda one: grant(one[0][0], one[1], _who(*one[0]))
        ),
        who.map(lambda one: deny(one[0], who=_who(*one))),
        st.tuples(who, name, st.none() | MOMENTS).map(lambda one: delegate(one[0][0], one[1], one[2], _who(*one[0]))),
        who.map(lambda one: revoke(one[0], _who(*one))),
        st.just(ExpireApproval()),
        st.just(WithdrawApproval(by="ann", reason="")),
    )
    return st.tuples(st.just(action), st.lists(step, max_size=12))


@settings(max_examples=400)
@for_all(st.integers(1, 3).flatmap(_steps))
def test_it_is_granted_only_by_a_quorum_of_different_entitled_people_in_time(given_: tuple[Action, list[Any]]) -> None:
    """Whatever is said by whom in whichever order: an oracle that counts the events in another way agrees."""
    action, steps = given_
    state = evolve(State(), requested(action))
    agreed: dict[str, str] = {}
    handed: set[tuple[str, str]] = set()
    for message in steps:
        try:
            events = decide(state, message)
        except Rejected:
            events = []
        for event in events:
            state = evolve(state, event)
            match event:
                case ApprovalGranted(by=by, digest=digest, authority=authority):
                    assert digest == action.digest == message.digest
                    assert message.decider.at < EXPIRES
                    assert by == message.by != action.principal
                    vote = authority.delegated_by or by
                    assert vote in ENTITLED - {action.principal}
                    assert vote == by or (vote, by) in handed
                    agreed[by] = vote
                case ApprovalDelegated(by=by, to=to):
                    assert by in ENTITLED - {action.principal}
                    handed.add((by, to))
                case ApprovalRevoked(by=by):
                    agreed = {one: vote for one, vote in agreed.items() if by not in (one, vote)}
                    handed = {pair for pair in handed if pair[0] != by}
                case _:
                    pass
        if state.status == "granted":
            assert len(agreed) == len(set(agreed.values())) == action.policy.quorum
            assert not any({one, other} == set(pair) for one in agreed for other in agreed for pair in handed)
        repeated = state
        try:
            again = decide(state, message)
        except Rejected:
            again = []
        for event in again:
            repeated = evolve(repeated, event)
        assert repeated == state  # What comes twice changes nothing.


# Which policy --------------------------------------------------------------------------------------------------------


def test_a_request_can_only_add_to_what_the_operator_demands() -> None:
    operators = (
        ApprovalRule(tools=("double",), quorum=2, expires_s=600, approvers=("bob", "cleo"), delegation=False),
        ApprovalRule(quorum=1),
    )
    weaker = ApprovalRule(quorum=1, expires_s=86_400, approvers=("ann",), self_approval=True)
    stronger = ApprovalRule(quorum=3, expires_s=60)
    demanded = operators[0].policy
    assert policy_for("double", operators, None) == demanded
    assert policy_for("double", operators, weaker) == demanded
    assert policy_for("double", operators, stronger) == msgspec.structs.replace(demanded, quorum=3, expires_s=60)
    assert policy_for("triple", operators, None) == Policy()


def test_where_only_the_request_or_the_tool_wants_one_they_say() -> None:
    asked_for = ApprovalRule(tools=("double",), approvers=("bob",), self_approval=True)
    assert policy_for("double", (), asked_for) == asked_for.policy
    assert policy_for("triple", (), asked_for) is None
    assert policy_for("triple", (), asked_for, flagged=True) == Policy()


@pytest.mark.parametrize(
    ("policy", "reachable"),
    [
        (Policy(quorum=5), True),
        (Policy(quorum=2, approvers=("bob", "cleo")), True),
        (Policy(quorum=2, approvers=("bob", "bob")), False),
        (Policy(quorum=2, approvers=("ann", "bob")), False),
        (Policy(quorum=2, approvers=("ann", "bob"), self_approval=True), True),
        (Policy(quorum=2, approvers=("bob",), roles=("admin",)), True),
    ],
)
def test_a_quorum_that_cannot_come_together_is_told(policy: Policy, reachable: bool) -> None:
    assert (policy.unreachable("ann") == "") is reachable
