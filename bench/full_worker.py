"""A role of `bench.counter` whose worker keeps 100,000 sessions in memory before it says that it is ready.

python -m bench.full_worker sophia

Each is a real `conversation` with a question and its answer. They come out of a log in memory, so that the broker beside this
worker has no more to hold than the one beside a worker without them.
"""

import asyncio

from actors.conversation import conversation
from bench import counter
from bench.actors import EverybodysLog, session
from contracts import subjects
from deploy import roles
from runtime.limits import Limits
from runtime.live import LiveSet
from runtime.worker import Worker

SESSIONS = 100_000
EVENTS = 3
AT_ONCE = 100
LOOK_S = 0.01


class FullWorker(Worker):
    """A Worker that starts with many actors in memory."""

    async def start(self) -> None:
        await super().start()
        while len(self.partitions) < subjects.PARTITIONS:  # noqa: ASYNC110 - taking one drops its actors, and nothing tells of the last
            await asyncio.sleep(LOOK_S)
        source = LiveSet(EverybodysLog(EVENTS), Limits())
        for number in range(SESSIONS):
            ref = session(number)
            self.host.live.keep(conversation, ref, await source.load(conversation, ref))
            source.drop(ref)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        assert len(self.host.live) == SESSIONS, len(self.host.live)


def main() -> None:
    roles.Worker = FullWorker  # type: ignore[attr-defined] # the role is wired with what this name means
    counter.main()


if __name__ == "__main__":
    main()
