"""A rebuild on the real database: beside the serving build, equal to it, swapped at once; or nothing happens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec import Struct, structs

from adapters.postgres import Postgres, PostgresDb
from adapters.postgres_read_models import PostgresReadModels
from contracts.conversation import SessionStarted
from contracts.domains import Clearance, Domain
from contracts.subjects import ActorRef
from projections.catalogue import PROJECTIONS
from projections.knowledge import KNOWLEDGE
from projections.runs import RUNS
from projections.sessions import SESSIONS, get_session
from projections.users import USERS, User
from runtime.errors import ConflictError
from runtime.projector import ExactlyOnceProjector
from runtime.read_models import AnyProjection, Logged, OutdatedError, Projection, RebuildingError, UnequalError
from runtime.rebuild import rebuild
from tests.histories import History
from tests.postgres import contents
from tests.projecting import Reached, database

STARTED = SessionStarted(owner="ada", title="t", context_type="business")


@asynccontextmanager
async def projecting(
    history: History, postgres: Postgres, projections: tuple[AnyProjection, ...] = PROJECTIONS
) -> AsyncIterator[Reached]:
    """A projector at work; entered when it has caught up."""
    reached = Reached()
    projector = ExactlyOnceProjector(
        history.log, PostgresReadModels(postgres), projections, announce=reached.announce, check_every_s=0.05
    )
    await projector.start()
    try:
        await reached.all_of(history.log)
        yield reached
    finally:
        await projector.stop()


async def schemas(postgres: Postgres, name: str) -> list[str]:
    async with postgres.connection() as connection:
        rows = await connection.fetch(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE $1 ORDER BY length(nspname), 1", f"{name}\\_v%"
        )
    return [row[0] for row in rows]


def test_every_rebuild_equals_the_live_tables_while_appends_go_on() -> None:
    async def scenario() -> None:
        history = History(11)
        await history.some(2_000)
        over = asyncio.Event()

        async def go_on() -> None:
            while not over.is_set():
                await history.some(3)
                await asyncio.sleep(0)

        async with database() as postgres, projecting(history, postgres) as reached:
            models, writer = PostgresReadModels(postgres), asyncio.create_task(go_on())
            for one in PROJECTIONS:
                told: list[tuple[int, int]] = []
                result = await rebuild(one, history.log, models, lambda *seen, told=told: told.append(seen))
                assert result.compared
                assert all(check.equal for check in result.tables)
                assert told == sorted(told)
            over.set()
            await writer
            await reached.all_of(history.log)
            after = await contents(postgres)
            assert len(after["runs"]) == history.number
            async with database() as other, projecting(history, other):
                assert await contents(other) == after

    asyncio.run(scenario())


def test_an_unequal_rebuild_swaps_nothing_and_names_the_table() -> None:
    async def scenario() -> None:
        history = History(2)
        await history.some(300)
        async with database() as postgres, projecting(history, postgres):
            before = await schemas(postgres, "runs")
            async with postgres.connection() as connection:
                await connection.execute("DELETE FROM read.runs WHERE domain = 'sophia' AND sequence = 1")
            with pytest.raises(UnequalError, match=rf"table runs: {history.number} rows .*, {history.number - 1} rows"):
                await rebuild(RUNS, history.log, PostgresReadModels(postgres))
            assert await schemas(postgres, "runs") == before
            async with postgres.connection() as connection:
                await connection.execute("UPDATE read.knowledge SET title = 'forged'")
            with pytest.raises(UnequalError, match="table knowledge"):
                await rebuild(KNOWLEDGE, history.log, PostgresReadModels(postgres))

    asyncio.run(scenario())


def test_a_damaged_table_is_repaired_by_a_rebuild_that_may_replace_it() -> None:
    async def scenario() -> None:
        history = History(2)
        await history.some(300)
        async with database() as postgres, projecting(history, postgres) as reached:
            models, sound = PostgresReadModels(postgres), await contents(postgres)
            for damage in ("DELETE FROM {} WHERE domain = 'sophia' AND sequence = 1", "DROP TABLE {} CASCADE"):
                async with postgres.connection() as connection:
                    await connection.execute(damage.format(f"{(await schemas(postgres, 'runs'))[-1]}.runs"))
                result = await rebuild(RUNS, history.log, models, replace=True)
                assert result.compared
                assert [check.equal for check in result.tables] == [False]
                assert await contents(postgres) == sound
            await history.some(50)
            await reached.all_of(history.log)
            assert (await rebuild(RUNS, history.log, models)).tables[0].equal

    asyncio.run(scenario())


def test_the_previous_build_is_kept_older_ones_go_and_a_rollback_is_caught_up() -> None:
    async def scenario() -> None:
        history = History(3)
        await history.some(200)
        async with database() as postgres, projecting(history, postgres) as reached:
            models = PostgresReadModels(postgres)
            with pytest.raises(ConflictError):
                await models.roll_back(SESSIONS)
            first = await schemas(postgres, "sessions")
            for _ in range(2):
                await rebuild(SESSIONS, history.log, models)
                await history.some(100)
                await reached.all_of(history.log)
            kept = await schemas(postgres, "sessions")
            assert len(kept) == 2
            assert first[0] not in kept
            before = await contents(postgres)
            await models.roll_back(SESSIONS)
            positions = await models.positions(SESSIONS)
            behind = {one for one in SESSIONS.domains if positions.get(one, 0) < await history.log.last(one)}
            await reached.until(lambda: behind <= reached.set_back)
            await reached.all_of(history.log)
            assert await contents(postgres) == before

    asyncio.run(scenario())


class Member(Struct, frozen=True, kw_only=True):
    username: str
    admin: bool


def _fold_member(row: Member | None, logged: Logged) -> Member | None:
    user = USERS.fold(None, logged)
    return Member(username=user.username, admin="admin" in user.roles) if isinstance(user, User) else row


USERS_2: Projection[Member] = Projection(
    name="users",
    version=2,
    domains=USERS.domains,
    ddl="CREATE TABLE users (username text PRIMARY KEY, admin boolean NOT NULL)",
    table="users",
    row=Member,
    key_columns=("username",),
    takes=USERS.takes,
    key=USERS.key,
    fold=_fold_member,
)


def test_a_newer_version_is_built_beside_and_taken_over_and_the_older_code_stands_back() -> None:
    async def scenario() -> None:
        history = History(4)
        await history.some(400)
        async with database() as postgres, projecting(history, postgres, (USERS, SESSIONS)):
            assert (await contents(postgres))["users"][0].count("argon2id") == 1
            models, db = PostgresReadModels(postgres), PostgresDb(postgres)
            async with projecting(history, postgres, (USERS_2, SESSIONS)) as newer:
                while (await models.prepare((USERS_2,)))["users"] != 2:
                    await history.some(1)
                await history.some(50)
                await newer.all_of(history.log)
                with pytest.raises(OutdatedError):
                    async with models.batch(USERS, Domain.SYSTEM):
                        pass
                members = await db.rows(Member, "SELECT * FROM read.users")
                assert {member.username for member in members} == {"ada", "ben", "cleo"}
                assert all(member.admin for member in members)

    asyncio.run(scenario())


def test_one_rebuild_at_a_time_and_a_cancelled_one_leaves_nothing() -> None:
    async def scenario() -> None:
        history = History(5)
        await history.some(50)
        async with database() as postgres, projecting(history, postgres):
            models = PostgresReadModels(postgres)
            before = await schemas(postgres, "sessions")
            building = asyncio.Event()

            async def hang() -> None:
                async with models.build(SESSIONS):
                    building.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(hang())
            await building.wait()
            assert len(await schemas(postgres, "sessions")) == len(before) + 1
            with pytest.raises(RebuildingError):
                await rebuild(SESSIONS, history.log, models)
            await models.prepare(PROJECTIONS)  # a start meanwhile leaves the unfinished build alone
            assert len(await schemas(postgres, "sessions")) == len(before) + 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await schemas(postgres, "sessions") == before

    asyncio.run(scenario())


def test_what_a_killed_rebuild_left_is_dropped_at_the_next_start() -> None:
    async def scenario() -> None:
        async with database() as postgres:
            models = PostgresReadModels(postgres)
            await models.prepare(PROJECTIONS)
            async with postgres.connection() as connection:
                await connection.execute("CREATE SCHEMA sessions_v1_99; CREATE TABLE sessions_v1_99.sessions (id text)")
            await models.prepare(PROJECTIONS)
            assert "sessions_v1_99" not in await schemas(postgres, "sessions")

    asyncio.run(scenario())


def test_queries_go_on_while_a_build_is_swapped() -> None:
    async def scenario() -> None:
        history = History(6)
        actor = ActorRef(Domain.SOPHIA, "conversation", "c")
        await history.add(actor, STARTED)
        async with database() as postgres, projecting(history, postgres):
            db, over = PostgresDb(postgres), asyncio.Event()

            async def ask() -> int:
                asked = 0
                while not over.is_set():
                    assert await get_session(db, "c", clearance=Clearance.PUBLIC) is not None
                    asked += 1
                return asked

            askers = [asyncio.create_task(ask()) for _ in range(4)]
            for _ in range(5):
                await rebuild(SESSIONS, history.log, PostgresReadModels(postgres))
            over.set()
            assert min(await asyncio.gather(*askers)) > 0

    asyncio.run(scenario())


def test_every_declaration_names_its_columns() -> None:
    """A row's fields are the table's columns in the same order, and names are safe to put into SQL."""

    async def scenario() -> None:
        async with database() as postgres:
            await PostgresReadModels(postgres).prepare(PROJECTIONS)
            async with postgres.connection() as connection:
                for one in PROJECTIONS:
                    query = (
                        "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum"
                    )
                    rows = await connection.fetch(query, f"read.{one.table}")
                    assert tuple(row[0] for row in rows) == one.row.__struct_fields__

    asyncio.run(scenario())
    with pytest.raises(ValueError, match="drop table"):
        structs.replace(SESSIONS, table="drop table")
