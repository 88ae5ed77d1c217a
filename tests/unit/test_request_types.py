"""The request types: each has a handler, its context is typed, and its outcome has the sections that it says."""

import asyncio
from typing import cast

import msgspec
import pytest

from actors.ceo import alignment, summary
from actors.handling import Wanted, synthesise
from actors.requests import HANDLERS, check_context
from actors.teams import TEAMS
from adapters.extractive import compose
from contracts.collaboration import Request
from contracts.conversation import TEAMS_OF
from contracts.domains import Clearance, Domain
from contracts.model import NOTHING_KNOWN, Prompt, Reply, Section
from contracts.request_types import REQUEST_TYPES, RequestType, request_type, sections_of
from runtime.effects import Effects
from runtime.errors import Rejected


def test_what_is_listed_is_handled_and_what_is_handled_is_listed() -> None:
    listed = [(one.domain, one.name) for one in REQUEST_TYPES]
    assert len(set(listed)) == len(listed)
    assert set(listed) == set(HANDLERS)


def test_each_of_the_eight_teams_can_be_asked_by_its_name() -> None:
    for domain, names in TEAMS_OF.items():
        assert names == {team.name for team in TEAMS[domain]}
        assert all((domain, name) in HANDLERS for name in names)


def test_the_ceos_sections_are_those_of_its_handlers() -> None:
    names = [section.name for section in sections_of(Domain.CEO, "strategic_summary")]
    assert names == list(summary.SECTIONS)
    written = alignment.COMPARED + alignment.WRITTEN
    assert sections_of(Domain.CEO, "strategic_alignment") == written


@pytest.mark.parametrize("kind", REQUEST_TYPES, ids=lambda kind: kind.name)
def test_each_context_has_a_schema_that_names_its_texts(kind: RequestType) -> None:
    schema = msgspec.json.schema(kind.context)
    [definition] = [one for name, one in schema["$defs"].items() if name == kind.context.__name__]
    assert set(definition["properties"]) == set(kind.context.__struct_fields__)


def test_a_team_takes_its_own_context_and_refuses_another() -> None:
    kind = request_type(Domain.SOPHIA, "client_analysis")
    assert kind is not None
    check_context(kind, {"segment": "small business", "findings": "we lose"})
    with pytest.raises(Rejected, match=r"the context of client_analysis is .*segment.*unknown field `component`"):
        check_context(kind, {"component": "billing"})


def test_a_domain_tells_another_what_it_found_under_any_name() -> None:
    kind = request_type(Domain.ARTEMIS, "technical_feasibility_analysis")
    assert kind is not None
    check_context(kind, {"business_analysis": "we lose", "findings": "x" * 100_000})


class _Asked:
    """Effects that answer a chat with nothing and keep the prompt."""

    label = Clearance.PUBLIC

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []

    async def chat(self, prompt: Prompt) -> Reply:
        self.prompts.append(prompt)
        return Reply(sections={}, cited=(), confidence=0.0, model="m")


@pytest.mark.parametrize("computed", [True, False])
def test_what_a_teams_tool_computed_for_another_domain_is_an_answer_there_too(computed: bool) -> None:
    """Else a scan that found a secret answers "nothing is known" to a question without a word of what it found."""
    asked = _Asked()
    request = Request(request_type="security", question="Is anything amiss?")
    wanted = Wanted("r", (Section("summary", "s"),), computed=computed)
    findings = ("High: what looks like a secret is written out at a.py:1.",)
    asyncio.run(synthesise(wanted, request, (), findings, cast("Effects", asked)))
    (prompt,) = asked.prompts
    assert (prompt.computed is True) == computed
    assert (NOTHING_KNOWN in compose(prompt).sections["summary"]) != computed
