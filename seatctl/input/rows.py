"""One row of a file, whatever its format."""

from __future__ import annotations

from typing import NamedTuple

NUL = "it has a NUL byte, or is too long"


class FileRow(NamedTuple):
    """`line` counts from 1; `values` are in the order of the requested fields, "" for missing ones."""

    line: int
    values: tuple[str, ...]
    problem: str | None
