"""Dumps dataclasses to JSON values and loads them again, by the types of their fields. Pure.

A field that is missing in the JSON gets its default, so that what an older version has written stays
readable: give a new field the default that means what the older version meant. Unknown keys are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import repeat
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from seatctl.errors import JsonValue

T = TypeVar("T")

_KEY = "json key"


def stored_as(key: str) -> dict[str, str]:
    """Return the metadata of a dataclass field that is stored under another key than its name."""
    return {_KEY: key}


def dump(value: object) -> dict[str, JsonValue]:
    """Return a dataclass as a JSON object. Every field is written, even if it has its default."""
    return {key: _dumped(getattr(value, name)) for name, key, _ in _fields(type(value))}


def load(kind: type[T], stored: Mapping[str, JsonValue]) -> T:
    """The inverse of `dump`. Raises TypeError for a value of a wrong type, and for a missing one."""
    return kind(
        **{
            name: _loaded(expected, stored[key], f"{kind.__name__}.{name}")
            for name, key, expected in _fields(kind)
            if key in stored
        }
    )


def _fields(kind: Any) -> list[tuple[str, str, Any]]:
    """The name, the key and the type of each field."""
    types = get_type_hints(kind)
    return [(one.name, one.metadata.get(_KEY, one.name), types[one.name]) for one in fields(kind)]


def _dumped(value: object) -> JsonValue:
    if is_dataclass(value):
        return dump(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, list | tuple):
        return [_dumped(one) for one in value]
    return cast("JsonValue", value)


def _loaded(expected: Any, value: JsonValue, where: str) -> object:
    """The value as the type of a field. `JsonValue`, a union of several types, takes any value."""
    parts = get_args(expected)
    if get_origin(expected) in {Union, UnionType}:
        alternatives = [part for part in parts if part is not NoneType]
        is_any = value is None or len(alternatives) > 1
        return value if is_any else _loaded(alternatives[0], value, where)
    if get_origin(expected) is tuple and isinstance(value, list):
        each = repeat(parts[0], len(value)) if parts[-1] is Ellipsis else parts
        return tuple(_loaded(part, one, where) for part, one in zip(each, value, strict=True))
    if is_dataclass(expected) and isinstance(value, dict):
        return load(cast("type[object]", expected), value)
    if isinstance(expected, type) and issubclass(expected, Enum):
        return expected(value)
    plain = get_origin(expected) or expected
    if not isinstance(value, plain) or (isinstance(value, bool) and plain is not bool):
        raise TypeError(f"{where} is {value!r}, not {expected}")
    return value
