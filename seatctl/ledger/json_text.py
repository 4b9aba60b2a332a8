"""SQL expressions for compact JSON texts, by concatenation: every engine writes the same bytes."""

from __future__ import annotations

from collections.abc import Mapping


def json_object(values: Mapping[str, str]) -> str:
    """Return an expression for an object with its keys in alphabetical order.

    `values` are SQL expressions for JSON texts by key, such as `json_quote(email)`.
    """
    pairs = " || ',".join(f'"{key}":\' || {values[key]}' for key in sorted(values))
    return f"'{{{pairs} || '}}'"


def json_array(*values: str) -> str:
    """Return an expression for an array; `values` are SQL expressions for JSON texts."""
    elements = " || ',' || ".join(values)
    return f"'[' || {elements} || ']'"


def json_rows(value: str) -> str:
    """Return an aggregate expression for an array with a JSON text of each row, in no certain order."""
    return f"'[' || coalesce(group_concat({value}, ','), '') || ']'"


def json_flag(condition: str) -> str:
    """Return an expression for `true` or `false`."""
    return f"CASE WHEN {condition} THEN 'true' ELSE 'false' END"
