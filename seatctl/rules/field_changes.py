"""What became different between two states of a thing, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seatctl.errors import JsonValue


def differences(before: JsonValue, after: JsonValue) -> list[str]:
    """`capacity: 25 → 27` for each field that changed, `policy.pack_size: 5` for one that came with a value.

    A field that stayed as it was is not named, nor one that came without a value; None for a state in
    which the thing was not there.
    """
    was, became = dict(_fields(before)), dict(_fields(after))
    told = []
    for name in sorted({*was, *became}):
        old, new = was.get(name), became.get(name)
        if old == new:
            continue
        told.append(f"{name}: {_text(new)}" if old is None else f"{name}: {_text(old)} → {_text(new)}")
    return told


def _fields(state: JsonValue, prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    """The fields that have a value, those of a field's own fields by dots."""
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
