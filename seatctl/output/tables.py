"""Tables for people: rendered to text with Rich, local money, relative times. Nothing is printed here.

Imported only for a table or Markdown: loading Rich and Babel takes longer than the rest of a command.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING

from seatctl.errors import JsonValue
from seatctl.models.call import parse_time
from seatctl.models.money import WHOLE_HUNDREDS, exponent, format_money
from seatctl.models.report import Record
from seatctl.output.style import Column, Style, plain_cell
from seatctl.rules.terminal_text import visible, visible_lines

if TYPE_CHECKING:
    from babel.core import Locale
    from rich.console import Console, RenderableType

UNBOUNDED = 10_000
"""The width of a table that is not written to a terminal: nothing is folded."""


def render_list(
    style: Style, records: Sequence[Record], columns: Sequence[Column], *, handle: str | None = None
) -> str:
    """Return a table of records, one line each if the terminal is wide enough; "" for no records.

    The column `handle` is never folded: people copy it into the next command. If folding is not enough, each
    record becomes a page, because the terminal would break the lines anywhere.
    """
    if not records:
        return ""
    from rich.table import Table
    from rich.text import Text

    from seatctl.output.table_layout import GAP, Cells, folded, spanned, widths

    def laid_out(column: Column) -> Cells:
        texts = [cell(style, record, column) for record in records]
        foldable = not _is_numeric(column, records) and column.kind != "time" and column.key != handle
        return Cells(column.title if style.header else "", texts, foldable)

    width, shown = _width(style), _shown(style, records, columns)
    cells = [laid_out(column) for column in shown]
    while spanned(room := widths(cells, width)) > width:
        spare = [at for at, column in enumerate(shown) if column.wide and not style.fields]
        if not spare:
            break
        del shown[spare[-1]], cells[spare[-1]]
    if style.header and spanned(room) > width:
        return "\n".join(render_one(style, record, columns) for record in records)
    table = Table(
        box=None, pad_edge=False, show_header=style.header, header_style="bold", padding=(0, GAP, 0, 0)
    )
    for column, column_cells, width in zip(shown, cells, room, strict=True):
        title = Text(folded(column_cells.title, width))
        table.add_column(
            title, justify="right" if _is_numeric(column, records) else "left", no_wrap=True, width=width
        )
    for texts in zip(*(column_cells.texts for column_cells in cells), strict=True):
        table.add_row(*(Text(folded(text, width)) for text, width in zip(texts, room, strict=True)))
    return _draw(style, table, UNBOUNDED)


def render_one(style: Style, record: Record, columns: Sequence[Column]) -> str:
    """Return one record as lines of title and value."""
    from rich.table import Table
    from rich.text import Text

    from seatctl.output.table_layout import GAP, folded

    shown = _shown(style, [record], columns)
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, GAP, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    room = max(1, _width(style) - max((len(column.title) for column in shown), default=0) - GAP)
    for column in shown:
        lines = _detail(style, record, column).split("\n")
        fitting = (line if len(line) * 2 <= room else folded(line, room) for line in lines)
        table.add_row(Text(column.title), Text("\n".join(fitting)))
    return _draw(style, table, _width(style))


def _shown(style: Style, records: Sequence[Record], columns: Sequence[Column]) -> list[Column]:
    """Return the columns of a table, without empty ones unless `--fields` names them."""
    shown = [column for column in columns if column.table]
    if style.fields:
        return shown
    shown = [column for column in shown if any(_tells(record.get(column.key)) for record in records)]
    return [column for column in shown if column.key != "currency"]  # amounts include it


def _is_numeric(column: Column, records: Sequence[Record]) -> bool:
    """Return whether the cells are numbers; `number` is text for an invoice."""
    values = (record.get(column.key) for record in records)
    return column.kind in {"integer", "money"} and not any(isinstance(value, str | list) for value in values)


def _tells(value: JsonValue) -> bool:
    return value not in (None, "", [])


def _detail(style: Style, record: Record, column: Column) -> str:
    """Return a cell of a single record, which has more room: a line per sentence, the exact time."""
    value, text = record.get(column.key), cell(style, record, column)
    if isinstance(value, list) and column.kind == "lines":
        return "\n".join(visible(plain_cell(item)) for item in value)
    if isinstance(value, str) and column.kind == "prose":
        return visible_lines(value.strip())
    if isinstance(value, str) and column.kind == "time" and text != value[: len(text)]:
        return f"{value[:10]} {value[11:16]} UTC ({text})"
    return text


def cell(style: Style, record: Record, column: Column) -> str:
    """Return the text of a cell for people, with control characters spelled out."""
    value = record.get(column.key)
    if not _tells(value):
        return "-"
    text = plain_cell(value)
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, int) and column.kind == "money":
        text = _money(style, value, record.get("currency"))
    elif isinstance(value, int) and column.kind == "integer":
        text = f"{value:,}"
    elif isinstance(value, str) and column.kind == "time" and style.terminal:
        text = relative_time(value, style.now())
    elif isinstance(value, list):
        text = ("; " if column.kind == "lines" else ", ").join(plain_cell(item) for item in value)
    elif isinstance(value, dict):
        text = ", ".join(f"{key}: {plain_cell(item)}" for key, item in value.items() if _tells(item))
    return visible(text)


def relative_time(text: str, now: datetime) -> str:
    """Return `2 days ago`, `in 3 weeks`, or the date if it is more than 60 days away.

    A text that is not a time is returned as it is.
    """
    try:
        moment = parse_time(text)
    except ValueError:
        return visible(text)
    distance = moment - now
    if abs(distance) > timedelta(days=60):
        return f"{moment:%Y-%m-%d}"
    amount = _span(abs(distance))
    if not amount:
        return "now"
    return f"in {amount}" if distance > timedelta() else f"{amount} ago"


def _span(distance: timedelta) -> str:
    seconds = int(distance.total_seconds())
    for name, size in (("week", 1_209_600), ("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = seconds // (604_800 if name == "week" else size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return ""


def _money(style: Style, amount: int, currency: JsonValue) -> str:
    if not isinstance(currency, str):
        return str(amount)
    if style.terminal:
        return local_money(amount, currency)
    return format_money(amount, currency)


def local_money(amount: int, currency: str) -> str:
    """Return minor units as the reader's locale writes them. Decimals are Stripe's; CLDR would round RSD."""
    from babel.numbers import get_currency_symbol, parse_pattern

    locale = _locale()
    code = currency.upper()
    digits = 0 if currency.lower() in WHOLE_HUNDREDS else exponent(currency)
    pattern = parse_pattern(locale.currency_formats["standard"].pattern)
    pattern.frac_prec = (digits, digits)
    number = Decimal(amount).scaleb(-exponent(currency))
    text = str(pattern.apply(number, locale, currency=code, currency_digits=False))
    symbol = get_currency_symbol(code, locale)
    # CLDR's currency spacing, which Babel omits: letters and digits must not touch.
    return text.replace(symbol, f"{symbol}\xa0") if _touches(text, symbol) else text


def _touches(text: str, symbol: str) -> bool:
    """Return whether a symbol that ends in a letter is right before a digit."""
    after = text.partition(symbol)[2][:1]
    return symbol[-1].isalpha() and after.isdigit()


def _locale() -> Locale:
    """Return the locale of LC_ALL, LC_MONETARY or LANG; American English if it is C or unknown."""
    from babel.core import Locale, UnknownLocaleError, default_locale

    try:
        locale = Locale.parse(default_locale("LC_MONETARY") or "en_US")
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en_US")
    return Locale.parse("en_US") if locale.variant == "POSIX" else locale


def _width(style: Style) -> int:
    """Return the maximal width of a table."""
    bounded = style.terminal or os.environ.get("COLUMNS", "").isdigit()
    return shutil.get_terminal_size().columns if bounded else UNBOUNDED


def _draw(style: Style, table: RenderableType, width: int) -> str:
    """Return the table as text without trailing blanks."""
    text = StringIO()
    _console(style, text, width).print(table)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _console(style: Style, text: StringIO, width: int) -> Console:
    from rich.console import Console

    return Console(
        file=text,
        width=width,
        force_terminal=style.color,
        color_system="standard" if style.color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
