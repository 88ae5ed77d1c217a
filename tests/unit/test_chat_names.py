"""The gateway names the models that the workers can be asked for, without connecting to any."""

import asyncio

from deploy.model_settings import ChatProvider
from deploy.providers import chat_models, chat_names
from deploy.settings import Settings
from runtime.telemetry import NoTelemetry


def test_the_names_are_those_that_the_workers_know() -> None:
    providers = tuple(
        ChatProvider(name=name, base_url="http://127.0.0.1:1/v1", model=model, group=group)
        for name, model, group in (("a", "one", ""), ("b", "two", "near"), ("c", "one", ""), ("two", "three", "near"))
    )
    for settings in (Settings(), Settings(chat=providers)):

        async def known(settings: Settings) -> tuple[str, ...]:
            chats = chat_models(settings, NoTelemetry())
            for part in chats.parts:
                await part.stop()
            return chats.completions.models

        assert asyncio.run(known(settings)) == tuple(named.name for named in chat_names(settings))
    assert {named.name: named.providers for named in chat_names(Settings(chat=providers))} == {
        "a": ("a",),
        "b": ("b",),
        "c": ("c",),
        "two": ("two",),  # The provider of that name, not the model that another one serves.
        "near": ("b", "two"),
        "one": ("a", "c"),
        "three": ("two",),
        "extractive": ("diarchy",),
    }
