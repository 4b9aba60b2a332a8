"""What a typed text may do where it is printed: nothing. Pure functions on one cell.

Terminals act on control characters, readers are misled by bidirectional overrides, spreadsheets
run formulas. Parsing of files is `input/tables.py`, printing is `output/emit.py`.
"""

from __future__ import annotations

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet run a cell (OWASP, "CSV Injection")."""

_BIDI_AND_SEPARATORS = (
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)

_VISIBLE = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))},
    **{ord(mark): f"\\u{ord(mark):04x}" for mark in _BIDI_AND_SEPARATORS},
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}

_ONE_LINE = {code: spelled for code, spelled in _VISIBLE.items() if code < 0xA0 or code in (0x2028, 0x2029)}

JSON_ESCAPES = {
    **{code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)},
    **{ord(mark): f"\\u{ord(mark):04x}" for mark in _BIDI_AND_SEPARATORS},
}
"""What JSON leaves as it is and a terminal acts upon; for `str.translate` on JSON text."""


def visible(text: str) -> str:
    """The text on one line with control characters, line separators and bidi controls spelled out."""
    return text if text.isascii() and text.isprintable() else text.translate(_VISIBLE)


def one_line(text: str) -> str:
    """The text with control characters and line separators spelled out; all else can be read back from it."""
    return text if text.isascii() and text.isprintable() else text.translate(_ONE_LINE)


def visible_lines(text: str) -> str:
    """Like `visible`, but line breaks stay: for our own messages of several lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


def guard_cell(text: str) -> str:
    """A CSV cell that no spreadsheet runs: an apostrophe in front of what begins like a formula.

    A text whose own apostrophes precede such a beginning gets one more, so that `unguard_cell`
    gives back exactly what went in.
    """
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text


def unguard_cell(text: str) -> str:
    """The text that `guard_cell` was given; any other cell as it is."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(FORMULA_STARTS) else text
