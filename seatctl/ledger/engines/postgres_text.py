"""Parameter markers, values and rows: how statements are written for PostgreSQL, and how results are read.

Values are quoted by psycopg, for the encoding and the settings of the connection. Statements of one batch are
sent as one text: that is the only protocol in which several of them cost one round trip and pass through
PgBouncer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from seatctl.ledger.engines.port import Params, SqlValue

if TYPE_CHECKING:
    from psycopg.abc import Buffer, Transformer
    from psycopg.adapt import AdaptersMap

_MARKER = re.compile(
    r"""(?P<skipped>'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | ::\w+)
    | :(?P<name>[A-Za-z_]\w*) | (?P<mark>\?)""",
    re.VERBOSE,
)
_KEPT_STATEMENTS = 1000


@lru_cache(_KEPT_STATEMENTS)
def _split(sql: str) -> tuple[tuple[str, ...], tuple[str | int, ...]]:
    """Return the texts around the markers of a statement, and the name or position of each marker."""
    texts, markers, start, position = [], list[str | int](), 0, 0
    for found in _MARKER.finditer(sql):
        if found["skipped"]:
            continue
        texts.append(sql[start : found.start()])
        start = found.end()
        if found["mark"]:
            markers.append(position)
            position += 1
        else:
            markers.append(found["name"])
    return (*texts, sql[start:]), tuple(markers)


def written(sql: str, params: Params, transformer: Transformer) -> bytes:
    """Return the statement with its parameters as literals."""
    if not params:
        return sql.encode()
    texts, markers = _split(sql)
    parts = [texts[0].encode()]
    for text, value in zip(texts[1:], _values(markers, params), strict=True):
        parts += (bytes(transformer.as_literal(value)), text.encode())
    return b"".join(parts)


def _values(markers: Sequence[str | int], params: Params) -> Sequence[SqlValue]:
    """Return the value of each marker."""
    if isinstance(params, Mapping):
        return [params[str(marker)] for marker in markers]
    if len(params) != len(markers):
        raise ValueError(f"{len(markers)} parameters are needed, {len(params)} were given")
    return params


class PostgresRow(tuple[Any, ...]):
    """A result row; subclasses know the columns of one query."""

    __slots__ = ()

    columns: tuple[str, ...] = ()
    positions: Mapping[str, int] = {}

    def __getitem__(self, key: Any, /) -> Any:
        return tuple.__getitem__(self, self.positions[key] if type(key) is str else key)

    def keys(self) -> Sequence[str]:
        """Return the column names in order."""
        return self.columns


@lru_cache(_KEPT_STATEMENTS)
def row_type(names: tuple[str, ...]) -> type[PostgresRow]:
    """Return the class of rows with these columns. Of two columns of one name, the first one counts."""
    positions = {name: position for position, name in reversed(list(enumerate(names)))}
    return type("Row", (PostgresRow,), {"__slots__": (), "columns": names, "positions": positions})


def adapt(adapters: AdaptersMap) -> None:
    """Let values be as in SQLite: booleans are 0 and 1, and sums are integers."""
    from psycopg.adapt import Dumper, Loader

    class Flag(Dumper):
        oid = 20

        def dump(self, obj: Any) -> Buffer | None:
            return b"1" if obj else b"0"

        def quote(self, obj: Any) -> Buffer:
            return b"1" if obj else b"0"

    class LoadedFlag(Loader):
        def load(self, data: Buffer) -> int:
            return int(bytes(data) == b"t")

    class LoadedNumber(Loader):
        def load(self, data: Buffer) -> int | float:
            text = bytes(data)
            return int(text) if text.removeprefix(b"-").isdigit() else float(text)

    adapters.register_dumper(bool, Flag)
    adapters.register_loader("bool", LoadedFlag)
    adapters.register_loader("numeric", LoadedNumber)
