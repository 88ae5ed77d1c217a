"""What is refused because a dependency was down says why it was: who waits for it reads no other reason."""

import asyncio

import pytest

from runtime.breaker import Policy
from runtime.errors import OpenCircuitError, UnavailableError
from runtime.guards import Guards


async def fail(guards: Guards, error: Exception) -> None:
    with pytest.raises(type(error)):
        async with guards.call("retrieval"):
            raise error


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (UnavailableError("m", "its key is refused"), ", at last: m is unavailable: its key is refused"),
        (TimeoutError(), ""),
    ],
)
def test_an_open_circuit_says_what_the_last_failure_was(last: Exception, told: str) -> None:
    async def body() -> None:
        guards = Guards({"retrieval": Policy(failures_open=2)}, lambda: 0.0)
        await fail(guards, UnavailableError("m", "no answer"))
        await fail(guards, last)
        with pytest.raises(OpenCircuitError) as refused:
            guards.admit("retrieval")
        assert str(refused.value) == f"retrieval is unavailable: its circuit is open after several failures{told}"

    asyncio.run(body())
