"""The DDL of common kinds of columns, each with a named constraint."""

from __future__ import annotations

_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_CLOCK = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"


def time_of(column: str, *, null: bool = False) -> str:
    """Return a time column: exactly YYYY-MM-DDTHH:MM:SSZ, so that text order is time order."""
    required = "" if null else "NOT NULL "
    return f"{column} TEXT {required}CONSTRAINT {column}_is_a_time CHECK ({column} GLOB '{_DATE}T{_CLOCK}Z')"


def one_of(column: str, *values: str, default: str | None = None) -> str:
    """Return a text column for one of `values`."""
    listed = ", ".join(f"'{value}'" for value in values)
    preset = f" DEFAULT '{default}'" if default else ""
    return f"{column} TEXT NOT NULL{preset} CONSTRAINT {column}_is_known CHECK ({column} IN ({listed}))"


def flag(column: str, default: int = 0) -> str:
    """Return a column for 0 or 1."""
    check = f"CONSTRAINT {column}_is_a_flag CHECK ({column} IN (0, 1))"
    return f"{column} INTEGER NOT NULL DEFAULT {default} {check}"


JSON_DEFAULT = "TEXT NOT NULL DEFAULT '{}'"
