"""What counts as an agent's work: not what people are waited for, nor what fails by what the asker did."""

import asyncio
from datetime import timedelta

from msgspec.structs import replace

from contracts.approval import APPROVAL, ApprovalDenied, Authority
from contracts.collaboration import COLLABORATION, Concluded, Outcome, Request, Requested, Status
from contracts.conversation import Asked, Failed, SessionStarted
from contracts.domains import Clearance, Domain
from contracts.model import Failure
from contracts.subjects import ActorRef
from projections.work import work_since
from tests.approvals import acting, requested
from tests.histories import START, History, answered
from tests.projecting import read_models

TALK = ActorRef(Domain.SOPHIA, "conversation", "c0")
SINCE = START - timedelta(days=1)


async def asked_for(history: History, run: str, approval: str) -> ActorRef:
    actor = ActorRef(Domain.SYSTEM, APPROVAL, approval)
    await history.add(actor, requested(replace(acting(), correlation=run)))
    return actor


def test_who_waits_for_people_is_neither_behind_nor_slow() -> None:
    async def scenario() -> None:
        history = History(3)
        for run in ("quick", "approved", "waits", "behind"):
            await history.add(TALK, Asked(turn=run, by="ada", text="?"), correlation=run)
        await history.add(TALK, answered("quick", Clearance.PUBLIC), correlation="quick")
        await asked_for(history, "waits", "p1")
        decided = await asked_for(history, "approved", "p2")
        await history.add(
            decided, ApprovalDenied(by="bob", digest="0" * 64, authority=Authority(how="named"), reason="no")
        )
        history.number += 3_600_000  # an hour
        await history.add(TALK, answered("approved", Clearance.PUBLIC), correlation="approved")
        async with read_models(history.log) as (db, _):
            [whole] = [one for one in await work_since(db, SINCE) if (one.domain, one.team) == (Domain.SOPHIA, "")]
            assert (whole.answered, whole.failed, whole.waiting) == (2, 0, 1)
            assert whole.p95_s is not None
            assert whole.p95_s < 1

    asyncio.run(scenario())


def test_what_fails_by_what_the_asker_did_is_no_failure_of_the_agent() -> None:
    async def scenario() -> None:
        history = History(4)
        own: tuple[tuple[str, Failure | None], ...] = (
            ("too little", "budget"),
            ("not allowed", "permission"),
            ("no such model", "refused"),
            ("cancelled: never mind", None),
        )
        for number, (reason, code) in enumerate((*own, ("the model is cancelled: broken", None))):
            await history.add(TALK, Asked(turn=f"t{number}", by="ada", text="?"))
            await history.add(TALK, Failed(turn=f"t{number}", reason=reason, code=code))
        endings: tuple[tuple[Status, str], ...] = (
            ("refused", "no such context"),
            ("unknown_request_type", "unknown"),
            ("failed", "cancelled: never mind"),
            ("failed", "broken"),
        )
        for number, (status, reason) in enumerate(endings):
            actor = ActorRef(Domain.CEO, COLLABORATION, f"r{number}")
            request = Request(request_type="strategic_alignment", question="?")
            await history.add(actor, Requested(asker=Domain.SYSTEM, request=request))
            await history.add(actor, Concluded(outcome=Outcome(status=status, reason=reason)))
        async with read_models(history.log) as (db, _):
            found = {(one.domain, one.team): one for one in await work_since(db, SINCE)}
            assert [(found[one, ""].answered, found[one, ""].failed) for one in (Domain.SOPHIA, Domain.CEO)] == [
                (0, 1),
                (0, 1),
            ]

    asyncio.run(scenario())


def test_the_work_of_agents_is_counted_by_domain_and_team() -> None:
    async def scenario() -> None:
        history = History(12)
        await history.add(TALK, SessionStarted(owner="ada", title="t", context_type="business"))
        for number in range(3):
            await history.add(TALK, Asked(turn=f"t{number}", by="ada", text="?"))
            if number:
                await history.add(TALK, answered(f"t{number}", Clearance.PUBLIC))
        await history.add(TALK, Failed(turn="t0", reason="no"))
        await history.add(TALK, Asked(turn="t3", by="ada", text="?", team="market_research"))
        async with read_models(history.log) as (db, _):
            found = {(one.domain, one.team): one for one in await work_since(db, SINCE)}
            team = answered("t1", Clearance.PUBLIC).team
            whole = found[Domain.SOPHIA, ""]
            assert (whole.answered, whole.failed, whole.waiting) == (2, 1, 1)
            assert (found[Domain.SOPHIA, team].answered, found[Domain.SOPHIA, "market_research"].waiting) == (2, 1)
            assert whole.p50_s is not None
            assert whole.p95_s is not None
            assert 0 < whole.p50_s <= whole.p95_s
            assert await work_since(db, START + timedelta(days=300)) == []

    asyncio.run(scenario())
