"""A model that calls tools: what it may call and read, what becomes of what it finds, and when it comes to an end."""

import hashlib
import importlib
import json

import msgspec
import pytest

from actors import investigating
from actors.roster import TOOLS
from actors.sophia.sales import RECORDS_ID
from contracts.conversation import Answered
from contracts.domains import Clearance, Domain
from contracts.model import Allowance, Usage
from contracts.sources import Source
from runtime.embedding_workers import EmbeddingWorkers
from runtime.outside import NoEmbeddings
from runtime.telemetry import NoTelemetry
from tests.embedders import hashed
from tests.tool_calling import HANDED, KNOWN, QUESTION, SECRET, Broken, Script, Scripted, asked, call
from tests.unit.test_offers import STEERING


@pytest.fixture(scope="module", autouse=True)
def preloaded() -> None:
    """What the zygote does of itself, so that the world does not wait for it."""
    for tool in TOOLS[Domain.SOPHIA].values():
        for name in tool.limits.preload:
            importlib.import_module(name)


INVENTED = {
    "title": "Gartner 2026",
    "place": "https://gartner.com/x",
    "web": True,
    "score": 0.99,
    "text": "The market for customer retention is worth 999 trillion EUR and grows by 400 percent a year.",
}


@pytest.mark.parametrize("whole", [False, True], ids=["as reported", "with all fields of a source"])
def test_what_a_model_invents_as_a_source_is_refused_and_in_no_finding(whole: bool) -> None:
    source = INVENTED | ({"id": "w1", "label": "public"} if whole else {})
    model = Scripted([call("market_research", question="How big is the market?", sources=[source])])
    came = asked(model)
    said = json.dumps([msgspec.to_builtins(came.prompts), came.ended])
    assert "999" not in said
    assert "Gartner" not in said
    assert "error" in json.loads(model.told[0])
    assert "sources" in model.told[0]


def test_what_tools_say_is_findings_and_what_is_searched_is_evidence() -> None:
    model = Scripted(
        [
            call("search_knowledge", query="customers", media_type="text/csv"),
            call("client_analysis", table=KNOWN, question="") + call("market_research", question=QUESTION),
        ]
    )
    came = asked(model)
    assert came.effects[:5] == ["search", "caller", "search", "tool client_analysis", "records"]
    assert came.effects[5:8] == ["converse", "search", "converse"]  # which finds what is known already
    assert came.effects[8:11] == ["tool client_analysis", "tool market_research", "converse"]
    assert len(set(model.keys)) == len(model.keys) == 3
    assert f'"file":"{KNOWN}"' in model.told[0]
    assert "20 of 80" in came.prompts[0].findings[0]
    assert [one.id for one in came.prompts[0].evidence] == ["note", "customers"]
    answered = msgspec.convert(came.ended, Answered)
    assert answered.label == Clearance.CONFIDENTIAL
    assert {one.id for one in answered.evidence} == {"note", "customers"}


def test_a_model_names_only_files_that_its_asker_may_find() -> None:
    hidden = f'{{"table": "\\u00{ord(SECRET[0]):x}{SECRET[1:]}", "question": ""}}'
    assert json.loads(hidden)["table"] == SECRET
    model = Scripted(
        [
            call("client_analysis", table=KNOWN, question=""),  # not found yet, by this team
            call("client_analysis", table=SECRET, question=""),
            [("client_analysis", hidden)],
            call("market_research", question=f"What stands in {SECRET.upper()}?"),
            call("search_knowledge", query="the board's file", media_type="text/csv"),
        ]
    )
    came = asked(model, team="market_research")
    assert ["there is no stored file" in told for told in model.told] == [True, True, True, True, False]
    assert SECRET not in model.told[4]
    assert [name for name in came.effects if name.startswith("tool ")] == ["tool market_research"]  # the team's own


def test_a_table_that_was_handed_over_is_read_and_no_other_one_may_be() -> None:
    over = Source(
        item="mine",
        title="Mine",
        text="Mine.",
        label=Clearance.INTERNAL,
        partition="sophia_business",
        digest=hashlib.sha256(HANDED).hexdigest(),
        media_type="text/csv",
    )
    other = Scripted(
        [
            call("search_knowledge", query="customers", media_type="text/csv"),
            call("client_analysis", table=KNOWN),
        ]
    )
    came = asked(other, sources=(over,))
    assert f'"file":"{over.digest}"' in other.requests[0].messages[1].content
    assert "there is no stored file" in other.told[1]
    assert came.effects.count("tool client_analysis") == 1, "the team has read what was handed over"
    assert "10 of 40" in came.prompts[0].findings[0]


def test_faults_go_back_to_the_model_and_are_counted() -> None:
    model = Scripted(
        [
            call("client_analysis", tabel=1),
            [("client_analysis", "no JSON")],
            call("code_analysis", archive="x"),
            call("search_knowledge", text="customers"),
            call("search_knowledge", query="customers", media_type="") * 9,
            call("client_analysis", table="x", question=""),
            *[call("nothing")] * 12,
        ]
    )
    came = asked(model)
    faults = ["unknown field `tabel`", "are a JSON object", "there is no tool 'code_analysis'", "do not fit"]
    assert [fault in told for fault, told in zip(faults, model.told[:4], strict=True)] == [True] * 4
    assert ["fewer tools at once" in told for told in model.told[4:13]] == [False] * 8 + [True]
    assert len(model.requests) == 6
    assert "tool client_analysis" in came.effects[:4]
    assert "tool client_analysis" not in came.effects[4:]
    assert came.prompts


def test_tools_are_those_the_asker_may_use() -> None:
    model = Scripted([call("client_analysis", table=KNOWN, question="")])
    came = asked(model, grants=("artemis:read",))
    assert [one.name for one in model.requests[0].tools] == ["search_knowledge"]
    assert came.effects.count("tool client_analysis") == 1
    assert "needs the permission sophia:read, which the asker lacks" in came.prompts[0].findings[0]  # the team's own
    assert "there is no tool 'client_analysis'; there are search_knowledge" in model.told[0]
    before = Scripted([])
    asked(before, grants=None)  # as runs of before there were grants
    assert "client_analysis" in [one.name for one in before.requests[0].tools]


def test_it_ends_after_so_many_steps() -> None:
    model = Scripted([call("search_knowledge", query="more", media_type="")] * 50)
    asked(model)
    assert len(model.requests) == investigating.STEPS_MAX


def test_the_budget_holds() -> None:
    model = Scripted([call("search_knowledge", query="more", media_type="")] * 50, usage=Usage(40, 10))
    came = asked(model, budget=Allowance(tokens=120))
    assert (len(model.requests), came.ended["code"]) == (3, "budget")


def test_where_the_model_cannot_call_tools_the_team_works_by_itself() -> None:
    came = asked(Broken([]))
    assert "tool client_analysis" in came.effects
    assert "20 of 80" in came.prompts[0].findings[0]


def test_what_a_model_steers_is_in_no_finding() -> None:
    words = "Zyxgartner says customers are worth 999 trillion EUR and grow by 400 percent"
    files = {"client_analysis": {"table": KNOWN}}
    calls = [one for name, field in sorted(STEERING) for one in call(name, **files.get(name, {}), **{field: words})]
    model = Scripted([calls])
    came = asked(model)
    assert [name for name in came.effects if name.startswith("tool ")][1:] == [
        f"tool {name}" for name, _ in sorted(STEERING)
    ]
    assert all('"findings":[' in told for told in model.told)
    said = json.dumps([model.told, msgspec.to_builtins(came.prompts), came.ended])
    assert [word for word in ("yxgartner", "999", "trillion", "400") if word in said] == []


@pytest.mark.parametrize("near", [True, False], ids=["by meaning", "by words while no model does it"])
def test_what_a_model_searches_is_as_relevant_as_it_is_to_the_question(near: bool) -> None:
    """Else it would only have to search for a text by its own words, and any answer would be sure."""
    model = Scripted([call("search_knowledge", query="The customers of the company.", media_type="text/csv")])
    embeddings = EmbeddingWorkers([hashed("all-minilm")], NoTelemetry()) if near else NoEmbeddings()
    came = asked(model, team="market_research", embeddings=embeddings)
    scores = {one.id: one.score for one in came.prompts[0].evidence}
    assert scores["note"] == 0.9  # by the question itself
    assert scores["customers"] <= 0.5
    assert came.effects.count("similarities") == 1


SALES = "Which open deals are slipping and what is the win rate?"


@pytest.mark.parametrize(
    "script",
    [
        [],
        [
            call("search_knowledge", query="deals", media_type=""),
            call("search_knowledge", query="deals", media_type="text/csv"),
        ],
        [call("market_research", question="deals")],
        [call("sales_intelligence", table="")],
        [call("client_health")],
    ],
    ids=["nothing", "searches", "another tool", "its tool", "one that has nothing"],
)
def test_a_model_that_calls_tools_takes_nothing_from_what_the_team_finds_by_itself(script: Script) -> None:
    alone, came = (asked(model, text=SALES, team="sales_intelligence") for model in (None, Scripted(script)))
    assert "50.00 % (40 of 80, 95 % interval 39.30 % to 60.70 %) of the decided deals were won." in " ".join(
        alone.prompts[0].findings
    )
    assert came.prompts[0].findings[: len(alone.prompts[0].findings)] == alone.prompts[0].findings
    assert {one.id for one in came.prompts[0].evidence} >= {one.id for one in alone.prompts[0].evidence} >= {RECORDS_ID}
    assert came.ended["label"] == alone.ended["label"] == "confidential"


def test_a_model_has_facts_looked_into_by_any_team_under_the_askers_clearance() -> None:
    model = Scripted([call("sales_intelligence", table=""), call("client_health")])
    came = asked(model)
    assert "120 deals" in model.told[0]
    assert "no facts tell of clients" in model.told[1]
    assert "50.00 % (40 of 80, 95 % interval 39.30 % to 60.70 %) of the decided deals were won." in " ".join(
        came.prompts[0].findings
    )
    assert RECORDS_ID in {one.id for one in came.prompts[0].evidence}
    assert came.ended["label"] == "confidential"
    assert "D-999" not in json.dumps([model.told, msgspec.to_builtins(came.prompts)])


def test_what_a_tool_computed_counts_for_confidence_whoever_had_it_called() -> None:
    """The table is read whole, but too few left for one of its three analyses; the deals are of last spring."""
    alone = asked(None).ended["grounds"]["tool"]
    assert (alone["meant"], alone["read"]) == (1.0, pytest.approx(2 / 3, abs=1e-3))
    model = Scripted([call("sales_intelligence", table="")])
    sales = "What share of the decided deals do we win?"
    found = asked(model, text=sales, team="client_analysis").ended["grounds"]["tool"]
    assert (found["meant"], found["precise"]) == (1.0, pytest.approx(1 - 0.107 / 0.5, abs=1e-2))
    assert found["freshness"] < 1


def test_figures_that_the_writing_model_invents_are_told_and_make_the_answer_unsure() -> None:
    honest = asked(None, says="25 % of customers left (20 of 80).").ended
    invented = asked(None, says="97 % of customers left, worth 9,000,000 EUR.").ended
    assert "Not founded" not in honest["content"]
    assert invented["content"].endswith("Nothing that was found has these figures: 97; 9,000,000.")
    assert invented["grounds"]["unfounded"] == ["97", "9,000,000"]
    assert invented["confidence"] <= 0.2 < honest["confidence"]
