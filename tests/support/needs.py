"""Programs that tests need and Python's packages do not bring; `.ci/packages` names their Debian packages."""

from __future__ import annotations

import os
import shutil

import pytest


def need(*programs: str) -> None:
    """Skip the test if a program is not installed, with one loud line; in CI fail instead.

    CI installs what `.ci/packages` names, so there a missing program means that the proof was lost.
    """
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    told = f"PROGRAM MISSING: {', '.join(missing)}. `.ci/packages` names the Debian packages of all of them"
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)
