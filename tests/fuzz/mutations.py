"""Valid inputs made strange: flipped bytes, lost lines, huge cells, odd Unicode, nesting, huge numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

TOKENS = (
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\r",
    b"\n",
    b"\r\n",
    b"\x85",
    b"\xe2\x80\xa8",
    b"\x1b[31m",
    b"\xe2\x80\xae",
    b"\xcc\x81",
    b"\xf0\x9f\x98\x80",
    b"\xc3\x9f",
    b"\xc4\xb0",
    b"\xef\xac\x81",
    b"\xe3\x80\x82",
    b'"',
    b"'",
    b'""',
    b",",
    b";",
    b"\t",
    b"|",
    b"=",
    b"@",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"#",
    b"--",
    b"-",
    b"-n",
    b"$(",
    b"%s",
    b"{email}",
    b"{0.__class__}",
    b"~",
    b"/",
    b"../",
    b"\xc2\xa0",
    b"null",
    b"true",
    b"NaN",
    b"-Infinity",
    b"{}",
    b"[]",
    b"[[]]",
    b'{"a":{"a":1}}',
    b"nan",
    b"inf",
    b"none",
    b"never",
    b"all",
)
NUMBERS = (
    b"0",
    b"-0",
    b"-1",
    b"1e999",
    b"1e-999",
    b"9" * 19,
    b"9223372036854775808",
    b"9" * 400,
    b"1" + b"0" * 5000,
    b"0x10",
    b"1_000",
    b"0.1",
    b".5",
    b"5.",
    b"1,5",
    b"1e5",
    b"\xd9\xa1\xd9\xa2",
    b"\xc2\xb2",
    b"\xef\xbc\x91",
    b"+1",
    b" 1",
    b"007",
    b"12.345678",
)
TIMES = (
    b"0000-01-01",
    b"0001-01-01",
    b"9999-12-31",
    b"9999-12-31T23:59:59-14:00",
    b"0001-01-01T00:00:00+14:00",
    b"2027-02-30",
    b"2027-W01",
    b"2027-W53-7",
    b"20270131",
    b"2027-01-31T25:00",
    b"2027-01-31T09:00:00+99:99",
    b"99999999d",
    b"0d",
    b"-1d",
    b"1e9d",
    b"1" * 5000 + b"d",
    b"2027-01-31T09:00:00.123456789Z",
    b"24:00",
    b"2027-01-31T24:00:00Z",
)
DEEP = (
    b"[" * 20_000,
    b'{"a":' * 20_000,
    b"[" * 3000 + b"]" * 3000,
    b"a = " + b"[" * 5000,
    b"a" + b".a" * 5000 + b" = 1",
)
_NUMBER = re.compile(rb"\d+(?:\.\d+)?")
_WORD = re.compile(rb"[\w.@-]+")
_HUGE = 150_000


def mutated(random: Random, seeds: Sequence[bytes], most: int) -> bytes:
    """One of the seeds, changed in one to five places; at most `most` bytes."""
    data = random.choice(seeds)
    for _ in range(random.choice((1, 1, 1, 1, 2, 2, 4))):
        data = random.choice(_WAYS)(random, data, seeds)
    return data[:most]


def _at(random: Random, data: bytes) -> int:
    return random.randint(0, len(data))


def _flip(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    if not data:
        return bytes((random.randrange(256),))
    at = random.randrange(len(data))
    return data[:at] + bytes((data[at] ^ (1 << random.randrange(8)),)) + data[at + 1 :]


def _cut(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    begin = _at(random, data)
    return data[:begin] + data[begin + random.choice((1, 1, 2, 8, 64)) :]


def _end(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: _at(random, data)]


def _insert(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = _at(random, data)
    return data[:at] + random.choice(TOKENS) + data[at:]


def _lines(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """A line dropped, doubled or moved."""
    lines = data.splitlines(keepends=True) or [b""]
    at = random.randrange(len(lines))
    line = lines.pop(at)
    for _n in range(random.choice((0, 1, 2))):
        lines.insert(random.randint(0, len(lines)), line)
    return b"".join(lines)


def _number(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(random, data, _NUMBER, NUMBERS + TIMES)


def _word(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(random, data, _WORD, TOKENS + NUMBERS + TIMES + (b"",))


def _replaced(random: Random, data: bytes, what: re.Pattern[bytes], by: Sequence[bytes]) -> bytes:
    places = list(what.finditer(data))
    if not places:
        return data + random.choice(by)
    place = random.choice(places)
    return data[: place.start()] + random.choice(by) + data[place.end() :]


def _huge(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at, unit = (
        _at(random, data),
        random.choice((b"x", b"9", b"a,", b"\xc3\xa4", b'"', b"\n", b"a@x.org\n", b"[")),
    )
    return data[:at] + unit * (random.choice((70, 300, 5000, _HUGE)) // len(unit)) + data[at:]


def _deep(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(random, data, _WORD, DEEP)


def _splice(random: Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    other = random.choice(seeds)
    return data[: _at(random, data)] + other[_at(random, other) :]


def _encode(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data.decode("utf-8", "replace").encode(
        random.choice(("utf-16", "utf-16-le", "utf-8-sig", "cp1252")), "replace"
    )


_WAYS = (
    _flip,
    _flip,
    _cut,
    _end,
    _insert,
    _insert,
    _insert,
    _lines,
    _number,
    _number,
    _word,
    _word,
    _word,
    _huge,
    _deep,
    _splice,
    _encode,
)
