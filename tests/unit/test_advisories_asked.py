"""The security team's work on a question of the new flow: the archive that fits, and the advisories that are stored."""

import asyncio
from typing import cast

import pytest
from msgspec import Struct

from actors.artemis.teams import scanned
from actors.artemis.tools.analysers.advisories import OSV
from actors.team import Findings
from contracts.domains import Clearance
from contracts.retrieval import Entry, Hit
from runtime.effects import Effects


class Asked:
    """The two effects that the team takes, with what is stored by its media type."""

    def __init__(self, stored: dict[str, str]) -> None:
        self.stored = stored
        self.given: list[Struct] = []

    async def search(self, _partitions: object, _text: str, *, limit: int, media_type: str) -> list[Hit]:  # noqa: ARG002
        if media_type not in self.stored:
            return []
        digest = self.stored[media_type]
        entry = Entry(id=digest, title=digest, text="x", label=Clearance.INTERNAL, attachment=digest)
        return [Hit(entry=entry, partition="code_knowledge", score=0.5)]

    async def tool(self, name: str, arguments: Struct, returns: type[Findings]) -> Findings:
        self.given.append(arguments)
        return returns((name,))


@pytest.mark.parametrize(
    ("stored", "arguments"),
    [
        ({}, None),
        ({"application/zip": "z"}, {"archive": "z", "question": ""}),
        ({"application/gzip": "g", OSV: "o"}, {"archive": "g", "question": "", "advisories": "o"}),
    ],
)
def test_the_scan_is_given_what_is_stored(stored: dict[str, str], arguments: dict[str, str] | None) -> None:
    import msgspec

    effects = Asked(stored)
    examined = asyncio.run(scanned("What are the security problems?", (), cast("Effects", effects)))
    assert [msgspec.to_builtins(one) for one in effects.given] == ([arguments] if arguments else [])
    assert {hit.entry.id for hit in examined.hits} == set(stored.values())
