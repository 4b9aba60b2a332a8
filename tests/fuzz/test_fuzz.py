"""Strange inputs for every parser, the same ones each time; `python -m tests.fuzz` gives 20,000."""

from __future__ import annotations

import pytest

from tests.fuzz.parsers import parsers, sealed
from tests.fuzz.run import Found, fuzz
from tests.fuzz.world import world

BOUNDED, WHOLE = 8, 300
"""Inputs of each parser."""


@pytest.fixture(scope="module")
def made():
    with world() as found:
        yield found


def test_every_parser_takes_what_is_valid(made):
    """Otherwise it would be fuzzed only as far as a first refusal."""
    refused = {}
    for parser in parsers(made):
        made.begin()
        codes = set()
        for seed in parser.seeds:
            given = parser.given(seed)
            if given.file:
                (made.folder / given.file).write_bytes(given.content)
            codes.add(made.run(given.argv, given.stdin).code)
        if not codes & {0, 6, 7, 10}:
            refused[parser.name] = codes
    assert not refused.keys() - REFUSED, {name: refused[name] for name in refused.keys() - REFUSED}


REFUSED = {"code", "key 2", "key 8", "key 10", "name 6", "name 7", "name 9", "role 3", "word 2", "word 9"}
"""Parsers of handles, of which none is that of something there is."""


def test_no_input_is_a_bug_and_what_is_refused_writes_nothing(made, whole):
    found = Found()
    for parser in parsers(made):
        fuzz(made, parser, range(WHOLE if whole else BOUNDED), found)
    assert not found.faults, "\n".join(map(str, found.faults[:5]))
    assert found.slowest[0] < 60, found.slowest  # 19,000 bad lines of a batch take 20 s


DEEP = "[" * 5000
ONCE_A_BUG = [
    ("users import -", '[{"email": "a@x.org"}, {"email": "b@x.org"}, 7]', 3),
    ("batch --csv - -- users suspend bob@example.com", "email\na@x.org\n", 0),
    ("plans import -", f"plans = {DEEP}", 3),
    (
        "plans import -",
        f"[[plans]]\nslug = 'x'\nprice = '1'\ncurrency = 'usd'\ninterval_count = {'9' * 5000}",
        3,
    ),
    ("plans import -", "[[plans]]\nslug = ['x']\nprice = '1'\ncurrency = 'usd'\ninterval = 'month'", 3),
    ("sync --events -", f'{{"id": {DEEP}}}\n', 3),
    ("seats apply --saved -", f"{DEEP}\n", 3),
    ("seats apply --saved -", '{"seatctl_plan": 1}\n', 3),
    ("seats reclaim design --suspended --max-revoke " + "9" * 5000, "", 2),
    ("config set undo_window " + "9" * 5000, "", 3),
    ("requests approve " + "9" * 5000, "", 2),
]


@pytest.mark.parametrize(("words", "stdin", "code"), ONCE_A_BUG, ids=range(len(ONCE_A_BUG)))
def test_what_once_ended_as_a_bug_is_refused(made, words, stdin, code):
    data = stdin.encode()
    if "--saved" in words:
        data = sealed(data + b"\n")
    done = made.run(tuple(words.split()), data)
    assert done.code == code, done.err
