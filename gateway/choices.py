"""Which values a field may have, by its place in a request: a refusal that names them is of more help than one that does not."""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import inspect

_STEP = re.compile(r"\.([^.\[]+)|\[([^\]]*)\]")


def choices_at(kind: Any, path: str) -> tuple[str, ...]:
    """The values that the type allows at a path such as `$.messages[0].role`; none where it allows others, too."""
    kinds = [inspect.type_info(kind)]
    for name, _ in _STEP.findall(path.removeprefix("$")):
        kinds = [inner for one in kinds for inner in _within(one, name)]
    return tuple(dict.fromkeys(str(value) for one in kinds for value in _values(one)))


def _within(kind: inspect.Type, name: str) -> Iterator[inspect.Type]:
    """The types of a field (empty: of any item) of a type."""
    match _bare(kind):
        case inspect.UnionType(types=types):
            for one in types:
                yield from _within(one, name)
        case inspect.StructType(fields=fields) if name:
            yield from (field.type for field in fields if field.encode_name == name)
        case inspect.DictType(value_type=inner):
            yield inner
        case inspect.VarTupleType(item_type=inner) | inspect.ListType(item_type=inner) if not name:
            yield inner
        case _:
            pass


def _values(kind: inspect.Type) -> Iterator[object]:
    match _bare(kind):
        case inspect.UnionType(types=types):
            for one in types:
                yield from _values(one)
        case inspect.LiteralType(values=values):
            yield from values
        case inspect.EnumType(cls=cls):
            yield from (member.value for member in cls)
        case _:
            pass


def _bare(kind: inspect.Type) -> inspect.Type:
    """Without what is only told of it."""
    return _bare(kind.type) if isinstance(kind, inspect.Metadata) else kind
