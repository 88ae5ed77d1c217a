"""What a model that calls tools may write to any of them: choices, and no material."""

from collections.abc import Iterator
from typing import Any

import msgspec

from actors.offers import steered
from actors.roster import TOOLS
from actors.sophia.tools.market_research import MarketResearchArguments
from actors.teams import OFFERS

STEERING = {("client_analysis", "question"), ("market_research", "question"), ("business_insight", "question")}
"""All the free text that a model may write to a tool: it orders and selects. `test_investigating` shows that."""


def test_what_a_model_may_write_to_any_tool_is_a_choice_and_no_material() -> None:
    names = {name for tools in TOOLS.values() for name in tools}
    assert set(OFFERS) == names
    free = {
        (name, field) for name, one in OFFERS.items() for field in free_texts(msgspec.inspect.type_info(one.choices))
    }
    assert free == STEERING
    assert all(one.choices.__struct_config__.forbid_unknown_fields for one in OFFERS.values())


def test_material_would_be_noticed_among_what_a_model_may_write() -> None:
    found = set(free_texts(msgspec.inspect.type_info(MarketResearchArguments)))
    assert {"question", "notes", "sources.title", "sources.text", "sources.place", "evidence.text"} <= found


_FILES = {"^[0-9a-f]{64}$", "^([0-9a-f]{64})?$"}
"""The patterns of digests."""


def free_texts(kind: Any, path: str = "") -> Iterator[str]:
    """Where in a type any text may stand; a type that this does not know counts as such."""
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            yield from free_texts(inner, path)
        case msgspec.inspect.StructType(fields=fields):
            for field in fields:
                yield from free_texts(field.type, f"{path}.{field.name}".lstrip("."))
        case msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item):
            yield from free_texts(item, path)
        case msgspec.inspect.UnionType(types=types):
            for one in types:
                yield from free_texts(one, path)
        case msgspec.inspect.StrType(pattern=pattern) if pattern in _FILES:
            pass
        case (
            msgspec.inspect.IntType()
            | msgspec.inspect.FloatType()
            | msgspec.inspect.BoolType()
            | msgspec.inspect.NoneType()
            | msgspec.inspect.DateType()
            | msgspec.inspect.DateTimeType()
            | msgspec.inspect.EnumType()
            | msgspec.inspect.LiteralType()
        ):
            pass
        case _:
            yield path


def test_only_words_that_are_there_steer() -> None:
    material = ("The market for retention grows by 4 percent.", "Rivals are Beta and Gamma.")
    assert steered("Does Beta, or Zyx, grow 400 percent?", "Who competes?", material) == "Beta, grow percent?"
    assert steered("Zyx 999", "Who competes?", material) == "Who competes?"
    assert steered("", "Who competes?", ()) == "Who competes?"
    assert steered("who competes in Rome", "Who competes?", ()) == "competes"
