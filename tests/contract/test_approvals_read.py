"""Lists of approvals: the database's query tells each reader what the rules of one approval say, page by page."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import get_args

import msgspec

from actors.system.approval import State, decide, evolve
from contracts.approval import APPROVAL, DECIDE, ApprovalRequested, ExpireApproval, Policy, WithdrawApproval
from contracts.domains import Clearance, Domain
from contracts.envelope import Stored
from contracts.subjects import ActorRef
from contracts.users import Role
from projections.approvals import Approval, Reader, by_run, fold, list_approvals, may_decide, may_see
from projections.approvals import waiting as undecided
from runtime.errors import Rejected
from runtime.read_models import logged
from tests.approvals import acting, decider, delegate, deny, grant, requested, revoke
from tests.histories import LEVELS, History
from tests.projecting import read_models

PEOPLE = ("ann", "bob", "cleo", "dan", "eve")


async def grown(history: History, approvals: int) -> dict[str, Approval]:
    """That many approvals of all kinds, and the row of each."""
    choose = history.random.choice
    for number in range(approvals):
        policy = Policy(
            quorum=history.random.randint(1, 2),
            approvers=choose(((), (), ("bob", "cleo"))),
            roles=choose(((), (), ("approver",))),
            self_approval=choose((False, True)),
        )
        run = f"run{history.random.randrange(20)}"
        action = msgspec.structs.replace(acting(policy), principal=choose(PEOPLE), correlation=run)
        actor = ActorRef(Domain.SYSTEM, APPROVAL, f"p{number}")
        label = choose(LEVELS)
        first: ApprovalRequested = requested(action, label)
        await history.add(actor, first, label=label)
        state = evolve(State(), first)
        who = decider("approver", clearance=Clearance.TOP_SECRET)
        for _ in range(history.random.randrange(6)):
            by, to = choose(PEOPLE), choose(PEOPLE)
            message = choose(
                (
                    grant(by, action, who),
                    grant(by, action, who),
                    delegate(by, to, None, who),
                    deny(by, "no", who),
                    revoke(by, who),
                    ExpireApproval(),
                    WithdrawApproval(by=by, reason=""),
                )
            )
            try:
                for event in decide(state, message):
                    state = evolve(state, event)
                    await history.add(actor, event, label=label)
            except Rejected:
                continue
    return _rows([stored async for batch in _all(history) for stored in batch])


async def _all(history: History) -> AsyncIterator[Sequence[Stored]]:
    last = await history.log.last(Domain.SYSTEM)
    async for batch in history.log.follow(Domain.SYSTEM, ("log",), after=0):
        yield batch
        if batch[-1].sequence >= last:
            return


def _rows(stored: list[Stored]) -> dict[str, Approval]:
    rows: dict[str, Approval] = {}
    for one in logged(stored):
        identity = one.address.actor.id
        row = fold(rows.get(identity), one)
        assert row is not None
        rows[identity] = row
    return rows


def wanted(row: Approval, reader: Reader, which: str) -> bool:
    if not may_see(row, reader):
        return False
    if which == "decide":
        return row.status == "waiting" and reader.username not in row.granters and may_decide(row, reader)
    return which == "all" or row.principal == reader.username


def test_the_query_lists_what_the_rules_of_each_approval_say() -> None:
    async def body() -> None:
        history = History(7)
        rows = await grown(history, 60)
        assert {row.status for row in rows.values()} >= {"waiting", "granted", "denied", "expired", "withdrawn"}
        picked = random.Random(7)  # noqa: S311 - a test's choices
        async with read_models(history.log) as (db, _):
            told = several = 0
            for _ in range(40):
                roles: tuple[Role, ...] = (picked.choice(get_args(Role)),)
                reader = Reader(
                    username=picked.choice(PEOPLE),
                    roles=roles,
                    permissions=frozenset({DECIDE} if picked.random() < 0.5 else ()),
                    clearance=picked.choice(LEVELS),
                    every=picked.random() < 0.2,
                )
                for which in ("decide", "asked", "all"):
                    found: list[Approval] = []
                    cursor: str | None = None
                    while True:
                        page = await list_approvals(db, reader, which=which, limit=7, cursor=cursor)
                        found += page.items
                        cursor = page.next
                        if cursor is None:
                            break
                    expected = [row for row in rows.values() if wanted(row, reader, which)]
                    expected.sort(key=lambda row: (row.requested, row.id), reverse=True)
                    assert found == expected
                    told += len(found)
                waits = [row for row in rows.values() if row.status == "waiting" and row.label <= reader.clearance]
                waits.sort(key=lambda row: (row.requested, row.id))
                runs = [row.correlation for row in rows.values() if picked.random() < 0.7]
                expected_runs = by_run(row for row in waits if row.correlation in runs)
                assert await undecided(db, runs, clearance=reader.clearance) == expected_runs
                several += any(len(ids) > 1 for ids in expected_runs.values())
            assert told > 100
            assert several > 10

    asyncio.run(body())
