"""The request types: each has a handler, its context is typed, and its outcome has the sections that it says."""

import msgspec
import pytest

from actors.ceo import alignment, summary
from actors.requests import HANDLERS, check_context
from actors.teams import TEAMS
from contracts.conversation import TEAMS_OF
from contracts.domains import Domain
from contracts.request_types import REQUEST_TYPES, RequestType, request_type, sections_of
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
