"""How `just test` spreads the tests over processes: a file's to one of them, and whole stacks one after the other.

A stack is a dozen processes, and its tests say how soon it answers and stops: two at once would only wait for each other.
"""

from xdist.scheduler import LoadScopeScheduling

STACKS = (
    "tests/acceptance/",
    "tests/faults/test_chat_stream.py",
    "tests/faults/test_chaos_small.py",
    "tests/faults/test_every_effect.py",
    "tests/faults/test_tool_loop.py",
)
ALONE = ("tests/acceptance/test_http_fuzz.py",)
"""Busy for itself, with a stack of its own that nobody else asks."""

LONG = ("tests/unit/test_gateway_fuzz.py",)
"""A minute in one process: begun last, the others would have nothing to do meanwhile."""


class ByStack(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Scopes are handed out in the order of collection, the long ones first: what comes last, unit tests, evens it out."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "stacks" if file.startswith(STACKS) and file not in ALONE else file
