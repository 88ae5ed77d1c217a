"""Which of several stored source trees a question is about, and what an answer on one of them says."""

import asyncio
from typing import Any, cast

import msgspec
import pytest

from actors.artemis.teams import code_analysis, security
from actors.artemis.tools import TOOLS
from actors.artemis.trees import chosen
from actors.team import Examined, Findings, Team
from adapters.extractive import compose
from contracts.domains import Clearance
from contracts.model import FLOW, NOTHING_KNOWN, Evidence, Prompt
from contracts.retrieval import Entry, Hit
from runtime.effects import Effects
from tests.archives import hostile, zipped
from tests.unit.test_misconfiguration import OPEN
from tests.unit.test_security_scan import KEY

FILES = {
    "app/config.py": f'aws_key = "{KEY}"\n',
    "app/a.py": "def f(x):\n    return 1 if x else 2\n",
    "requirements.txt": "flask==2.0\nhttpx==1\n",
    "../outside.py": "x = 1\n",
}
SECRETS = "Are there secrets in r5src?"
VULNERABLE = "Is any dependency of r5src known to be vulnerable?"
PROBLEMS = "What are the security problems of this code?"


def stored(title: str, relevance: float) -> Hit:
    entry = Entry(id=title, title=title, text=title, label=Clearance.INTERNAL, attachment="ab" * 32)
    return Hit(entry=entry, partition="code_knowledge", score=0.1, relevance=relevance)


class Stored:
    """Effects with these stored archives and the real tools."""

    label = Clearance.INTERNAL

    def __init__(self, *hits: Hit, archive: bytes | None = None) -> None:
        self._hits = hits
        self._archive = archive or zipped(FILES)

    async def search(self, _partitions: object, _query: str, *, limit: int, media_type: str) -> tuple[Hit, ...]:
        return self._hits[:limit] if media_type == "application/zip" else ()

    async def tool(self, name: str, arguments: Any, returns: type[Findings]) -> Findings:
        result = TOOLS[name].run(arguments, lambda _: self._archive)
        return msgspec.json.decode(msgspec.json.encode(result), type=returns)

    async def tell(self, *_: object, **__: object) -> None:
        """Alarms are no part of an answer."""


TILL, R5 = stored("Source code of the till", 0.9), stored("Source code of r5src", 0.2)


@pytest.mark.parametrize(
    ("question", "title"), [(SECRETS, R5), (PROBLEMS, TILL), ("Is the source code of r5src good?", R5)]
)
def test_the_tree_that_is_named_comes_first_then_the_most_relevant(question: str, title: Hit) -> None:
    one = asyncio.run(chosen(question, (), cast("Effects", Stored(TILL, R5))))
    assert [choice.tree for choice in one] == [title]
    assert len(one[0].others) == 1


def answered(question: str, team: Team, *hits: Hit, archive: bytes | None = None) -> dict[str, str]:
    async def work() -> Examined:
        return await team.at(FLOW)(question, (), cast("Effects", Stored(*hits, archive=archive)))

    examined = asyncio.run(work())
    assert examined.computed
    sections = team.sections_at(FLOW)
    return compose(
        Prompt(role=team.role, question=question, sections=sections, findings=examined.findings, computed=True)
    ).sections


@pytest.mark.parametrize("question", [SECRETS, VULNERABLE, PROBLEMS])
def test_a_security_answer_tells_what_was_found_and_where_it_was_not_looked(question: str) -> None:
    told = answered(question, security, R5, TILL)
    whole = "\n".join(told.values())
    assert NOTHING_KNOWN not in whole
    assert "app/config.py:1 (secret: AWS Access Key)" in whole
    assert "Hostile archive: 1 × outside the tree" in whole
    assert "2 dependencies were read; whether any is known to be vulnerable was not looked at" in whole
    assert ": 1 more stored, not looked at: Source code of " in whole
    assert "Fix first: 1. take what is written out at app/config.py:1 out of the code" in whole


@pytest.mark.parametrize("question", [SECRETS, VULNERABLE, PROBLEMS])
def test_a_security_answer_says_what_was_looked_at_for_what_and_which_dependencies_were_not_judged(
    question: str,
) -> None:
    many = {f"p{number}/config.py": f'aws_key = "{KEY}"\neval(input())\n' for number in range(30)}
    files = (
        OPEN | many | {"web/package.json": '{"dependencies": {"a": "^1", "b": "*"}}', "uv.lock": "x\n", "../x.py": ""}
    )
    whole = "\n".join(answered(question, security, R5, TILL, archive=zipped(files)).values())
    assert (
        "weak code, SQL injection among it, is looked for in Python only: 2 JavaScript files, 1 Go file were" in whole
    )
    assert "web/package.json: 2 dependencies" in whole
    assert "were searched for no secrets, such as uv.lock" in whole
    assert "Hostile archive: 1 × outside the tree" in whole


def test_so_does_a_code_analysis() -> None:
    whole = "\n".join(answered("Which files of r5src need attention first?", code_analysis, R5, TILL).values())
    assert "Hostile archive: 1 × outside the tree" in whole
    assert "1 more stored, not looked at: Source code of the till" in whole
    assert "1. app/a.py: complexity 2" in whole


@pytest.mark.parametrize("team", [security, code_analysis])
@pytest.mark.parametrize("question", [PROBLEMS, "Are there secrets?", "Which of these files are not parsed, and why?"])
def test_everything_that_is_hostile_is_told_whatever_else_there_is_to_tell(team: Team, question: str) -> None:
    told = answered(question, team, R5, TILL, archive=hostile())
    whole = "\n".join(told.values())
    for kind in (
        "1 × bomb",
        "1 × device",
        "1 × doubled name",
        "1 × impossible name",
        "60 × link",
        "3 × outside the tree",
    ):
        assert kind in whole
    for name in ("../../../../tmp/pwned.py", "/etc/absolute.py", "zero.bin", "device.py"):
        assert name in whole


@pytest.mark.parametrize("team", [security, code_analysis])
def test_of_an_archive_that_cannot_be_read_that_is_said_and_not_what_it_is_called(team: Team) -> None:
    async def work() -> Examined:
        return await team.at(FLOW)(PROBLEMS, (), cast("Effects", Stored(R5, archive=b"PK\x03\x04 and no more")))

    described = Evidence(
        id="r5",
        title=R5.entry.title,
        text="Source code of r5src: the archive r5src.zip, with security problems of 269 bytes.",
        label=Clearance.INTERNAL,
        score=0.9,
    )
    prompt = Prompt(
        role="r",
        question=PROBLEMS,
        sections=team.sections_at(FLOW),
        findings=asyncio.run(work()).findings,
        evidence=(described,),
        computed=True,
    )
    told = compose(prompt).sections
    assert "could not use Source code of r5src: the zip archive cannot be read" in told["summary"] + told["looked_at"]
    assert "269 bytes" not in told.get("fix_first", "") + told["looked_at"] + told.get("dependencies", "")
