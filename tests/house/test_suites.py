"""The tests of ledger and commands run on both engines, but for those that are named with a reason."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import suites
from tests.support.warm import ROOT


def collected(*options: str) -> set[str]:
    """The ids of the tests that pytest would run with these options."""
    words = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    found = subprocess.run([*words, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr
    return {line for line in found.stdout.splitlines() if "::" in line}


@pytest.fixture(scope="module")
def everything() -> set[str]:
    return collected(*suites.SUITES)


def test_nothing_else_is_left_out_on_a_server(everything):
    left_out = everything - collected("--ledger", "postgres", *suites.SUITES)
    named = {*suites.ON_BOTH_ALREADY, *suites.sqlite_only()}
    assert {node for node in left_out if not any(suites.is_part(node, name) for name in named)} == set()


def test_every_name_is_that_of_a_test(everything):
    named = (*suites.ON_BOTH_ALREADY, *suites.sqlite_only())
    assert [name for name in named if not any(suites.is_part(node, name) for node in everything)] == []
    assert len(set(named)) == len(named)


def test_few_are_about_sqlite_only(everything):
    """Most of these are one test with many parameters: the damages of a file."""
    own = {node for node in everything if any(suites.is_part(node, name) for name in suites.sqlite_only())}
    assert len(own) < len(everything) / 8
