"""Numbers of requests, as arguments or from a file: one a line, or the column `number` of a list."""

from __future__ import annotations

import io
from collections.abc import Sequence

from seatctl.errors import Code, JsonValue, UsageError, refuse
from seatctl.rules.whole_numbers import MOST, whole_number


def typed_numbers(typed: Sequence[str]) -> list[int]:
    """The numbers given as arguments. Raises UsageError, which names all that are not numbers."""
    found = [(text, whole_number(text.strip(), MOST)) for text in typed]
    bad = [repr(text) for text, number in found if number is None]
    if bad:
        takes = "a whole number" if len(bad) == 1 else "whole numbers"
        raise UsageError(f"NUMBER takes {takes}; not {', '.join(bad)}", hint="seatctl requests list")
    return [number for _, number in found if number is not None]


def chosen_numbers(numbers: list[str] | None, source: str | None, *, everything: bool) -> list[int] | None:
    """The numbers meant; None stands for all. Exactly one way to say it must be used. Raises UsageError."""
    if (bool(numbers) + (source is not None) + everything) != 1:
        raise UsageError(
            "name requests by number, or --all, or a file with --from", hint="seatctl requests list"
        )
    if everything:
        return None
    return _read(source) if source is not None else typed_numbers(numbers or ())


def _read(source: str) -> list[int]:
    """The numbers of a file.

    Raises `bad_rows` with every bad line, `file_not_found`, `empty_file`, NoSuchColumn.
    """
    from seatctl.input.lines import open_bytes

    stream, name = open_bytes(source, None)
    with stream:
        data = stream.read()
    lines = data.decode("utf-8-sig", "replace").splitlines()
    first = next((line.strip() for line in lines if line.strip()), "")
    rows = list(enumerate(lines, 1)) if first.isdigit() else list(_column(source, data))
    good = [(line, text.strip()) for line, text in rows if text.strip()]
    bad: list[JsonValue] = [
        {"line": line, "error": f"{text!r} is not the number of a request"}
        for line, text in good
        if not _is_number(text)
    ]
    if bad:
        raise refuse(
            Code.BAD_ROWS,
            f"{len(bad)} of {len(good)} lines of {name} hold no number of a request",
            hint="to see them: seatctl requests list -q",
            data={"rows": bad},
        )
    return [int(text) for _, text in good]


def _column(source: str, data: bytes) -> list[tuple[int, str]]:
    from seatctl.input.tables import open_table

    with open_table(
        "-" if source == "-" else source, ("number",), needs=("number",), stdin=io.BytesIO(data)
    ) as table:
        return [(row.line, row.values[0] if row.problem is None else row.problem) for row in table]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12
