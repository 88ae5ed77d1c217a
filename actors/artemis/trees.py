"""Which stored source code a question is about, and its findings told with the name of what was looked at."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from actors.confidence import Work
from actors.given import files
from actors.team import Examine, Examined, run_tool
from contracts.domains import Partition
from contracts.retrieval import Hit
from runtime.effects import Effects
from runtime.text import words

PARTITIONS: tuple[Partition, ...] = ("artemis_technical", "code_knowledge", "shared_knowledge")
ARCHIVES = ("application/zip", "application/gzip")
TREES_MAX = 20  # of each media type that a question may choose from
OTHERS_TOLD_MAX = 5
_SAY_NOTHING = frozenset(words("the source code of a repository archive"))


class Chosen(Struct, frozen=True):
    """The tree that is looked at with its archive's digest, and the titles of those that are not."""

    tree: Hit
    digest: str
    others: tuple[str, ...] = ()

    def told(self, findings: Sequence[str]) -> tuple[str, ...]:
        """The findings with the tree's title, the choice before them where there was one."""
        choice: tuple[str, ...] = ()
        if self.others:
            listed = ", ".join(self.others[:OTHERS_TOLD_MAX]) + (" …" if len(self.others) > OTHERS_TOLD_MAX else "")
            choice = (
                f"{len(self.others):,} more stored, not looked at: {listed}; name one in the question to ask of it.",
            )
        return tuple(f"In {self.tree.entry.title}: {one}" for one in (*choice, *findings))


async def chosen(question: str, hits: Sequence[Hit], effects: Effects) -> tuple[Chosen, ...]:
    """The source code that the question names or hands over, all of it and nothing else; where it does neither one stored tree:
    the one by most words of its title, else the most relevant."""
    if handed := files(hits, "archive"):
        return tuple(Chosen(hit, digest) for digest, hit in handed)
    found = [
        hit
        for kind in ARCHIVES
        for hit in await effects.search(PARTITIONS, question, limit=TREES_MAX, media_type=kind)
        if hit.entry.attachment
    ]
    if not found:
        return ()
    asked = frozenset(words(question)) - _SAY_NOTHING
    tree = max(found, key=lambda hit: (len(asked.intersection(words(hit.entry.title))), hit.relevance))
    return (Chosen(tree, tree.entry.attachment or "", tuple(hit.entry.title for hit in found if hit is not tree)),)


def on_tree(tool: str, arguments: Callable[[str], Struct]) -> Examine:
    """Runs a tool on the source code that the question is about; `arguments` are made of its digest."""

    async def work(question: str, hits: Sequence[Hit], effects: Effects) -> Examined:
        trees = await chosen(question, hits, effects)
        findings: list[str] = []
        works: tuple[Work, ...] = ()
        for one in trees:
            found = await run_tool(tool, arguments(one.digest), one.tree.entry.title, effects)
            told = one.told(found.findings)
            findings += told
            works += found.work(tool, one.tree, told=told)
        return Examined(tuple(findings), tuple(one.tree for one in trees), computed=bool(trees), works=works)

    return work
