"""Tools that take too long, alone and as an effect."""

import asyncio
import subprocess
import sys
import threading

import pytest
from msgspec.structs import replace

from actors.tool import Fetch, tool
from runtime.actor import Actor, Recorded
from runtime.effects import Effects
from runtime.errors import OutcomeError, UnavailableError
from runtime.tool_threads import ToolThreads
from tests.kernel_world import LIMITS, Add, Added, Note, Sum, World, decide, evolve

A_HANGING_TOOL = """
import asyncio, threading
from runtime.tool_threads import ToolThreads
try:
    asyncio.run(ToolThreads().call("hangs", threading.Event().wait, 0.01))
except Exception as error:
    print(error)
"""


def test_what_is_overdue_keeps_neither_the_others_nor_when_it_ends_a_place() -> None:
    async def scenario() -> None:
        threads, end = ToolThreads(threads_max=1, overdue_max=1), threading.Event()
        assert await threads.call("quick", lambda: 1, 10) == 1
        with pytest.raises(ZeroDivisionError):
            await threads.call("wrong", lambda: 1 // 0, 10)
        with pytest.raises(OutcomeError, match="the tool slow took longer"):
            await threads.call("slow", end.wait, 0.01)
        assert await threads.call("quick", lambda: 2, 10) == 2
        with pytest.raises(OutcomeError):
            await threads.call("slow", end.wait, 0.01)
        with pytest.raises(UnavailableError, match="no thread was free"):
            await threads.call("quick", lambda: 3, 0.01)
        end.set()
        assert await threads.call("quick", lambda: 4, 10) == 4
        with pytest.raises(TimeoutError, match="its own"):
            await threads.call("asks", _asks, 10)

    asyncio.run(asyncio.wait_for(scenario(), 20))


def _asks() -> None:
    raise TimeoutError("its own")


def test_a_tool_that_hangs_does_not_keep_the_process() -> None:
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", A_HANGING_TOOL], capture_output=True, text=True, timeout=20, check=True
    )
    assert ended.stdout == "the tool hangs took longer than 0.01 s\n"


def test_a_tool_that_takes_too_long_is_begun_once_and_its_outcome_is_recorded() -> None:
    runs: list[str] = []
    begun: list[Sum] = []
    end = threading.Event()

    def slow(arguments: Sum, _blobs: Fetch) -> Sum:
        begun.append(arguments)
        end.wait()
        return arguments

    async def react(recorded: Recorded[Added], effects: Effects) -> None:  # noqa: ARG001 - a reaction gets it
        effects.grant(("sophia:read",))
        try:
            await effects.tool("slow", Sum(total=1), Sum)
        except OutcomeError as error:
            runs.append(str(error))
        if len(runs) == 1:
            raise RuntimeError("once more")
        await effects.tell(Note(text=runs[-1]))

    async def scenario() -> None:
        actor = Actor("counter", Sum(), decide, evolve, react)
        world = World(actor, limits=replace(LIMITS, tool_s_max=0.05))
        world.outside.tools["slow"] = tool("slow", slow, "Is slow.", permission="sophia:read")
        async with world:
            await world.send(Add(amount=1))
            await world.events(at_least=2)
        assert len(begun) == 1
        assert runs == ["the tool slow took longer than 0.05 s"] * 2

    try:
        asyncio.run(asyncio.wait_for(scenario(), 20))
    finally:
        end.set()
