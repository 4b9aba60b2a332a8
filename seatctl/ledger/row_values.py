"""Conversion between the columns of rows and the fields of models."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from seatctl.errors import JsonValue
from seatctl.ledger.engines.port import Row, SqlValue
from seatctl.ledger.failures import CHECK, LedgerDamaged
from seatctl.models.call import format_time, optional_time, parse_time

if TYPE_CHECKING:
    from seatctl.models.plan import Policy

Model = TypeVar("Model")

_READERS: Mapping[str, Callable[[Any], object]] = {
    "datetime": parse_time,
    "datetime | None": optional_time,
    "bool": bool,
    "dict[str, JsonValue]": json.loads,
    "Mapping[str, JsonValue]": json.loads,
    "Mapping[str, int]": json.loads,
    "tuple[str, ...]": lambda text: tuple(json.loads(text)),
}


def mapper(model: Callable[..., Model], **readers: Callable[[Any], object]) -> Callable[[Row], Model]:
    """Return a function that makes a `model` of a row with a column for each field.

    A value is converted by the type of its field; `readers` are for fields that need another conversion.
    """
    names = vars(sys.modules[model.__module__])

    def reader(field: str, annotation: object) -> Callable[[Any], object] | None:
        text = str(getattr(annotation, "__forward_arg__", annotation))
        named = names.get(text)
        is_enum = isinstance(named, type) and issubclass(named, Enum)
        return readers.get(field) or _READERS.get(text) or (named if is_enum else None)

    columns = [(field, reader(field, annotation)) for field, annotation in model.__annotations__.items()]
    return lambda row: model(*[row[name] if read is None else read(row[name]) for name, read in columns])


def column_value(value: object) -> SqlValue:
    """Return the value of a field as a column stores it."""
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Mapping):
        return compact_json(value)
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a column cannot store {value!r}")


def compact_json(value: Mapping[str, JsonValue]) -> str:
    """Return an object as compact JSON."""
    return json.dumps(dict(value), ensure_ascii=False, separators=(",", ":"))


def record(row: Row) -> dict[str, JsonValue]:
    """Return a row as an output record, whose keys are its columns."""
    return dict(zip(row.keys(), row, strict=True))


def json_list(values: Iterable[str]) -> str:
    """Return texts as a compact JSON array: a column, or one parameter for `json_each`."""
    return json.dumps(list(values), separators=(",", ":"))


class StoredObject(dict[str, JsonValue]):
    """An object of a row that is used after its transaction has ended: a missing key raises LedgerDamaged."""

    def __missing__(self, key: str) -> JsonValue:
        raise LedgerDamaged(
            f"the ledger is damaged: a stored operation has no {key!r}",
            hint=CHECK,
            data={"key": key},
        )


def stored_object(text: str) -> dict[str, JsonValue]:
    """Return the object of a JSON column, with its inner objects. Raises ValueError for other JSON."""
    value = json.loads(text, object_hook=StoredObject)
    if not isinstance(value, StoredObject):
        raise ValueError(f"the ledger has {text[:40]!r} in place of an object")  # noqa: TRY004
    return value


@lru_cache(maxsize=100)
def stored_policy(text: str | None) -> Policy | None:
    """Return the policy of a row. Raises ValueError if this program cannot have written it.

    Cached, because thousands of subscriptions have a few policies, and parsing one takes 50 µs.
    """
    from seatctl.rules.policies import BadPolicy, from_fields

    if text is None:
        return None
    try:
        return from_fields(json.loads(text))
    except BadPolicy as error:
        raise ValueError(f"the ledger has an invalid policy: {error.message}") from error
