"""Programs that tests need and Python's packages do not bring; `.ci/packages` names their Debian packages."""

from __future__ import annotations

import os
import shutil

import pytest


def need(*programs: str) -> None:
    """Skip the test if a program is not installed, with one loud line; in CI fail instead."""
    missing = [program for program in programs if find(program) is None]
    if missing:
        names = ", ".join(missing)
        lack(f"PROGRAM MISSING: {names}. `.ci/packages` names the Debian packages of all of them")


def find(program: str) -> str | None:
    """The path of a program; Debian's daemons are where only root looks for them."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def lack(told: str) -> None:
    """Skip the test for the lack of something; in CI fail instead.

    CI installs what `.ci/packages` and pyproject.toml name, so there a lack means that the proof was lost.
    """
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)
