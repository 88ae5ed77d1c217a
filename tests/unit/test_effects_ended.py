"""Effects that a run began beside others end with it: none goes on alone while the next run does it again."""

import asyncio

from contracts.model import Prompt, Reply
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import UnavailableError
from runtime.model_ports import Call
from tests.kernel_world import PROMPT, Add, Added, CountingModel, Note, Sum, World, decide, evolve


class Halting(CountingModel):
    """Its first call fails once its second is under way, and that one never ends by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.second = asyncio.Event()
        self.under_way: set[str] = set()

    async def complete(self, prompt: Prompt, call: Call) -> Reply:
        assert call.key not in self.under_way
        self.under_way.add(call.key)
        try:
            if len(self.keys) == 0:
                self.keys.append(call.key)
                await self.second.wait()
                raise UnavailableError("model", "busy")
            if not self.second.is_set():
                self.second.set()
                await asyncio.Event().wait()
            return await super().complete(prompt, call)
        finally:
            self.under_way.discard(call.key)


async def react(recorded: Recorded[Added], effects: Effects) -> None:
    await asyncio.gather(effects.chat(PROMPT), effects.chat(PROMPT))
    await effects.tell(Note(text=f"done {recorded.event.amount}"))


def test_effects_beside_a_failed_one_end_with_the_run() -> None:
    async def body() -> None:
        model = Halting()
        async with World(Actor("counter", Sum(), decide, evolve, react), model=model) as world:
            await world.send(Add(amount=1))
            await world.events(at_least=2)
            assert not model.under_way

    asyncio.run(asyncio.wait_for(body(), 20))
