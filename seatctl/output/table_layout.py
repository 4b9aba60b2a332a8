"""The widths of a table's columns, and how wider cells are folded. Nothing is printed here.

Rich would shrink all columns alike and break headings and addresses in the middle of a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, chop_cells

GAP = 2
"""Blanks between two columns."""
_READABLE = 24
"""Sentences are not made narrower than this while another column can shrink."""
_NARROWEST = 10


class Cells(NamedTuple):
    """One column: its title, its cells, and whether they may be folded."""

    title: str
    texts: Sequence[str]
    foldable: bool


def spanned(column_widths: Sequence[int]) -> int:
    """Return the width of a table with columns of these widths."""
    return sum(column_widths) + GAP * (len(column_widths) - 1)


def widths(columns: Sequence[Cells], room: int) -> list[int]:
    """Return the width of each column within `room`: sentences shrink first, then addresses, then any text.

    The sum may exceed `room`: numbers and times are never cut.
    """
    result = [max(map(cell_len, (column.title, *column.texts))) for column in columns]
    for least in (_sentence, _address, _anything):
        floors = [least(column) for column in columns]
        while spanned(result) > room:
            wide = [at for at, width in enumerate(result) if width > floors[at]]
            if not wide:
                break
            result[max(wide, key=result.__getitem__)] -= 1
    return result


def folded(text: str, width: int) -> str:
    """Return the text in lines of at most `width`, broken between words, else in addresses, else anywhere."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
            continue
        pieces = [word] if cell_len(word) <= width else _pieces(word)
        lines += [""] if lines[-1] else []
        for piece in pieces:
            if cell_len(lines[-1] + piece) <= width:
                lines[-1] += piece
            else:
                lines += chop_cells(piece, width)
    return "\n".join(line for line in lines if line)


def _sentence(column: Cells) -> int:
    """Sentences are folded between words, as long as they stay readable."""
    return _least(column, lambda text: min(cell_len(text), max(_READABLE, _longest(text.split(" ")))))


def _address(column: Cells) -> int:
    """Addresses and paths are folded after an @, a dot or a slash."""
    return _least(column, lambda text: _longest(_pieces(text)))


def _anything(column: Cells) -> int:
    return _least(column, lambda text: min(_NARROWEST, cell_len(text)))


def _least(column: Cells, text_width: Callable[[str], int]) -> int:
    measure = text_width if column.foldable else cell_len
    return max([_longest(column.title.split(" ")), *map(measure, column.texts)])


def _longest(parts: Sequence[str]) -> int:
    return max(map(cell_len, parts), default=0)


def _pieces(text: str) -> list[str]:
    """Split into words, and addresses and paths into their parts, each with the mark that ends it."""
    return re.findall(r"[^\s@./]*[@./]|[^\s@./]+", text)
