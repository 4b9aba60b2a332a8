"""The line of each table, key and element of a TOML file, which `tomllib` does not report. Pure.

The text has been read by `tomllib`, so nothing is validated again.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The keys down to a value; a number is an index in a list, or in an array of [[tables]], from 0."""

_GAP: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING: Final = re.compile(
    "|".join((r'"""(?:\\.|[^\\])*?""""{0,2}', r"'''.*?''''{0,2}", r'"(?:\\.|[^"\\\n])*"', r"'[^'\n]*'")),
    re.DOTALL,
)
_KEY: Final = re.compile(r"""[ \t]*("(?:\\.|[^"\\\n])*"|'[^'\n]*'|[^\s."'=\]]+)[ \t]*""")
_SCALAR: Final = re.compile(r"[^,\]}\n#]*")


def toml_lines(text: str) -> Mapping[Path, int]:
    """Return the line, from 1, of everything in a valid TOML text."""
    return _Reader(text).read()


def line_of(lines: Mapping[Path, int], *path: str | int) -> int | None:
    """Return the line of a value, or of the nearest table around it; None if there is neither."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._found: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}
        """How many there are so far of each [[table]]."""

    def read(self) -> Mapping[Path, int]:
        base: Path = ()
        while self._skip():
            if self._text[self._at] == "[":
                base = self._header()
            else:
                self._pair(base)
        return self._found

    def _header(self) -> Path:
        start, several = self._at, self._text.startswith("[[", self._at)
        self._at += 2 if several else 1
        path = self._key(())
        self._at += 2 if several else 1
        if several:
            self._tables[path] = place = self._tables.get(path, -1) + 1
            path = (*path, place)
        self._note(path, start)
        return path

    def _pair(self, base: Path) -> None:
        start = self._at
        path = self._key(base)
        self._note(path, start)
        self._at += 1  # the equals sign
        self._value(path)

    def _key(self, base: Path) -> Path:
        """Return a dotted key; below [[tables]] it belongs to the last of them."""
        path = base
        while match := _KEY.match(self._text, self._at):
            self._at = match.end()
            path = (*path, _named(match[1]))
            if self._text[self._at : self._at + 1] != ".":
                break
            self._at += 1
            path = self._in_last(path)
        return path

    def _in_last(self, path: Path) -> Path:
        return (*path, self._tables[path]) if path in self._tables else path

    def _value(self, path: Path) -> None:
        self._skip()
        self._note(path, self._at)
        opening = self._text[self._at : self._at + 1]
        if opening in {"[", "{"} and opening:
            self._several(path, opening)
        else:
            match = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            self._at = match.end() if match else len(self._text)

    def _several(self, path: Path, opening: str) -> None:
        """Read a list or an inline table."""
        self._at += 1
        place = 0
        while self._skip() and self._text[self._at] not in "]}":
            if opening == "[":
                self._value((*path, place))
            else:
                self._pair(path)
            place += 1
            if self._skip() and self._text[self._at] == ",":
                self._at += 1
        self._at += 1

    def _skip(self) -> bool:
        """Skip spaces, line ends and comments; return whether anything follows."""
        match = _GAP.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at < len(self._text)

    def _note(self, path: Path, at: int) -> None:
        if path not in self._found:
            line = bisect_left(self._ends, at) + 1
            for end in range(1, len(path) + 1):  # [a.b] makes `a` too
                self._found.setdefault(path[:end], line)


def _named(written: str) -> str:
    if written[0] not in "\"'":
        return written
    import tomllib

    return str(tomllib.loads(f"key = {written}")["key"])
