"""Splits bytes into lines of text: strict UTF-8, bounded memory, any line end, errors with the line.

seatctl/input/tables.py interprets the lines (CSV, TSV, JSON Lines).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from seatctl.errors import Code, SeatctlError, refuse
from seatctl.input.file_kinds import not_text

CHUNK = 1 << 16
MAX_LINE = 1 << 20
"""Most bytes of a line; the rest of a longer line is dropped, and its row is bad."""

_CUT = "\0"
"""Marks the end of a line that was cut short; the reader of rows finds it and rejects the row."""


def open_bytes(source: str, stdin: BinaryIO | None) -> tuple[BinaryIO, str]:
    """Return the bytes of a path, or of stdin for `-`, and the name to use in messages.

    Raises `file_not_found`, `file_not_readable`.
    """
    if source == "-":
        import sys

        return stdin or sys.stdin.buffer, "stdin"
    path = Path(source)
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise refuse(
            Code.FILE_NOT_FOUND, f"there is no file {source}", hint="give the path of a file, or - for stdin"
        ) from None
    except OSError as error:
        raise _not_readable(source, error) from error
    return stream, source


class End:
    """Whether the file ends in the middle of a line; known once its last line is being read."""

    cut_off = False


def text_lines(stream: BinaryIO, name: str, end: End | None = None) -> Iterator[str]:
    """Return lines of text with their ends, split only at LF, CRLF or CR, as the csv module needs them.

    Raises `not_utf8` with the number of the line, and `not_text` for a workbook, an archive or other binary
    files.
    """
    return chain.from_iterable(io.StringIO(text, newline="") for text in _texts(stream, name, end or End()))


def read_text(source: str) -> str:
    """Return a small file completely, or stdin for `-`, with LF as its line ends.

    Raises `file_not_found`, `file_not_readable`, `not_text`, `not_utf8`.
    """
    stream, name = open_bytes(source, None)
    with stream if source != "-" else nullcontext():
        text = "".join(text_lines(stream, name))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def stdin_line(limit: int = -1) -> str:
    """Return the next line of stdin, at most `limit` characters. Raises `file_not_readable`, `not_utf8`."""
    import sys

    try:
        line = sys.stdin.readline(limit)
        line.encode()  # in some locales Python decodes invalid bytes as lone surrogates
    except UnicodeError:
        raise refuse(Code.TEXT_NOT_UTF8, "stdin is not UTF-8", data={"file": "stdin"}) from None
    except OSError as error:
        raise _not_readable("stdin", error) from error
    return line


def _texts(stream: BinaryIO, name: str, end: End) -> Iterator[str]:
    """Yield decoded runs of whole lines."""
    line = 1
    for piece, cut in _pieces(stream, name, end):
        try:
            text = piece.decode("utf-8", "ignore" if cut else "strict")
        except UnicodeDecodeError as error:
            bad = line + _ends(piece[: error.start].decode("utf-8"))
            if b"\0" in piece:
                raise refuse(
                    Code.NOT_TEXT,
                    f"{name} is not a text file",
                    hint="give a text file in UTF-8",
                    data={"file": name},
                ) from None
            raise refuse(
                Code.TEXT_NOT_UTF8,
                f"line {bad} of {name} is not UTF-8",
                hint="save the file as UTF-8; Excel calls it 'CSV UTF-8'",
                data={"line": bad, "file": name},
            ) from None
        if cut:
            text = text.rstrip("\r\n") + _CUT + "\n"
        yield text
        line += _ends(text)


def _ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _pieces(stream: BinaryIO, name: str, ending: End) -> Iterator[tuple[bytes, bool]]:
    """Yield runs of whole lines of at most MAX_LINE and a chunk; True marks a line that was cut short."""
    carried, dropping, first = b"", False, True
    while chunk := _read(stream, name):
        if first:
            chunk, first = _without_mark(chunk, name), False
        block = carried + chunk
        # A CR at the very end may be half of a CRLF.
        if dropping:
            end = _first_end(block)
            carried, dropping = (block[end:], False) if end else (block[-1:], True)
            continue
        end = max(block.rfind(b"\n"), block.rfind(b"\r", 0, -1)) + 1
        if end:
            yield block[:end], False
        elif len(block) > MAX_LINE:
            yield block, True
            dropping = True
            block = block[-1:]
        carried = block[end:]
    if carried and not dropping:
        ending.cut_off = not carried.endswith(b"\r")
        yield carried, False


def _first_end(block: bytes) -> int:
    """Return where the first line ends in `block`, or 0; a CR at the very end does not count yet."""
    ends = [at + 1 for at in (block.find(b"\n"), block.find(b"\r", 0, -1)) if at >= 0]
    end = min(ends, default=0)
    return end + 1 if end and block[end - 1 : end + 1] == b"\r\n" else end


def _read(stream: BinaryIO, name: str) -> bytes:
    try:
        return stream.read(CHUNK)
    except OSError as error:
        raise _not_readable(name, error) from error


def _not_readable(name: str, error: OSError) -> SeatctlError:
    return refuse(Code.FILE_NOT_READABLE, f"{name} cannot be read: {error.strerror or error}")


def _without_mark(chunk: bytes, name: str) -> bytes:
    what = not_text(chunk, name)
    if what is not None:
        raise refuse(Code.NOT_TEXT, what[0], hint=what[1], data={"line": 1, "file": name})
    return chunk.removeprefix(b"\xef\xbb\xbf")
