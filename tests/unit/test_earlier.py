"""Two profiles are compared in an order that is said: by the question, by their own times, by when they were imported."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from actors.artemis.tools import TOOLS
from actors.artemis.tools.earlier import Upload, in_order
from actors.artemis.tools.performance_analysis import (
    PerformanceAnalysisArguments,
    PerformanceAnalysisResult,
    of_profiles,
)
from actors.artemis.tools.profiles import MEDIA_TYPES, Profile
from actors.artemis.watching import ALONE, time_taken
from actors.team import Findings
from contracts.domains import Clearance
from contracts.retrieval import Entry, Hit
from runtime.effects import Effects

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
SAMPLED = Profile("collapsed stacks", "samples", {("main",): 200.0})
UPLOADS = (Upload(title="Profile v1", imported=NOON), Upload(title="Profile v2.1", imported=NOON - timedelta(hours=1)))
"""By title and by import in different orders."""


def order(
    question: str, uploads: tuple[Upload, ...] = UPLOADS, recorded: tuple[float | None, ...] = (None, None)
) -> tuple[str, str]:
    profiles = [Profile("", "samples", {("a",): 1.0}, at) for at in recorded]
    (first, second), told = in_order(question, uploads, profiles)
    assert told.index(f"“{uploads[first].title}”") < told.index(f"“{uploads[second].title}”")
    return uploads[first].title.removeprefix("Profile "), told


@pytest.mark.parametrize(
    ("question", "earlier"),
    [
        ("What changed in the profile from v1 to v2.1?", "v1"),
        ("What changed in the profile from v2.1 to v1?", "v2.1"),
        ("Compare the profiles: before: v1, after: v2.1", "v1"),
        ("Compare profile v2.1 (old) with profile v1 (new)", "v2.1"),
        ("Compare profile v2.1 (new) with profile v1", "v1"),
        ("v1 was recorded before v2.1: which functions got slower?", "v1"),
        ("Which functions got slower in v1 after v2.1?", "v2.1"),
        ("Is profile v1 slower than the baseline v2.1?", "v2.1"),
    ],
)
def test_the_question_says_which_is_the_earlier(question: str, earlier: str) -> None:
    assert order(question, recorded=(5.0, 5.0))[0] == earlier
    assert order(question)[1].endswith(", as the question says.")


@pytest.mark.parametrize(
    "question",
    [
        "Which functions got slower in the profiles?",
        "Compare profile v1 with profile v2.1",
        "Is v1 faster than before?",
        "from v1 to v2.1, I mean from v2.1 to v1",
        "What changed from v2 to v2.1?",
        "What changed from v1 to v3?",
    ],
)
def test_else_the_times_in_them_say_it_and_else_those_of_their_import(question: str) -> None:
    assert order(question, recorded=(1_764_000_000.0, 1_764_003_600.0)) == (
        "v1",
        "The earlier profile is “Profile v1” (2025-11-24 16:00:00), the later “Profile v2.1” (2025-11-24 17:00:00), by the times"
        " that stand in them.",
    )
    for unknown in ((None, None), (1.0, None), (7.0, 7.0), (1e300, 5.0)):
        assert order(question, recorded=unknown) == (
            "v2.1",
            "The earlier profile is “Profile v2.1” (2026-11-29 11:00:00), the later “Profile v1” (2026-11-29 12:00:00), by when"
            " they were imported.",
        )


def test_where_nothing_says_it_that_is_said() -> None:
    told = order("What changed?", (Upload(title="b", imported=NOON), Upload(title="a", imported=NOON)))
    assert told[0] == "a"
    assert told[1].startswith("Which profile is the earlier cannot be told")


@given(st.text(max_size=60), st.text(max_size=8), st.text(max_size=8), st.floats() | st.none())
def test_any_names_and_words_are_put_in_some_order(question: str, one: str, other: str, at: float | None) -> None:
    uploads = [Upload(title=one), Upload(title=other)]
    (first, second), told = in_order(question, uploads, [SAMPLED, Profile("", "samples", {}, at)])
    assert {first, second} == {0, 1}
    assert told.endswith(".")


def test_the_shift_is_from_the_earlier_to_the_later() -> None:
    slow = Profile("", "samples", {("parse",): 900.0, ("render",): 100.0})
    fast = Profile("", "samples", {("parse",): 100.0, ("render",): 900.0})
    result = of_profiles([slow, fast], UPLOADS, "Which functions changed in the profiles?")
    assert result.findings[0].startswith("The earlier profile is “Profile v2.1”")
    assert result.findings[1].startswith("The later profile")
    (parse,) = [one for one in result.shifts if one.name == "parse"]
    assert (parse.before, parse.after) == (0.1, 0.9)
    assert result.functions[0].name == "parse"


def test_a_pyinstrument_file_says_when_it_was_recorded() -> None:
    def file(start: object) -> bytes:
        return json.dumps({"start_time": start, "root_frame": {"function": "f", "time": 1.0}}).encode()

    blobs = {"a": file(1_764_003_600), "b": file(1_764_000_000.5), "c": file("soon")}
    tool = TOOLS["performance_analysis"]

    def told(*digests: str) -> str:
        given = PerformanceAnalysisArguments(profiles=digests, uploads=UPLOADS)
        result = tool.run(given, blobs.__getitem__)
        assert isinstance(result, PerformanceAnalysisResult)
        return result.findings[0]

    assert told("a", "b").endswith("“Profile v1” (2025-11-24 17:00:00), by the times that stand in them.")
    assert told("a", "c").endswith("by when they were imported.")


class Asked:
    """The effects that the team takes, with the stored profiles."""

    def __init__(self, titles: tuple[str, ...]) -> None:
        self.asked_at = NOON
        self.titles = titles
        self.given: list[PerformanceAnalysisArguments] = []

    async def search(
        self, _partitions: object, _text: str, *, limit: int, media_type: str, score_min: float
    ) -> list[Hit]:
        assert score_min > 0
        if media_type != MEDIA_TYPES["collapsed stacks"]:
            return []
        return [
            Hit(
                entry=Entry(id=title, title=title, text="x", label=Clearance.INTERNAL, attachment=title, updated=NOON),
                partition="artemis_technical",
                score=0.5,
            )
            for title in self.titles
        ][:limit]

    async def tool(self, _name: str, arguments: Struct, returns: type[Findings]) -> Findings:
        self.given.append(cast("PerformanceAnalysisArguments", arguments))
        return returns(("told",))


def test_the_tool_is_told_what_the_profiles_are_called_and_when_they_were_imported() -> None:
    both = Asked(("b", "a"))
    asyncio.run(time_taken("Which functions of the profile got slower?", (), cast("Effects", both)))
    (given,) = both.given
    assert given.profiles == ("a", "b")
    assert given.uploads == (Upload(title="a", imported=NOON), Upload(title="b", imported=NOON))
    assert not given.notes
    alone = Asked(("a",))
    asyncio.run(time_taken("Which functions of the profile got slower?", (), cast("Effects", alone)))
    assert alone.given[0].notes == (ALONE,)
    alone = Asked(("a",))
    asyncio.run(time_taken("Which functions are hottest in the profile?", (), cast("Effects", alone)))
    assert not alone.given[0].notes
