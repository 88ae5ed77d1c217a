"""Which models the settings name: their groups, their order, what is asked by name, and what a run may cost by default."""

import asyncio

from adapters.extractive import NAME
from contracts.model import Allowance
from deploy.gateway_role import budget_of
from deploy.providers import chat_models
from deploy.settings import load
from runtime.telemetry import NoTelemetry

CHAT = """[
  {"name": "a", "base_url": "http://a/v1", "model": "large", "group": "near", "timeout_s": 20, "input_price": 2.5},
  {"name": "b", "base_url": "http://b/v1", "model": "small"},
  {"name": "c", "base_url": "http://c/v1", "model": "large", "group": "near"},
  {"name": "d", "base_url": "http://d/v1", "model": "small"}
]"""


def test_groups_are_asked_in_the_order_of_their_first_members() -> None:
    async def body() -> None:
        chats = chat_models(load(environment={"DIARCHY_CHAT": CHAT}), NoTelemetry())
        assert chats.model.name == "a = c > b > d"
        assert chats.completions.models == ("a", "c", "b", "d", "near", "large", "small", "extractive")
        assert chats.health is not None
        for part in chats.parts:
            await part.stop()

    asyncio.run(body())


def test_without_providers_there_is_the_extractive_model() -> None:
    chats = chat_models(load(environment={}), NoTelemetry())
    assert (chats.model.name, chats.completions.models, chats.health) == (NAME, ("extractive",), None)


def test_a_default_budget_is_as_the_settings_say() -> None:
    assert budget_of(load(environment={})) is None
    given = {"DIARCHY_BUDGET_COST_MAX": "0.25", "DIARCHY_BUDGET_TOKENS_MAX": "5000"}
    assert budget_of(load(environment=given)) == Allowance(tokens=5_000, cost_micros=250_000)
    assert budget_of(load(environment={"DIARCHY_BUDGET_COST_MAX": "1"})) == Allowance(cost_micros=1_000_000)
