"""What is shown of an analysis whose next phase is another domain's: whom it waits for, its part, and the whole."""

from functools import partial

from actors.collaboration import collaboration
from actors.sophia.analysis import analysis
from contracts.analysis import PHASES, StartAnalysis
from contracts.domains import Domain
from contracts.envelope import Stored
from contracts.http import Analysis
from contracts.kernel import Cancel
from contracts.subjects import ActorRef
from gateway.row_views import analysis_view
from projections import analyses
from runtime.read_models import logged
from tests import domains_away
from tests.kernel_world import World

ANALYSIS = ActorRef(Domain.SOPHIA, "analysis", "a1")
START = StartAnalysis(by="ann", subject="portal", question="Should we build a portal for customers?")
played = partial(domains_away.played, actors=(analysis, collaboration))


def shown(records: list[Stored]) -> Analysis:
    row = analyses.folded(logged(records, analyses.ANALYSES.takes))
    assert row is not None
    return analysis_view(row)


def test_the_part_is_shown_and_then_the_whole_when_the_domain_is_back() -> None:
    async def body(world: World) -> None:
        await world.send(START, to=ANALYSIS)
        records = await world.events(ANALYSIS, at_least=4)
        assert [shown(records[:number]).waiting_for for number in (1, 2, 3)] == [None, None, Domain.ARTEMIS]
        part = shown(records)
        assert (part.status, part.waiting_for, part.completed) == ("partial", Domain.ARTEMIS, None)
        assert [one.phase for one in part.missing] == ["feasibility"]
        assert [one.phase for one in part.phases] == [one for one in PHASES if one != "feasibility"]
        await world.stop()
        await world.start(*Domain)
        records = await world.events(ANALYSIS, at_least=8)
        with_it = shown(records[:5])
        assert (with_it.status, with_it.waiting_for, with_it.missing) == ("partial", None, ())
        assert [one.phase for one in with_it.phases] == list(PHASES)
        assert with_it.phases[3:] == part.phases[2:]
        whole = shown(records)
        assert (whole.status, [one.status for one in whole.phases]) == ("completed", ["completed"] * 5)
        assert (whole.missing, whole.failure) == ((), None)

    played(body, Domain.SOPHIA, Domain.CEO)


def test_a_part_that_stands_says_why() -> None:
    async def body(world: World) -> None:
        correlation = await world.send(START, to=ANALYSIS)
        part = shown(await world.events(ANALYSIS, at_least=4))
        await world.send(Cancel(correlation=correlation, reason="by ann"), to=ANALYSIS)
        left = shown(await world.events(ANALYSIS, at_least=5))
        assert (left.status, left.failure, left.waiting_for) == ("partial", "cancelled: by ann", None)
        assert (left.missing, left.phases, left.recommendations) == (part.missing, part.phases, part.recommendations)
        assert left.completed is not None

    played(body, Domain.SOPHIA, Domain.CEO)
