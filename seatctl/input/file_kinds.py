"""Recognises files that are not tables of rows, by their first bytes or their first line.

The refusal says what the file is and how to convert it. `tables.py` reads the rows.
"""

from __future__ import annotations

from seatctl.errors import Code, refuse

SEPARATORS = ("|", ";", ",", "\t", "^", "~", "\x1f", "\x01")
"""Characters that programs put between fields, those first that are never in the name of a column."""

_SAVE = "save it as CSV UTF-8 (in Excel: File, Save As, 'CSV UTF-8'), and give that file"
_UNPACK = "unpack it, and give the file inside"
_UTF8 = "save the file as UTF-8; Excel calls it 'CSV UTF-8'"

_SIGNATURES = (
    (b"\xff\xfe\0\0", "UTF-32, not UTF-8", _UTF8),
    (b"\0\0\xfe\xff", "UTF-32, not UTF-8", _UTF8),
    (b"\xff\xfe", "UTF-16, not UTF-8", _UTF8),
    (b"\xfe\xff", "UTF-16, not UTF-8", _UTF8),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (xls), not a text file", _SAVE),
    (b"%PDF-", "a PDF, not a text file", "export the rows as CSV where the PDF comes from"),
    (b"{\\rtf", "formatted text (RTF)", "save it as plain text in UTF-8"),
    (b"\x1f\x8b", "compressed (gzip)", _UNPACK),
    (b"BZh", "compressed (bzip2)", _UNPACK),
    (b"\xfd7zXZ\0", "compressed (xz)", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)", _UNPACK),
    (b"SQLite format 3\0", "an SQLite database, not a text file", "export the rows as CSV"),
    (b"PAR1", "a Parquet file, not a text file", "export the rows as CSV"),
)

_TEXTS = (
    (("<!doctype html", "<html", "<table", "<head", "<meta"), "a web page (HTML)", f"open it and {_SAVE}"),
    (("<?xml",), "XML", f"open it in Excel and {_SAVE}"),
    (("dn:", "version: 1"), "LDIF", "export the entries as CSV with a column email"),
    (("begin:vcard",), "a vCard", "export the contacts as CSV with a column email"),
)
"""How text files begin that are not tables of rows, in lower case."""


def not_text(start: bytes, name: str) -> tuple[str, str] | None:
    """Return what a file is that begins with these bytes ("NAME is …"), and a hint; None for text."""
    for signature, what, hint in _SIGNATURES:
        if start.startswith(signature):
            return f"{name} is {what}", hint
    if start.startswith(b"PK\x03\x04"):
        return _packed(start, name)
    line = start[:1000].partition(b"\n")[0]
    if b"\0" in line:
        zeros = line[1::2].count(0), line[0::2].count(0)
        if max(zeros) > len(line) // 3 and min(zeros) == 0:
            return f"{name} is UTF-16, not UTF-8", _UTF8
        return (
            f"{name} is not a text file: its first line has NUL bytes",
            "give a text file in UTF-8",
        )
    return None


def _packed(start: bytes, name: str) -> tuple[str, str]:
    """Return which kind of ZIP file it is, and a hint."""
    if b"opendocument.spreadsheet" in start[:100]:
        return (
            f"{name} is a spreadsheet (ods), not a text file",
            "save it as CSV with the character set UTF-8",
        )
    if any(mark in start for mark in (b"xl/", b"[Content_Types].xml", b"_rels/")):
        return f"{name} is an Excel workbook (xlsx), not a text file", _SAVE
    return f"{name} is an archive (zip), not a text file", _UNPACK


def require_columns_line(line: str, name: str) -> None:
    """Raise `not_rows` if the first line shows that the file is not delimited text."""
    problem = _not_columns(line.strip().strip('"'), name)
    if problem is not None:
        raise refuse(Code.NOT_ROWS, problem[0], hint=problem[1], data={"file": name, "line": 1})


def _not_columns(text: str, name: str) -> tuple[str, str] | None:
    start = text[:200].casefold()
    if start.startswith("sep=") and len(text) <= len("sep=") + 2:
        return (
            f"{name} begins with {text}, which tells Excel the separator; the header has to come first",
            "delete the first line of the file; the separator is detected without it",
        )
    if start.startswith("#type"):
        return (
            f"{name} begins with #TYPE, a line of PowerShell; the header has to come first",
            "use Export-Csv -NoTypeInformation -Encoding utf8, or delete the first line of the file",
        )
    texts = (
        (f"{name} is {what}, not CSV", hint) for begins, what, hint in _TEXTS if start.startswith(begins)
    )
    return next(texts, None)
