"""`diarchy vectors check` against a real broker: what no reaction has come to is behind, what they have passed differs."""

import asyncio
import json

from click.testing import CliRunner, Result

from adapters.jetstream_reactions import Reactions
from adapters.retrieval import serve_retrieval
from adapters.vector_admin import serve_vectors
from adapters.vector_shelf import MemoryShelf
from contracts.domains import Domain
from contracts.subjects import PARTITIONS, ActorRef
from deploy.cli import cli
from tests.contract.conftest import World, on_server
from tests.contract.holding import holding
from tests.indexing import Counting, Logs, generations, running, until
from tests.servers import NatsServer, connected


def test_behind_until_the_reaction_has_ended_and_different_if_it_left_nothing(nats_server: NatsServer) -> None:
    async def check(*more: str) -> Result:
        names = {"URL": nats_server.url, "USER": nats_server.user, "PASSWORD": nats_server.password}
        variables = {f"DIARCHY_NATS_{name}": value for name, value in names.items()}
        words = ["vectors", "check", "--wait", "0", *more]
        return await asyncio.to_thread(CliRunner().invoke, cli, words, env=variables)

    async def scenario(world: World) -> None:
        await world.consume(Domain.CEO)
        logs = Logs(world.log)
        async with connected(nats_server) as broker, running(generations(logs, MemoryShelf(Counting("one")))) as owner:
            await serve_retrieval(world.rpc(None), owner)
            await serve_vectors(world.rpc(None), owner)
            ended = Reactions(broker).ended
            assert await ended(Domain.CEO) == [0] * PARTITIONS
            agrees = await check()
            assert (agrees.stdout, agrees.exit_code) == ("the index agrees with the logs: 0 entries\n", 0)

            ref = ActorRef(Domain.CEO, "knowledge_item", await logs.add("one"))
            behind = await check()
            assert behind.stdout == "the index agrees with the logs as far as it has come\n"
            assert "behind by 1 entries, whose reactions are not done (1 of ceo): check again later" in behind.stderr
            assert behind.exit_code == 75
            assert json.loads((await check("--json")).stdout)["behind"] == {"ceo": 1}

            async with holding(world.queue, "reactor", ref) as holder:
                delivery = await holder.next()
                await delivery.ack()  # As a reaction that became a dead letter.

                async def passed() -> bool:
                    return (await ended(Domain.CEO))[ref.partition] == delivery.sequence

                await until(passed)
            differs = await check()
            assert differs.stdout.split() == ["missing", "ceo_knowledge", ref.id, "log", "1,", "index", "0"]
            assert ("1 entries differ; --repair puts them right" in differs.stderr, differs.exit_code) == (True, 1)
            repaired = await check("--repair")
            assert ("1 entries put right" in repaired.stderr, repaired.exit_code) == (True, 0)
            assert (await check()).stdout == "the index agrees with the logs: 1 entries\n"

    asyncio.run(on_server(nats_server, scenario))
