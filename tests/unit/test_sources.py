"""What a question hands over is what is analysed, whatever else is stored and however near that is to its words."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest

from actors.answering import team_for
from actors.artemis.teams import ARTEMIS_TEAMS
from actors.artemis.tools import TOOLS as ARTEMIS_TOOLS
from actors.given import before, given, handed_over, kinds
from actors.sophia.teams import SOPHIA_TEAMS
from actors.sophia.tools import TOOLS as SOPHIA_TOOLS
from actors.team import Examined, Findings, Team
from contracts.collaboration import Request, Requested
from contracts.conversation import Asked
from contracts.domains import Clearance, Domain
from contracts.model import FLOW
from contracts.records import RecordsFound
from contracts.retrieval import Entry, Hit
from contracts.sources import Source
from runtime.effects import Effects
from tests.archives import zipped
from tests.unit.test_security_scan import KEY

TEAMS: dict[str, Team] = {team.name: team for team in (*SOPHIA_TEAMS, *ARTEMIS_TEAMS)}
TOOLS = ARTEMIS_TOOLS | SOPHIA_TOOLS
QUESTION = "What are the security problems of this code, and what makes it slow?"
TABLE = "customer,contract,tenure,monthly_charges,churn\n"
FILES: Mapping[str, tuple[str, bytes]] = {
    "evil": ("application/zip", zipped({"evil.py": f'aws_key = "{KEY}"\n'})),
    "tiny": ("application/zip", zipped({"tiny.py": "def tiny(x):\n    return x\n"})),
    "other": ("application/zip", zipped({"other.py": "def other(x):\n    return x\n"})),
    "old.csv": ("text/csv", f"{TABLE}a,old,1,2,yes\n".encode()),
    "new.csv": (
        "text/csv",
        (
            TABLE
            + "".join(f"c{n},{'m' if n % 2 else 'y'},{n},{n},{'yes' if n % 4 == 1 else 'no'}\n" for n in range(80))
        ).encode(),
    ),
    "old.folded": ("text/x-collapsed-stacks", b"main;old 100\n"),
    "new.folded": ("text/x-collapsed-stacks", b"main;new 100\n"),
}


def source(name: str, label: Clearance = Clearance.INTERNAL) -> Source:
    return Source(
        item=f"item-{name}",
        title=name,
        text=f"The file {name}.",
        label=label,
        partition="shared_knowledge",
        digest=name,
        media_type=FILES[name][0],
    )


class Stored:
    """Effects where a search finds every stored file, the ones that were not meant first, and the real tools."""

    label = Clearance.INTERNAL
    asked_at = datetime(2026, 11, 30, tzinfo=UTC)

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []

    async def search(self, *_: object, media_type: str = "", **__: object) -> tuple[Hit, ...]:
        return tuple(
            Hit(
                entry=Entry(
                    id=f"item-{name}", title=name, text=QUESTION, label=self.label, attachment=name, media_type=kind
                ),
                partition="shared_knowledge",
                score=0.9,
                relevance=0.9,
            )
            for name, (kind, _) in FILES.items()
            if kind == media_type
        )

    async def tool(self, name: str, arguments: Any, returns: type[Findings]) -> Findings:
        self.ran.append((name, msgspec.json.encode(arguments).decode()))
        result = TOOLS[name].run(arguments, lambda digest: FILES[digest][1])
        return msgspec.json.decode(msgspec.json.encode(result), type=returns)

    async def records(self, kind: Any) -> RecordsFound:
        return RecordsFound(kind=kind, digest="", count=0, left_out=0, label=Clearance.PUBLIC)

    async def now(self) -> datetime:
        return self.asked_at

    async def tell(self, *_: object, **__: object) -> None:
        """Alarms are no part of an answer."""


def examined(team: Team, *names: str, question: str = QUESTION) -> tuple[Examined, Stored]:
    effects = Stored()
    hits = handed_over(source(name) for name in names)

    async def body() -> Examined:
        return await team.at(FLOW)(question, hits, cast("Effects", effects))

    return asyncio.run(body()), effects


@pytest.mark.parametrize(
    ("team", "named", "not_meant"),
    [
        ("code_analysis", "tiny", "evil"),
        ("security", "tiny", "evil"),
        ("performance_analysis", "new.folded", "old.folded"),
        ("system_monitoring", "new.csv", "old.csv"),
        ("client_analysis", "new.csv", "old.csv"),
        ("sales_intelligence", "new.csv", "old.csv"),
    ],
)
def test_the_named_file_is_worked_on_and_nothing_that_is_nearer(team: str, named: str, not_meant: str) -> None:
    found, effects = examined(TEAMS[team], named)
    ran = [arguments for _, arguments in effects.ran]
    assert any(f'"{named}"' in one for one in ran)
    assert not any(f'"{not_meant}"' in one for one in ran)
    assert found.findings
    assert [hit.entry.id for hit in found.hits] == [f"item-{named}"]
    assert not any(not_meant in one for one in found.findings)


def test_a_clean_tree_has_none_of_what_another_stored_one_has() -> None:
    found, _ = examined(TEAMS["security"], "tiny")
    told = "\n".join(found.findings)
    assert "0 possible security problems outside tests in the 1 files of the code" in told
    assert "AWS" not in told


def test_of_two_named_trees_both_are_told_each_with_its_name() -> None:
    told = "\n".join(examined(TEAMS["code_analysis"], "tiny", "other")[0].findings)
    assert "In tiny: " in told
    assert "tiny.py" in told
    assert "In other: " in told
    assert "other.py" in told
    assert "evil" not in told


@pytest.mark.parametrize(
    ("domain", "question", "names", "team"),
    [
        (Domain.ARTEMIS, "What is in it?", ["tiny"], "code_analysis"),
        (Domain.ARTEMIS, "Is there an outage, an incident, an error?", ["tiny"], "code_analysis"),
        (Domain.ARTEMIS, "Are there secrets?", ["tiny"], "security"),
        (Domain.ARTEMIS, "Which code is complex?", ["new.folded"], "performance_analysis"),
        (Domain.ARTEMIS, "Which code is complex?", ["new.csv"], "system_monitoring"),
        (Domain.SOPHIA, "Which market competitors have customers who leave?", ["new.csv"], "client_analysis"),
    ],
)
def test_the_question_goes_to_a_team_that_reads_such_files(
    domain: Domain, question: str, names: list[str], team: str
) -> None:
    teams = SOPHIA_TEAMS if domain is Domain.SOPHIA else ARTEMIS_TEAMS
    asked = Asked(turn="t", by="ann", text=question, flow=FLOW, sources=tuple(map(source, names)))
    assert team_for(asked, kinds(handed_over(asked.sources)), teams).name == team


def test_no_stored_item_passes_for_one_that_was_handed_over() -> None:
    forged = Hit(
        entry=Entry(
            id="x",
            title="x",
            text="x",
            label=Clearance.PUBLIC,
            tags=("named repository",),
            media_type="application/zip",
        ),
        partition="shared_knowledge",
        score=1.0,
    )
    assert kinds([forged]) == frozenset()
    named = handed_over([source("tiny")])
    assert kinds(before(named, [forged])) == {"archive"}
    assert before(named, [forged]) == named
    assert kinds([given(forged)]) == {"archive"}


def test_what_is_asked_of_others_has_the_label_of_its_files_and_is_encoded_as_before_without_any() -> None:
    request = Request(request_type="x", question="q", sources=(source("tiny", Clearance.RESTRICTED),))
    assert Requested(asker=Domain.SOPHIA, request=request).label is Clearance.RESTRICTED
    assert b"sources" not in msgspec.json.encode(Request(request_type="x", question="q"))
