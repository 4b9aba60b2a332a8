"""The columns of a file: found whatever their case, renamed by `--map`, missed with the names that are there.

Reading the rows is seatctl/tabular.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from seatctl.errors import BadInput, JsonValue, UsageError
from seatctl.rules import repeated

_SAME_COLUMN = {"e_mail": "email", "email_address": "email", "e_mail_address": "email", "group_name": "group"}


class NoSuchColumn(BadInput):
    """A column that is needed is not there, or stands there twice."""

    code = "no_such_column"


def renames(given: Iterable[str]) -> dict[str, str]:
    """`--map field=column` as {field: column}. Raises UsageError for any other form."""
    pairs: list[tuple[str, str]] = []
    for text in given:
        field, equals, column = text.partition("=")
        if not equals or not field.strip() or not column.strip():
            raise UsageError(f"--map {text!r} does not name a column", hint="write --map email='Work Email'")
        pairs.append((column_key(field), column.strip()))
    return repeated.pairs("--map", pairs)


class Wanted(NamedTuple):
    """Which fields are asked of `source`, which of them it must have, which columns `--map` gives."""

    source: str
    fields: tuple[str, ...]
    needs: tuple[str, ...]
    mapping: dict[str, str]

    def columns(self, found: Sequence[str]) -> tuple[list[int], list[str]]:
        """For each field the index of its column, or -1; and the columns that are not used."""
        for field in self.mapping:
            if field not in self.fields:
                raise UsageError(
                    f"--map {field}=… names no column that is read here",
                    hint=f"map one of {', '.join(self.fields)}",
                )
        indexes = [self._index(field, found) for field in self.fields]
        return indexes, [name for at, name in enumerate(found) if at not in indexes and name.strip()]

    def _index(self, field: str, found: Sequence[str]) -> int:
        given = self.mapping.get(field)
        looked_for = field if given is None else column_key(given)
        # A column that --map gives to one field is not read as another.
        taken = () if given else {column_key(name) for name in self.mapping.values()}
        at = [n for n, name in enumerate(found) if column_key(name) == looked_for and looked_for not in taken]
        if len(at) > 1:
            raise NoSuchColumn(
                f"{self.source} has the column {found[at[0]]!r} {len(at)} times",
                hint="leave one of them, or give it another name",
                data={"columns": list(found)},
            )
        if not at and (given is not None or field in self.needs):
            raise self.missing(field, found)
        return at[0] if at else -1

    def missing(self, field: str, found: Sequence[str]) -> NoSuchColumn:
        """The error for a column that is not there, with the columns that are."""
        from shlex import quote

        wanted = self.mapping.get(field, field)
        listed = ", ".join(name for name in found if name.strip())
        data: dict[str, JsonValue] = {"column": wanted, "columns": list(found)}
        if field == "email" and any("@" in name for name in found):
            # To map that "column" would silently leave out the first person.
            return NoSuchColumn(
                f"{self.source} names no columns: its first line is {listed}",
                hint="put a line above it that names them, such as: email",
                data=data,
            )
        like = next((name for name in found if "mail" in name.casefold()), None) if field == "email" else None
        column = like or next((name for name in found if name.strip()), "Work Email")
        return NoSuchColumn(
            f"{self.source} has no column {wanted!r}; it has: {listed}",
            hint=f"name the one that holds it: --map {field}={quote(column)}",
            data=data,
        )


def column_key(name: str) -> str:
    """What makes two column names the same: case, spaces, `-` and `_` do not count; `e-mail` is `email`."""
    key = "_".join(name.replace("-", " ").replace("_", " ").casefold().split())
    return _SAME_COLUMN.get(key, key)
