"""The rows of the API's table about what agents remember of the asker."""

from contracts import memory
from contracts.memory import Forgotten, Remembered, Revised
from gateway import commands, remembering
from gateway.commands import WRITE_ANY
from gateway.rows import Answers, Does, Route

MEMORY: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/v1/memories",
        summary="Have an agent keep something in mind for you",
        action=Does(remembering.teach, (Remembered,), remembering.memory_reply),
        limit="cross_domain",
        request=memory.TeachMemory,
        reply=memory.MemoryView,
        status=201,
        permissions=WRITE_ANY,
        example=memory.TeachMemory(agent="sophia", title="Fiscal year", text="Our fiscal year begins in July."),
    ),
    Route(
        method="GET",
        path="/v1/memories",
        summary="What the agents remember of you, newest first",
        action=Answers(remembering.memories),
        limit="cross_domain",
        query=memory.MemoriesQuery,
        reply=memory.Memories,
        permissions=("sophia:read", "artemis:read"),
    ),
    Route(
        method="POST",
        path="/v1/memories/search",
        summary="What an agent remembers of you that is nearest to a text",
        action=Answers(remembering.search_memories),
        limit="cross_domain",
        request=memory.SearchMemories,
        reply=memory.Memories,
        permissions=("sophia:read", "artemis:read"),
        example=memory.SearchMemories(agent="sophia", query="When does our year begin?"),
    ),
    Route(
        method="PUT",
        path="/v1/memories/{agent}/{memory}",
        summary="Correct what an agent remembers of you",
        action=Does(remembering.revise, (Revised,), remembering.memory_reply),
        limit="cross_domain",
        request=memory.ChangeMemory,
        reply=memory.MemoryView,
        permissions=WRITE_ANY,
        example=memory.ChangeMemory(title="Fiscal year", text="Our fiscal year begins in October."),
    ),
    Route(
        method="DELETE",
        path="/v1/memories/{agent}/{memory}",
        summary="Have an agent forget something of you",
        action=Does(remembering.forget, (Forgotten,), commands.nothing),
        limit="cross_domain",
        status=204,
        permissions=WRITE_ANY,
    ),
)
