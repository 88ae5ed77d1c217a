"""The projector on the real database: each record exactly once, whatever is repeated, restarted or doubled."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.postgres import Postgres, PostgresDb
from adapters.postgres_read_models import PostgresReadModels
from contracts.conversation import SessionStarted
from contracts.domains import Clearance, Domain
from contracts.subjects import ActorRef
from projections.catalogue import PROJECTIONS
from projections.sessions import get_session
from runtime.ports import EventLog
from runtime.projector import ExactlyOnceProjector
from runtime.telemetry import PROJECTED_TOTAL, NoTelemetry, Span
from tests.histories import History
from tests.postgres import contents
from tests.projecting import DealtLog, Reached, database


async def projected(log: EventLog, postgres: Postgres, *, stops: tuple[int, ...] = ()) -> dict[str, list[str]]:
    """The tables after projecting the whole log; stopped and started anew after about that many records."""
    for number in (*stops, None):
        reached = Reached()
        projector = ExactlyOnceProjector(log, PostgresReadModels(postgres), PROJECTIONS, announce=reached.announce)
        await projector.start()
        if number is None:
            await reached.all_of(log)
        else:
            await reached.events(number)
        await projector.stop()
    return await contents(postgres)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(0, 120), stops=st.lists(st.floats(0, 1), max_size=3))
def test_any_split_with_redeliveries_and_restarts_gives_equal_tables(seed: int, steps: int, stops: list[float]) -> None:
    async def scenario() -> None:
        history = History(seed)
        await history.some(steps)
        async with database() as one, database() as other:
            whole = await projected(history.log, one)
            places = tuple(sorted(int(share * history.number) for share in stops))
            dealt = await projected(DealtLog(history.log, seed), other, stops=places)
            assert dealt == whole
            assert len(whole["runs"]) == history.number

    asyncio.run(scenario())


def test_two_projectors_and_concurrent_starts_double_nothing() -> None:
    async def scenario() -> None:
        history = History(7)
        await history.some(600)
        async with database() as one, database() as other:
            whole = await projected(history.log, one)
            reached = [Reached() for _ in range(3)]
            models = PostgresReadModels(other)
            together = [
                ExactlyOnceProjector(history.log, models, PROJECTIONS, announce=each.announce) for each in reached
            ]
            await asyncio.gather(*(projector.start() for projector in together))
            await asyncio.gather(*(each.all_of(history.log) for each in reached))
            await asyncio.gather(*(projector.stop() for projector in together))
            assert await contents(other) == whole

    asyncio.run(scenario())


def test_what_was_announced_can_be_read() -> None:
    async def scenario() -> None:
        history, reached = History(), Reached()
        async with database() as postgres:
            models = PostgresReadModels(postgres)
            projector = ExactlyOnceProjector(history.log, models, PROJECTIONS, announce=reached.announce)
            await projector.start()
            for number in range(20):
                actor = ActorRef(Domain.SOPHIA, "conversation", f"c{number}")
                await history.add(actor, SessionStarted(owner="ada", title="t", context_type="business"))
                await reached.all_of(history.log)
                assert await get_session(PostgresDb(postgres), actor.id, clearance=Clearance.PUBLIC) is not None
            await projector.stop()
            await projector.stop()  # a second time is no error

    asyncio.run(scenario())


class Telemetry(NoTelemetry):
    def __init__(self) -> None:
        self.parents: list[str | None] = []
        self.counts: dict[str, float] = {}

    @contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        run: str | None = None,
        seed: str | None = None,
        attributes: Mapping[str, str | int | float | bool] = {},
    ) -> Iterator[Span]:
        self.parents.append(parent)
        with super().span(name, parent=parent, run=run, seed=seed, attributes=attributes) as span:
            yield span

    def count(self, metric: str, amount: float = 1, **labels: str) -> None:
        key = f"{metric}/{labels['projection']}"
        self.counts[key] = self.counts.get(key, 0) + amount


def test_live_traffic_has_one_span_a_trace_and_catching_up_has_none() -> None:
    async def scenario() -> None:
        history, reached, telemetry = History(), Reached(), Telemetry()
        actor = ActorRef(Domain.SOPHIA, "conversation", "c")
        started = SessionStarted(owner="ada", title="t", context_type="business")
        for _ in range(150):
            await history.add(actor, started)
        async with database() as postgres:
            models = PostgresReadModels(postgres)
            projector = ExactlyOnceProjector(
                history.log, models, PROJECTIONS, announce=reached.announce, telemetry=telemetry
            )
            await projector.start()
            await reached.all_of(history.log)
            assert telemetry.parents == []
            await history.add(actor, started, correlation="0190a000-0000-7000-8000-000000000001")
            await reached.all_of(history.log)
            await projector.stop()
        assert [parent and parent[3:35] for parent in telemetry.parents] == ["0190a0000000700080000000000000" + "01"]
        assert telemetry.counts[f"{PROJECTED_TOTAL}/runs"] == 151

    asyncio.run(scenario())
