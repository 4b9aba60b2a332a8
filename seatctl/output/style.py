"""How records are printed: formats, columns, the style of an invocation. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

from seatctl.errors import JsonValue
from seatctl.rules.terminal_text import JSON_ESCAPES

if TYPE_CHECKING:
    from datetime import datetime

    from seatctl.models.report import Record

Kind = Literal["text", "prose", "integer", "money", "time", "lines"]
"""`lines` is a list of sentences or commands: a table puts each on its own line. `prose` is text of several
lines, such as a mail, which `emit_one` keeps."""


class Format(StrEnum):
    """The values of `--output`. `output/emit.py` prints them; `seatctl help formats` explains each."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    MARKDOWN = "markdown"


FORMAT_NAMES = " or ".join(", ".join(Format).rsplit(", ", 1))
"""All formats in words, for help: table, json, … or markdown."""

JSON_FORMATS = frozenset((Format.JSON, Format.JSONL))
"""The formats in which an error is JSON, too."""


class Column(NamedTuple):
    """One key of a record. `money` is minor units and needs `currency` in the record."""

    key: str
    title: str
    kind: Kind = "text"
    table: bool = True
    """False: only in machine formats, because a table would get too wide."""
    wide: bool = False
    """Left out of a table, last first, if the terminal is too narrow for all columns."""


class Style(NamedTuple):
    """How this invocation prints: decided once from options, settings and streams."""

    format: Format
    fields: tuple[str, ...]
    header: bool
    quiet: bool
    terminal: bool
    """stdout is a terminal: tables show relative times and local money."""
    color: bool
    now: Callable[[], datetime]


def use_color(
    flag: str | None, setting: Callable[[], str | None], environment: Mapping[str, str], terminal: bool
) -> bool:
    """Return whether to use colors: --color, NO_COLOR, CLICOLOR_FORCE, the setting, TERM=dumb, in that order.

    See https://bixense.com/clicolors.
    """
    choice = flag or "auto"
    if choice == "auto" and environment.get("NO_COLOR"):
        choice = "never"
    if choice == "auto" and environment.get("CLICOLOR_FORCE", "0") not in {"", "0"}:
        choice = "always"
    if choice == "auto":
        choice = setting() or "auto"
    return terminal and environment.get("TERM") != "dumb" if choice == "auto" else choice == "always"


def plain_cell(value: JsonValue) -> str:
    """Return a value as text in delimited formats: empty for null, true/false, lists with commas.

    Sentences are joined with spaces; a list with commas in its items becomes JSON.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value):
        items = [plain_cell(item) for item in value]
        if items and all(item.endswith(".") for item in items):
            return " ".join(items)
        if not any("," in item for item in items):
            return ",".join(items)
    return dump(value) if isinstance(value, (list, dict)) else str(value)


def dump(value: JsonValue | Record, indent: int | None = None) -> str:
    """Return JSON text in which no character acts on a terminal."""
    import json

    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text if text.isascii() and "\x7f" not in text else text.translate(JSON_ESCAPES)
