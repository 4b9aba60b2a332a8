"""Strange inputs for every parser, the same ones each time; `python -m tests.fuzz` gives 20,000."""

from __future__ import annotations

import pytest

from tests.fuzz.parsers import parsers
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
    assert found.slowest[0] < 10, found.slowest
