"""Ctrl-C while the program is still loading: it ends at once, and shows nobody a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

HOOK = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            sys.stderr.write("interrupting ")
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
"""
MOMENTS = (
    *(
        "seatctl.cli.program",
        "seatctl.errors",
        "seatctl.app.context",
        "seatctl.config.settings",
        "seatctl.cli.framework.app",
    ),
    *("typer", "seatctl.cli.status", "sqlite3", "seatctl.ledger.ledger"),
)


def interrupted(seatctl, folder: Path, module: str, **how) -> subprocess.CompletedProcess:
    """`seatctl status` as the console script runs it, with a Ctrl-C when it imports `module`."""
    (folder / "sitecustomize.py").write_text(HOOK)
    env = seatctl.environment({"PYTHONPATH": str(folder), "INTERRUPT_AT": module})
    script = ("-c", "from seatctl.__main__ import run; run()", "status")
    return subprocess.run(
        [sys.executable, *script], env=env, capture_output=True, text=True, check=False, **how
    )


@pytest.mark.parametrize("module", MOMENTS)
def test_no_moment_of_loading_leaves_a_traceback(sandbox, tmp_path, module):
    done = interrupted(sandbox, tmp_path, module)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.removeprefix("interrupting ").strip() in {"", "seatctl: interrupted"}


def test_what_runs_in_the_background_is_not_interrupted(sandbox, tmp_path):
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    done = interrupted(sandbox, tmp_path, "seatctl.app.context", preexec_fn=ignore)
    assert (done.returncode, "default" in done.stdout) == (0, True)
