"""An analysis whose next phase is another domain's says so, waits while that is down, and goes on when it is back."""

import asyncio

from actors.collaboration import collaboration
from actors.sophia.analysis import analysis
from contracts.analysis import PHASES, StartAnalysis
from contracts.domains import Domain
from contracts.envelope import Stored
from contracts.http import Analysis
from contracts.subjects import ActorRef
from gateway.row_views import analysis_view
from projections import analyses
from runtime.read_models import logged
from tests.kernel_world import World

ANALYSIS = ActorRef(Domain.SOPHIA, "analysis", "a1")
START = StartAnalysis(by="ann", subject="portal", question="Should we build a portal for customers?")


def shown(records: list[Stored]) -> Analysis:
    row: analyses.Analysis | None = None
    for one in logged(records, analyses.ANALYSES.takes):
        row = analyses.fold(row, one)
    assert row is not None
    return analysis_view(row)


def test_what_it_waits_for_is_told_and_it_goes_on_when_the_domain_is_back() -> None:
    async def body() -> None:
        world = World(analysis, collaboration)
        await world.start(Domain.SOPHIA, Domain.CEO)
        try:
            await world.send(START, to=ANALYSIS)
            found = shown(await world.events(ANALYSIS, at_least=3))
            assert [one.phase for one in found.phases] == list(PHASES[:2])
            assert (found.status, found.waiting_for) == ("running", Domain.ARTEMIS)
            await world.stop()
            await world.start(*Domain)
            records = await world.events(ANALYSIS, at_least=7)
            told = [shown(records[:number]).waiting_for for number in range(1, 8)]
            assert told == [None, None, Domain.ARTEMIS, Domain.CEO, None, None, None]
            whole = shown(records)
            assert (whole.status, [one.status for one in whole.phases]) == ("completed", ["completed"] * 5)
        finally:
            await world.stop()

    asyncio.run(asyncio.wait_for(body(), 30))
