"""Files that describe who should have a seat: CSV, TSV and JSON Lines through input/tables.py, and TOML.

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

_MAX_PROBED_BYTES = 1 << 16
"""How much of a TOML file is examined to tell whether it is text."""
_MAX_BYTES = 16 << 20
"""The size limit of a TOML file, which is read as a whole. For more rows there are CSV and JSON Lines."""


@contextmanager
def read_rows(
    source: str, subscriptions: Sequence[str], mapping: Mapping[str, str]
) -> Iterator[tuple[Iterator[DesiredRow], tuple[str, ...]]]:
    """Yield the checked rows of a file, and the subscriptions named by `subscriptions` or by a TOML list.

    If `subscriptions` is a single one, it is also the subscription of rows that name none.
    Raises `file_not_found`, `file_not_readable`, `empty_file`, NoSuchColumn, `bad_toml`, UsageError.
    """
    names, default = tuple(subscriptions), subscriptions[0] if len(subscriptions) == 1 else None
    if source.lower().endswith(".toml"):
        if mapping:
            raise UsageError("--map is for files with columns", hint="rename the keys in the TOML file")
        content, lines = _read_toml(source)
        listed = tuple(name for name in _table(content, "subscriptions"))
        yield desired(_toml_rows(content, lines), default), (*names, *listed)
        return
    from seatctl.input.tables import open_table

    needs = ("email",) if default else ("email", "subscription")
    with open_table(source, FIELDS, needs=needs, mapping=mapping, may_be_empty=True) as table:
        yield desired(table, default), names


def _read_toml(source: str) -> tuple[dict[str, object], Mapping[Path, int]]:
    import tomllib

    from seatctl.input.file_kinds import not_text
    from seatctl.input.lines import open_bytes

    stream, name = open_bytes(source, None)
    with stream:
        data = stream.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise refuse(
            Code.BAD_TOML,
            f"{name} is too long for TOML: the limit is {_MAX_BYTES >> 20} MB",
            hint="write CSV or JSON Lines, which are read as a stream",
        )
    problem = not_text(data[:_MAX_PROBED_BYTES], name)
    if problem is not None:
        raise refuse(Code.NOT_TEXT, problem[0], hint=problem[1], data={"file": name})
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        return tomllib.loads(text), toml_lines(text)
    except (ValueError, RecursionError) as error:  # not UTF-8, a number of over 4,300 digits
        raise refuse(
            Code.BAD_TOML,
            f"{name} is not valid TOML: {error}",
            hint="to see an example: seatctl seats apply --help",
        ) from None


def _table(content: dict[str, object], key: str) -> dict[str, object]:
    unknown = [name for name in content if name not in {"subscriptions", "seats"}]
    value = content.get(key, {})
    if unknown or not isinstance(value, dict):
        problem = f"the file has the key {unknown[0]!r}" if unknown else f"{key!r} is not a table"
        raise refuse(
            Code.BAD_TOML,
            f"{problem}; it may have [subscriptions] with lists of e-mails, and [[seats]]",
            hint="write design = ['ann@example.com'] under [subscriptions]",
        )
    return value


def _toml_rows(
    content: dict[str, object], lines: Mapping[Path, int]
) -> Iterator[tuple[int, tuple[str, ...], str | None]]:
    """Yield a row per person: its line in the file, its values, and its problem."""
    for name, people in _table(content, "subscriptions").items():
        for n, person in enumerate(people if isinstance(people, list) else [people]):
            line = line_of(lines, "subscriptions", name, n) or 0
            problem = None if isinstance(person, str) else f"{name!r} is not a list of e-mails"
            yield line, (str(person), name, "", "", ""), problem
    seats = content.get("seats", [])
    for n, entry in enumerate(seats if isinstance(seats, list) else [seats]):
        yield _toml_row(line_of(lines, "seats", n) or 0, entry)


def _toml_row(line: int, entry: object) -> tuple[int, tuple[str, ...], str | None]:
    if not isinstance(entry, dict):
        return line, (), "[[seats]] is not a table"
    problems = [f"unknown key {key!r}" for key in entry if key not in FIELDS]
    values = []
    for field in FIELDS:
        value = entry.get(field, "")
        if isinstance(value, (date, datetime)):
            value = value.isoformat()
        elif not isinstance(value, str):
            problems.append(f"{field!r} is not text")
            value = ""
        values.append(value.strip())
    return line, tuple(values), "; ".join(problems) or None
