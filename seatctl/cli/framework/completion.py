"""Shell completion: the scripts, and their answers.

`python -m seatctl.cli.framework.completion` writes the scripts. The answers are Typer's, without its clean-up
of help texts, which would load Rich at every press of Tab.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from typer._click.core import Command as ClickCommand
from typer._click.shell_completion import CompletionItem
from typer._completion_classes import BashComplete, FishComplete, ZshComplete
from typer._completion_shared import get_completion_script

PROGRAM = "seatctl"
VARIABLE = "_SEATCTL_COMPLETE"
FILES = {"bash": "seatctl.bash", "zsh": "_seatctl", "fish": "seatctl.fish"}
"""The file names that the shells look for."""

_NOT_IN_ZSH = str.maketrans(dict.fromkeys("\"'$`\\:()[]", " "))


class Zsh(ZshComplete):
    """zsh evaluates the answer, so special characters are removed from the help."""

    def format_completion(self, item: CompletionItem) -> str:
        """Return `"value":"help"`."""
        value = item.value.translate(_NOT_IN_ZSH)
        return f'"{value}":"{item.help.translate(_NOT_IN_ZSH)}"' if item.help else f'"{value}"'


class Fish(FishComplete):
    """fish: value, tab, help."""

    def format_completion(self, item: CompletionItem) -> str:
        """Return value and help on one line."""
        return f"{item.value}\t{' '.join(item.help.split())}" if item.help else str(item.value)


_SHELLS: Mapping[str, type[BashComplete | Zsh | Fish]] = {"bash": BashComplete, "zsh": Zsh, "fish": Fish}


def answer(root: ClickCommand, instruction: str) -> str:
    """Return what a shell asks for: its script (`source_bash`) or the completions (`complete_bash`)."""
    action, _, shell = instruction.partition("_")
    if action == "source" and shell in _SHELLS:
        return script(shell)
    if shell not in _SHELLS:
        return ""
    return _SHELLS[shell](root, {}, PROGRAM, VARIABLE).complete()


def script(shell: str) -> str:
    """Return the script that enables completion in a shell."""
    return get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell) + "\n"


def write(directory: Path) -> None:
    """Write the scripts for all shells."""
    directory.mkdir(exist_ok=True)
    for shell, name in FILES.items():
        (directory / name).write_text(script(shell), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "completions"))
