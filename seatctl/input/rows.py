"""One row of a file, as every format gives it."""

from __future__ import annotations

from typing import NamedTuple

NUL = "it has a NUL byte, or is too long"


class FileRow(NamedTuple):
    """`line` counts from 1; `values` are in the order of the fields asked for, "" where none was given."""

    line: int
    values: tuple[str, ...]
    problem: str | None
