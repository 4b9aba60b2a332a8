"""The rows of a file, and its columns: matched regardless of case, renamed by `--map`, suggested if missing.

seatctl/input/tables.py reads the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from seatctl.errors import BadInput, Code, JsonValue, UsageError
from seatctl.input.file_kinds import SEPARATORS
from seatctl.rules import typed_values

_SAME_COLUMN = {"e_mail": "email", "email_address": "email", "e_mail_address": "email", "group_name": "group"}

_LONGEST_NAME = 60
_MOST_LISTED = 300
"""Characters of a header that a message repeats."""


NUL = "it has a NUL byte, or is too long"


class FileRow(NamedTuple):
    """`line` counts from 1; `values` are in the order of the requested fields, "" for missing ones."""

    line: int
    values: tuple[str, ...]
    problem: str | None


class NoSuchColumn(BadInput):
    """A required column is missing, or the file has it twice."""

    kind = Code.NO_SUCH_COLUMN


def renames(given: Iterable[str]) -> dict[str, str]:
    """Return `--map field=column` as {field: column}. Raises UsageError for any other form."""
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
    return typed_values.pairs("--map", pairs)


class WantedColumns(NamedTuple):
    """The fields to read from `source`, which of them are required, and the columns that `--map` names."""

    source: str
    fields: tuple[str, ...]
    needs: tuple[str, ...]
    mapping: dict[str, str]

    def columns(self, header: Sequence[str]) -> tuple[list[int], list[str]]:
        """Return for each field the index of its column, or -1; and the columns that are not used."""
        unread = [f"{field}=…" for field in self.mapping if field not in self.fields]
        if unread:
            raise UsageError(
                f"--map {', '.join(unread)} names a field that this command does not read",
                hint=f"map one of {', '.join(self.fields)}",
            )
        indexes = [self._index(field, header) for field in self.fields]
        return indexes, [name for at, name in enumerate(header) if at not in indexes and name.strip()]

    def _index(self, field: str, header: Sequence[str]) -> int:
        given = self.mapping.get(field)
        looked_for = field if given is None else column_key(given)
        # A column that --map gives to one field is not read as another.
        taken = () if given else {column_key(name) for name in self.mapping.values()}
        at = [
            n for n, name in enumerate(header) if column_key(name) == looked_for and looked_for not in taken
        ]
        if len(at) > 1:
            raise NoSuchColumn(
                f"{self.source} has the column {header[at[0]]!r} {len(at)} times",
                hint="leave one of them, or give it another name",
                data={"columns": list(header)},
            )
        if not at and (given is not None or field in self.needs):
            raise self.missing(field, header)
        return at[0] if at else -1

    def missing(self, field: str, header: Sequence[str]) -> NoSuchColumn:
        """Return the error for a missing column, with the columns that the file has."""
        wanted = self.mapping.get(field, field)
        listed = _shortened(", ".join(name for name in header if name.strip()))
        data: dict[str, JsonValue] = {"column": wanted, "columns": list(header)}
        if "".join(header).startswith(("{", '["', "[{")):
            problem = "contains JSON, but its name does not say so"
            hint = "rename it to end in .jsonl or .json"
        elif field == "email" and any("@" in name for name in header):
            # Mapping that "column" would silently skip the first person.
            problem = f"has no header: its first line is {listed}"
            hint = "add a first line that names the columns, such as: email"
        elif mark := self._other_separator(column_key(wanted), header):
            problem = (
                f"has no column {wanted!r}; its fields seem to be separated by {_spelled(mark)}: {listed}"
            )
            hint = "separate fields with commas, tabs or semicolons; in a .tsv file with tabs only"
            data["separator"] = mark
        else:
            problem = f"has no column {wanted!r}; it has: {listed}"
            hint = f"say which column to use: --map {field}={self._likely(field, header)}"
        return NoSuchColumn(f"{self.source} {problem}", hint=hint, data=data)

    def _likely(self, field: str, header: Sequence[str]) -> str:
        """Return the column that was probably meant, quoted for a shell; COLUMN if none is similar."""
        from shlex import quote

        like = "mail" if field == "email" else field
        names = (name for name in header if like in name.casefold() and _is_name(name))
        return quote(next(names, "COLUMN"))

    def _other_separator(self, wanted: str, header: Sequence[str]) -> str | None:
        """Return the separator of the first line's fields if another one was assumed, else None."""
        for mark in SEPARATORS:
            parts = [name.split(mark) for name in header if mark in name]
            if any(column_key(part) == wanted for split in parts for part in split) or (
                parts and len(header) == 1
            ):
                return mark
        words = header[0].split() if len(header) == 1 else []
        if len(words) == 1 and any(column_key(word) in self.fields for word in words[0].split(":")[1:]):
            return ":"
        return " " if len(words) > 1 and all(column_key(word) in self.fields for word in words) else None


def _is_name(text: str) -> bool:
    """Return whether a text can be typed as a column's name: not a whole line, no invisible characters."""
    return len(text) <= _LONGEST_NAME and text.isprintable() and not any(mark in text for mark in SEPARATORS)


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_LISTED else f"{text[:_MOST_LISTED]}…"


def _spelled(mark: str) -> str:
    return {"\t": "tabs", " ": "spaces"}.get(mark) or (
        repr(mark) if mark.isprintable() else f"U+{ord(mark):04X}"
    )


def column_key(name: str) -> str:
    """Return the text by which two column names are the same.

    Case, spaces, `-` and `_` do not count; `e-mail` is `email`.
    """
    key = "_".join(name.replace("-", " ").replace("_", " ").casefold().split())
    return _SAME_COLUMN.get(key, key)
