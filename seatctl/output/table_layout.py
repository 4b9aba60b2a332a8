"""How wide the columns of a table are, and where a cell that is wider goes on. Nothing is printed here.

Rich would shrink all columns alike and break a heading or an address in the middle of a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, chop_cells

GAP = 2
"""Blanks between two columns."""
_READABLE = 24
"""Sentences are not made narrower than this while something else can give way."""
_NARROWEST = 10


class Cells(NamedTuple):
    """One column: its title, its cells, and whether they may go over several lines."""

    title: str
    texts: Sequence[str]
    foldable: bool


def spanned(found: Sequence[int]) -> int:
    """How wide a table of columns of these widths is."""
    return sum(found) + GAP * (len(found) - 1)


def widths(columns: Sequence[Cells], room: int) -> list[int]:
    """The width of each column within `room`: sentences give way first, then addresses, then any text.

    More than `room` where even that does not do: numbers and times are never cut.
    """
    found = [max(map(cell_len, (column.title, *column.texts))) for column in columns]
    for least in (_sentence, _address, _anything):
        floors = [least(column) for column in columns]
        while spanned(found) > room:
            wide = [at for at, width in enumerate(found) if width > floors[at]]
            if not wide:
                break
            found[max(wide, key=found.__getitem__)] -= 1
    return found


def folded(text: str, width: int) -> str:
    """The text in lines of at most `width`: broken between words, then within addresses, then anywhere."""
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
    """Sentences go on after any word, as long as they stay readable."""
    return _least(column, lambda text: min(cell_len(text), max(_READABLE, _longest(text.split(" ")))))


def _address(column: Cells) -> int:
    """Addresses and paths go on after an @, a dot or a slash."""
    return _least(column, lambda text: _longest(_pieces(text)))


def _anything(column: Cells) -> int:
    return _least(column, lambda text: min(_NARROWEST, cell_len(text)))


def _least(column: Cells, text_width: Callable[[str], int]) -> int:
    measure = text_width if column.foldable else cell_len
    return max([_longest(column.title.split(" ")), *map(measure, column.texts)])


def _longest(parts: Sequence[str]) -> int:
    return max(map(cell_len, parts), default=0)


def _pieces(text: str) -> list[str]:
    """Words, and addresses and paths in the parts they are made of, each with the mark that ends it."""
    return re.findall(r"[^\s@./]*[@./]|[^\s@./]+", text)
