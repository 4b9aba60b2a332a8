"""Files that describe a desired state: CSV, TSV, JSON Lines through input/tables.py, and TOML.

[subscriptions]
design = ["ann@example.com", "bob@example.com"]

[[seats]]
email = "cyd@example.com"
subscription = "design"
until = 2027-01-31
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime

from seatctl.errors import Code, UsageError, refuse
from seatctl.rules.desired_state import FIELDS, DesiredRow, desired
from seatctl.rules.toml_lines import Path, line_of, toml_lines

_MOST_LOOKED_AT = 1 << 16
_MOST_BYTES = 16 << 20
"""A TOML file is read whole, so that it is for what people write; exports are CSV or JSON Lines."""


@contextmanager
def rows_of(
    source: str, subscriptions: Sequence[str], mapping: Mapping[str, str]
) -> Iterator[tuple[Iterator[DesiredRow], tuple[str, ...]]]:
    """The rows of a file, judged, and the subscriptions that are named besides: here, or in a TOML list.

    One of `subscriptions` alone is also that of the rows which name none.
    Raises `file_not_found`, `file_not_readable`, `empty_file`, NoSuchColumn, `bad_toml`, UsageError.
    """
    also, default = tuple(subscriptions), subscriptions[0] if len(subscriptions) == 1 else None
    if source.lower().endswith(".toml"):
        if mapping:
            raise UsageError("--map is for files with columns", hint="rename the keys in the TOML file")
        found, lines = _toml(source)
        named = tuple(name for name in _table(found, "subscriptions"))
        yield desired(_toml_rows(found, lines), default), (*also, *named)
        return
    from seatctl.input.tables import open_table

    needs = ("email",) if default else ("email", "subscription")
    with open_table(source, FIELDS, needs=needs, mapping=mapping, may_be_empty=True) as table:
        yield desired(table, default), also


def _toml(source: str) -> tuple[dict[str, object], Mapping[Path, int]]:
    import tomllib

    from seatctl.input.file_kinds import not_text
    from seatctl.input.lines import open_bytes

    stream, name = open_bytes(source, None)
    with stream:
        data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise refuse(
            Code.BAD_TOML,
            f"{name} is too long for TOML",
            hint="write CSV or JSON Lines, which are read as a stream",
        )
    what = not_text(data[:_MOST_LOOKED_AT], name)
    if what is not None:
        raise refuse(Code.NOT_TEXT, what[0], hint=what[1], data={"file": name})
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        return tomllib.loads(text), toml_lines(text)
    except (ValueError, RecursionError) as error:  # not UTF-8, a number of over 4,300 digits
        raise refuse(
            Code.BAD_TOML, f"{name} cannot be read: {error}", hint="to see one: seatctl seats apply --help"
        ) from None


def _table(found: dict[str, object], key: str) -> dict[str, object]:
    unknown = [name for name in found if name not in {"subscriptions", "seats"}]
    value = found.get(key, {})
    if unknown or not isinstance(value, dict):
        wrong = f"it has {unknown[0]!r}" if unknown else f"{key!r} is not a table"
        raise refuse(
            Code.BAD_TOML,
            f"{wrong}; it may have [subscriptions] with lists of e-mails, and [[seats]]",
            hint="write design = ['ann@example.com'] under [subscriptions]",
        )
    return value


def _toml_rows(
    found: dict[str, object], lines: Mapping[Path, int]
) -> Iterator[tuple[int, tuple[str, ...], str | None]]:
    """Its people as rows; the number of a row is its line in the file."""
    for name, people in _table(found, "subscriptions").items():
        for n, person in enumerate(people if isinstance(people, list) else [people]):
            place = line_of(lines, "subscriptions", name, n) or 0
            wrong = None if isinstance(person, str) else f"under {name!r} stands no list of e-mails"
            yield place, (str(person), name, "", "", ""), wrong
    seats = found.get("seats", [])
    for n, entry in enumerate(seats if isinstance(seats, list) else [seats]):
        yield _toml_row(line_of(lines, "seats", n) or 0, entry)


def _toml_row(place: int, entry: object) -> tuple[int, tuple[str, ...], str | None]:
    if not isinstance(entry, dict):
        return place, (), "[[seats]] is not a table"
    wrong = [f"it has {key!r}, which means nothing here" for key in entry if key not in FIELDS]
    values = []
    for field in FIELDS:
        value = entry.get(field, "")
        if isinstance(value, (date, datetime)):
            value = value.isoformat()
        elif not isinstance(value, str):
            wrong.append(f"{field!r} is not text")
            value = ""
        values.append(value.strip())
    return place, tuple(values), "; ".join(wrong) or None
