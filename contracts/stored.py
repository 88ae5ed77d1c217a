"""Reading what is stored: strictly first, then as what it was when it was written.

Two things may have changed since. The shape has a new tag: an upcaster makes today's of it. Or a rule for what comes in became
stricter (a title is not blank): what was taken under the old rule is a fact now, so its `Meta` constraints do not count.
"""

import types
from functools import cache
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from contracts.upcasting import upcast

T = TypeVar("T")

_ORIGINALS: dict[type, type[Struct]] = {}


class StoredDecoder(Generic[T]):
    """Decodes JSON to one type (a union, too), as `msgspec.json.Decoder` does, and old forms of it besides."""

    def __init__(self, type_: Any) -> None:
        self._type = type_
        self._strict: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_)

    def decode(self, body: bytes) -> T:
        """Raises msgspec.ValidationError or DecodeError for what was never of this type."""
        try:
            return self._strict.decode(body)
        except msgspec.ValidationError:
            today = upcast(body) or body
            found: T = _original(msgspec.json.decode(today, type=_unconstrained(self._type)))
            return found


@cache
def _unconstrained(type_: Any) -> Any:
    """The type without `Meta`: Structs in it are replaced by look-alikes, which `_original` turns back."""
    if isinstance(type_, type) and issubclass(type_, Struct):
        return _look_alike(type_)
    origin = get_origin(type_)
    if origin is Annotated:
        return _unconstrained(get_args(type_)[0])
    if origin in (Union, types.UnionType):
        return Union[tuple(_unconstrained(part) for part in get_args(type_))]  # noqa: UP007 - built at run time
    if origin in (tuple, list, set, frozenset, dict):
        return origin[tuple(part if part is Ellipsis else _unconstrained(part) for part in get_args(type_))]
    return type_


def _look_alike(original: type[Struct]) -> type[Struct]:
    config: Any = original.__struct_config__
    fields: list[Any] = []
    for field in msgspec.structs.fields(original):
        if field.default is not msgspec.NODEFAULT:
            default = field.default
        elif field.default_factory is not msgspec.NODEFAULT:
            default = msgspec.field(default_factory=field.default_factory)
        else:
            default = msgspec.NODEFAULT
        fields.append((field.name, _unconstrained(field.type), default))
    made = msgspec.defstruct(
        original.__name__,
        fields,
        tag=config.tag,
        tag_field=config.tag_field,
        forbid_unknown_fields=config.forbid_unknown_fields,
        kw_only=True,
    )
    _ORIGINALS[made] = original
    return made


def _original(value: Any) -> Any:
    """The value with every look-alike replaced by what it stands for."""
    if (original := _ORIGINALS.get(type(value))) is not None:
        return original(**{name: _original(getattr(value, name)) for name in original.__struct_fields__})
    if isinstance(value, tuple | list | set | frozenset):
        return type(value)(map(_original, value))
    if isinstance(value, dict):
        return {key: _original(one) for key, one in value.items()}
    return value
