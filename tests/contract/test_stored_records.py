"""Records out of PostgreSQL: the same as the fold says, for every clearance, and never more than a read may have."""

import asyncio
from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.memory import MemoryBroker, MemoryLog
from contracts.business import BusinessRecorded, ClientCancelled, ClientFact, ClientSigned
from contracts.domains import Clearance, Domain
from contracts.subjects import ActorRef
from projections.records import records
from tests.folded_reads import FoldedReads
from tests.histories import START, History
from tests.projecting import read_models

TOP = Clearance.TOP_SECRET
NUL = rb"\u0000"  # which PostgreSQL does not store


def some_fact(history: History) -> ClientFact:
    choose = history.random.choice
    client, at = f"Zoë “{history.random.randrange(5)}”", START + timedelta(days=history.random.randrange(9))
    return choose(
        (
            ClientSigned(client=client, at=at, origin="crm", segment=choose(("a", "b", None)), monthly_value=0.1 + 0.2),
            ClientCancelled(client=client, at=at, origin="crm", reason="nul \\0 and \0"),
        )
    )


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_reader_is_told_what_the_fold_says(seed: int) -> None:
    async def scenario() -> None:
        broker = MemoryBroker()
        history = History(seed, MemoryLog(broker))
        for number in range(60):
            actor = ActorRef(Domain.SOPHIA, "client", f"c{number % 7}")
            label = history.random.choice(list(Clearance))
            await history.add(actor, BusinessRecorded(fact=some_fact(history)), label=label)
        async with read_models(history.log) as (db, _):
            for clearance in Clearance:
                found, more = await records(db, "client", clearance=clearance)
                folded, _ = await FoldedReads(broker).records("client", clearance=clearance)
                assert msgspec.json.encode(folded).replace(NUL, b"\xef\xbf\xbd") == msgspec.json.encode(found)
                assert more == 0
                few, more = await records(db, "client", clearance=clearance, limit=2)
                assert (len(few), more) == (min(2, len(found)), max(0, len(found) - 2))
                assert set(few) <= set(found)
            assert await records(db, "deal", clearance=TOP) == ((), 0)

    asyncio.run(scenario())
