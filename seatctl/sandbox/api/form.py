"""Form bodies and query strings: `items[0][price]=x` becomes nested dicts and lists.

Every value stays a string; check.py gives it its type.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from seatctl.sandbox.objects import Obj


def decode(encoded: str | None) -> Obj:
    """Return the parameters in a form body or query string."""
    root: Obj = {}
    for name, value in parse_qsl(encoded or "", keep_blank_values=True):
        _put(root, _keys(name), value)
    return {name: _lists(value) for name, value in root.items()}


def bracketed(path: tuple[str, ...]) -> str:
    """Return the path `("items", "0", "price")` as Stripe writes it in `param`: `items[0][price]`."""
    return path[0] + "".join(f"[{key}]" for key in path[1:])


def _keys(name: str) -> list[str]:
    head, bracket, rest = name.partition("[")
    if not bracket:
        return [name]
    return [head, *rest.removesuffix("]").split("][")]


def _put(target: Obj, keys: list[str], value: str) -> None:
    for position, key in enumerate(keys[:-1]):
        name = str(len(target)) if position and key == "" else key
        below = target.get(name)
        if not isinstance(below, dict):
            below = target[name] = {}
        target = below
    last = str(len(target)) if len(keys) > 1 and keys[-1] == "" else keys[-1]
    target[last] = value


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(below) for key, below in value.items()}
