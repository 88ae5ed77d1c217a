"""A projector in a process of its own, to be killed: `python -m tests.faults.projector_process DSN SEED STEPS`.

It makes the same history as its parent and writes a line for every announcement.
"""

import asyncio
import sys

from adapters.postgres import Postgres
from adapters.postgres_read_models import PostgresReadModels
from contracts.domains import Domain
from projections.catalogue import PROJECTIONS
from runtime.projector import ExactlyOnceProjector
from tests.histories import History
from tests.projecting import DealtLog


async def _announce(domain: Domain, sequence: int) -> None:
    print(domain.value, sequence, flush=True)


async def _main(dsn: str, seed: int, steps: int) -> None:
    history = History(seed)
    await history.some(steps)
    models = PostgresReadModels(Postgres(dsn))
    await ExactlyOnceProjector(DealtLog(history.log, seed), models, PROJECTIONS, announce=_announce).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
