"""Makes typed text harmless where it is printed. Pure functions on one cell.

Terminals act on control characters, bidirectional overrides mislead readers, spreadsheets run formulas.
`input/tables.py` parses files, `output/emit.py` prints.
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
"""Characters that JSON leaves as they are but terminals act upon; for `str.translate` on JSON text."""


def visible(text: str) -> str:
    """Return the text on one line, with control characters, line separators and bidi controls spelled out."""
    return text if text.isascii() and text.isprintable() else text.translate(_VISIBLE)


def one_line(text: str) -> str:
    """Return the text with control characters and line separators spelled out; it can be read back."""
    return text if text.isascii() and text.isprintable() else text.translate(_ONE_LINE)


def visible_lines(text: str) -> str:
    """Like `visible`, but keep line breaks: for our own messages of several lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


def guard_cell(text: str) -> str:
    """Return a CSV cell that no spreadsheet runs: text that begins like a formula gets an apostrophe.

    Text that already has apostrophes before such a beginning gets one more, so that `unguard_cell` returns
    exactly what went in.
    """
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_STARTS) else text


def unguard_cell(text: str) -> str:
    """Return the text that `guard_cell` was given; any other cell unchanged."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(FORMULA_STARTS) else text
