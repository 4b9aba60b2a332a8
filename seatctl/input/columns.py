"""The columns of a file: found whatever their case, renamed by `--map`, missed with the names that are there.

Reading the rows is seatctl/input/tables.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from seatctl.errors import BadInput, Code, JsonValue, UsageError
from seatctl.input.file_kinds import SEPARATORS
from seatctl.rules import repeated_options

_SAME_COLUMN = {"e_mail": "email", "email_address": "email", "e_mail_address": "email", "group_name": "group"}

_LONGEST_NAME = 60
_MOST_LISTED = 300
"""Characters of a header that a message repeats."""


class NoSuchColumn(BadInput):
    """A column that is needed is not there, or stands there twice."""

    kind = Code.NO_SUCH_COLUMN


def renames(given: Iterable[str]) -> dict[str, str]:
    """`--map field=column` as {field: column}. Raises UsageError for any other form."""
    split = [(text, text.partition("=")) for text in given]
    bad = [text for text, (field, _, column) in split if not field.strip() or not column.strip()]
    if bad:
        named = ", ".join(map(repr, bad))
        raise UsageError(
            f"--map {named} does not name a column"
            if len(bad) == 1
            else f"--map {named} do not name columns",
            hint="write --map email='Work Email'",
        )
    pairs = [(column_key(field), column.strip()) for _, (field, _, column) in split]
    return repeated_options.pairs("--map", pairs)


class WantedColumns(NamedTuple):
    """Which fields are asked of `source`, which of them it must have, which columns `--map` gives."""

    source: str
    fields: tuple[str, ...]
    needs: tuple[str, ...]
    mapping: dict[str, str]

    def columns(self, found: Sequence[str]) -> tuple[list[int], list[str]]:
        """For each field the index of its column, or -1; and the columns that are not used."""
        unread = [f"{field}=…" for field in self.mapping if field not in self.fields]
        if unread:
            raise UsageError(
                f"--map {', '.join(unread)} names no column that is read here",
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
        wanted = self.mapping.get(field, field)
        listed = _shortened(", ".join(name for name in found if name.strip()))
        data: dict[str, JsonValue] = {"column": wanted, "columns": list(found)}
        if "".join(found).startswith(("{", '["', "[{")):
            return NoSuchColumn(
                f"{self.source} holds JSON, but its name says otherwise",
                hint="rename it to end in .jsonl or .json",
                data=data,
            )
        if field == "email" and any("@" in name for name in found):
            # To map that "column" would silently leave out the first person.
            return NoSuchColumn(
                f"{self.source} names no columns: its first line is {listed}",
                hint="put a line above it that names them, such as: email",
                data=data,
            )
        mark = self._other_separator(column_key(wanted), found)
        if mark is not None:
            return NoSuchColumn(
                f"{self.source} has no column {wanted!r}; its fields seem to be separated by"
                f" {_spelled(mark)}: {listed}",
                hint="separate them with commas, tabs or semicolons; in a .tsv file with tabs only",
                data={**data, "separator": mark},
            )
        return NoSuchColumn(
            f"{self.source} has no column {wanted!r}; it has: {listed}",
            hint=f"name the one that holds it: --map {field}={self._likely(field, found)}",
            data=data,
        )

    def _likely(self, field: str, found: Sequence[str]) -> str:
        """The column that a person may have meant, as a word to type; COLUMN if none is like it."""
        from shlex import quote

        like = "mail" if field == "email" else field
        names = (name for name in found if like in name.casefold() and _is_name(name))
        return quote(next(names, "COLUMN"))

    def _other_separator(self, wanted: str, found: Sequence[str]) -> str | None:
        """What separates the fields of the first line if it was read with another separator, else None."""
        for mark in SEPARATORS:
            parts = [name.split(mark) for name in found if mark in name]
            if any(column_key(part) == wanted for split in parts for part in split) or (
                parts and len(found) == 1
            ):
                return mark
        words = found[0].split() if len(found) == 1 else []
        if len(words) == 1 and any(column_key(word) in self.fields for word in words[0].split(":")[1:]):
            return ":"
        return " " if len(words) > 1 and all(column_key(word) in self.fields for word in words) else None


def _is_name(text: str) -> bool:
    """Whether a text can be typed as the name of a column: not a whole line, nothing that cannot be seen."""
    return len(text) <= _LONGEST_NAME and text.isprintable() and not any(mark in text for mark in SEPARATORS)


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_LISTED else f"{text[:_MOST_LISTED]}…"


def _spelled(mark: str) -> str:
    return {"\t": "tabs", " ": "spaces"}.get(mark) or (
        repr(mark) if mark.isprintable() else f"U+{ord(mark):04X}"
    )


def column_key(name: str) -> str:
    """What makes two column names the same: case, spaces, `-` and `_` do not count; `e-mail` is `email`."""
    key = "_".join(name.replace("-", " ").replace("_", " ").casefold().split())
    return _SAME_COLUMN.get(key, key)
