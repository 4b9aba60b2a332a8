"""The differences between two states of a thing, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seatctl.errors import JsonValue


def differences(before: JsonValue, after: JsonValue) -> list[str]:
    """Return `capacity: 25 → 27` for each changed field, `policy.pack_size: 5` for an added one.

    Unchanged fields and added fields without a value are left out. A state is None if the thing did not
    exist.
    """
    old_fields, new_fields = dict(_fields(before)), dict(_fields(after))
    texts = []
    for name in sorted({*old_fields, *new_fields}):
        old, new = old_fields.get(name), new_fields.get(name)
        if old == new:
            continue
        texts.append(f"{name}: {_text(new)}" if old is None else f"{name}: {_text(old)} → {_text(new)}")
    return texts


def _fields(state: JsonValue, prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Yield the fields that have a value; nested fields are named with dots."""
    if not isinstance(state, Mapping):
        return
    for name, value in state.items():
        if isinstance(value, dict):
            yield from _fields(value, f"{prefix}{name}.")
        elif value not in (None, "", []):
            yield f"{prefix}{name}", value


def _text(value: JsonValue) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "+".join(map(_text, value)) if isinstance(value, list) else str(value)
