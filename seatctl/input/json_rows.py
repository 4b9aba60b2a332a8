"""Rows of JSON: one object per line, or an array of objects, as -o jsonl and -o json print them.

Both are streamed. seatctl/input/tables.py handles files and formats.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from seatctl.input.columns import NUL, FileRow, WantedColumns, column_key

MAX_OBJECT = 1 << 20
"""Most characters of an object in an array that spans several lines."""

_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')


class _Found(NamedTuple):
    """An object with the line it begins on, or what is wrong there."""

    line: int
    values: dict[str, object]
    problem: str | None


def json_rows(
    lines: Iterable[str], wanted: WantedColumns, *, array: bool
) -> tuple[Iterator[FileRow], list[str]]:
    """Return the rows, and the unused keys of the first object. Raises NoSuchColumn, UsageError."""
    objects = _numbered(_of_array(lines)) if array else _of_lines(lines)
    first = next(objects, None)
    if first is None:
        return iter(()), []
    ignored = [] if first.problem else wanted.columns(list(first.values))[1]
    keys = [column_key(wanted.mapping.get(field, field)) for field in wanted.fields]
    return _rows(chain([first], objects), keys), ignored


def _of_lines(lines: Iterable[str]) -> Iterator[_Found]:
    for line, text in enumerate(lines, start=1):
        if text.strip():
            yield _Found(line, *_object(text))


def _object(text: str) -> tuple[dict[str, object], str | None]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, f"it is not JSON: {error}"
    if not isinstance(value, dict):
        return {}, "it is not a JSON object"
    return value, None


def _of_array(lines: Iterable[str]) -> Iterator[_Found]:
    """Yield the objects of an array. If the array is broken, its last row says so."""
    decoder, number = json.JSONDecoder(), 0
    between, closed = "[", False
    for number, text in _whole(lines):
        rest = text.lstrip()
        while rest:
            if closed:
                yield _Found(number, {}, "there is something after the end of the array")
                return
            if between and rest[0] in between:
                closed = rest[0] == "]"
                # After [ comes an object or the end; after a comma an object.
                between, rest = ("]" if rest[0] == "[" else ""), rest[1:].lstrip()
                continue
            if between == ",]":
                yield _Found(number, {}, "it is not JSON: a comma is missing between two objects")
                return
            try:
                value, end = decoder.raw_decode(rest)
            except (ValueError, RecursionError) as error:
                yield _Found(number, {}, f"it is not JSON: {error}")
                return
            problem = None if isinstance(value, dict) else "it is not a JSON object"
            yield _Found(number, value if isinstance(value, dict) else {}, problem)
            between, rest = ",]", rest[end:].lstrip()
    if not closed:
        yield _Found(number, {}, "the array is not closed: the file is incomplete")


def _whole(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Join as many lines as it takes to close every brace; yield them with the number of the first."""
    pending: list[str] = []
    begins, size, depth = 0, 0, 0
    for number, line in enumerate(lines, start=1):
        begins = begins if pending else number
        pending.append(line)
        size += len(line)
        outside = _STRING.sub("", line) if '"' in line else line
        depth += outside.count("{") - outside.count("}")
        if depth <= 0 or size > MAX_OBJECT:
            yield begins, "".join(pending)
            pending, size, depth = [], 0, 0
    if pending:
        yield begins, "".join(pending)


def _numbered(objects: Iterator[_Found]) -> Iterator[_Found]:
    """Give every object its own line number: further objects on one line count on."""
    last = 0
    for item in objects:
        last = max(item.line, last + 1)
        yield item._replace(line=last)


def _rows(objects: Iterable[_Found], keys: Sequence[str]) -> Iterator[FileRow]:
    for line, item, problem in objects:
        if problem is not None:
            yield FileRow(line, (), problem)
            continue
        values: dict[str, str] = {}
        problems = [wrong for key, value in item.items() if (wrong := _keep(values, keys, key, value))]
        row = tuple(values.get(key, "") for key in keys)
        yield FileRow(line, row, "; ".join(problems) or (NUL if "\0" in "".join(row) else None))


def _keep(values: dict[str, str], keys: Sequence[str], key: str, value: object) -> str | None:
    """Store a value of an object in `values`; return what is wrong with it, or None."""
    column = column_key(key)
    if column not in keys:
        return None
    if column in values:
        return f"it has {key!r} twice"
    if isinstance(value, dict | list | bool) or (isinstance(value, float) and not math.isfinite(value)):
        return f"{key!r} is not text"
    text = "" if value is None else str(value).strip()
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        return f"{key!r} has half a surrogate pair"
    values[column] = text
    return None
