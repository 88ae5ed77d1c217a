"""By which names configured chat models are asked for.

A provider is known by the name that the settings give it: two servers may call different models the same, and one of them is
meant. A group's name means any of its equals. The name of a model means all that serve it, in their order: that they are one
model is for the settings to say, which may name it otherwise than its server does (`served_as`).
"""

from collections.abc import Sequence

from msgspec import Struct


class Served(Struct, frozen=True):
    """One provider: its name, its group (empty: it stands alone) and the model that it serves."""

    provider: str
    group: str
    model: str


class Named(Struct, frozen=True):
    """A name to ask by, the providers that it means, and the models that they serve."""

    name: str
    providers: tuple[str, ...]
    models: tuple[str, ...]


def names_of(served: Sequence[Served]) -> tuple[Named, ...]:
    """All names, providers first, then groups, then models; one that stands for two of these has its first meaning."""
    providers = [(one.provider, one) for one in served]
    groups = [(one.group, one) for one in served if one.group]
    models = [(one.model, one) for one in served]
    found: dict[str, Named] = {}
    for pairs in (providers, groups, models):
        for name in dict.fromkeys(name for name, _ in pairs if name not in found):
            meant = [one for given, one in pairs if given == name]
            found[name] = Named(
                name, tuple(one.provider for one in meant), tuple(dict.fromkeys(one.model for one in meant))
            )
    return tuple(found.values())
