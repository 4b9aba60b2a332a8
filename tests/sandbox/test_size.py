"""The sandbox stays small: it grows by endpoints, and an endpoint costs no more lines than it did."""

from pathlib import Path

import seatctl.sandbox
from seatctl.sandbox.api.routes import ROUTES

BEFORE = 7746 / 104  # lines for each endpoint, before taxes, debits, test clocks and classic billing


def test_an_endpoint_costs_no_more_lines_than_before():
    files = Path(seatctl.sandbox.__file__).parent.rglob("*.py")
    lines = sum(len(file.read_text("utf-8").splitlines()) for file in files)
    assert lines / len(ROUTES) <= BEFORE
