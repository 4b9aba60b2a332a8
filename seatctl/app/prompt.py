"""Questions on the terminal: asked on stderr and answered on stdin, so that stdout stays clean."""

from __future__ import annotations

import sys

from seatctl.input.lines import stdin_line
from seatctl.rules.terminal_text import visible


def read_line(question: str, *, default: str | None = None, hidden: bool = False) -> str:
    """Ask for a line until it is not empty or there is a default. Ctrl-C and Ctrl-D interrupt."""
    shown = f" [{default}]" if default else ""
    prompt = f"{visible(question.removesuffix(':'))}{visible(shown)}: "
    while True:
        answer = (_hidden(prompt) if hidden else _line(prompt)).strip()
        if answer or default is not None:
            return answer or default or ""


def _line(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = stdin_line()
    if not line:
        raise KeyboardInterrupt
    return line


def _hidden(prompt: str) -> str:
    from getpass import getpass

    try:
        return getpass(prompt, stream=sys.stderr)
    except EOFError:
        raise KeyboardInterrupt from None
