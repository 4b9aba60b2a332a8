"""The fenced blocks of the pages, with the comment that stands before a block and says how it runs.

<!-- file: NAME … -->      the block is these files
<!-- with a Stripe key --> it runs with a test key, the served sandbox standing in for Stripe
<!-- on a server -->      it runs against a PostgreSQL server of the test's own, with TLS
<!-- by hand: WHY -->      it does not run, but its commands must be valid
<!-- in a clone -->, <!-- try -->, <!-- test -->   .ci/run runs it: it installs the package
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from seatctl.app.context import Context
from seatctl.cli.framework.app import Group, root_group

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
)
IN_A_CLONE = {"in a clone", "try", "test"}
ON_A_SERVER = "on a server"
FENCE = re.compile(r"(?:^<!-- ([^>\n]+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    mark: str
    language: str
    text: str

    @property
    def files(self) -> list[str]:
        """The names of the files that this block shows."""
        return self.mark.removeprefix("file: ").split() if self.mark.startswith("file: ") else []

    @property
    def runs(self) -> bool:
        return self.language == "sh" and self.mark in {"", "with a Stripe key"}


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    return [Block(mark or "", language, text) for mark, language, text in FENCE.findall(page(name))]


def blocks_of(name: str, heading: str) -> list[Block]:
    """The fenced blocks of a page between a heading and the next one of the same level."""
    _, _, rest = page(name).partition(f"\n## {heading}\n")
    assert rest, f"{name} has no heading {heading}"
    section = rest.partition("\n## ")[0]
    return [Block(mark or "", language, text) for mark, language, text in FENCE.findall(section)]


def workflow_steps(block: Block) -> list[str]:
    """The scripts behind `run: |` of a workflow."""
    found = re.findall(r"- run: \|\n((?:          .*\n)+)", block.text)
    return [re.sub(r"^ {10}", "", script, flags=re.MULTILINE) for script in found]


def installing() -> str:
    """The examples that install the package, in the order of a reader who has a clone and nothing else."""
    (tried,) = (block.text for block in blocks("README.md") if block.mark == "try")
    (wheel,) = (block.text for block in blocks("docs/ci.md") if block.mark == "in a clone")
    install, *_ = next(workflow_steps(block) for block in blocks("docs/ci.md") if block.language == "yaml")
    carry = "mkdir tools && cp wheels/seatctl-*.whl tools/ && rm -r .venv\n"
    return f"{tried}{wheel}{carry}{install}.venv/bin/seatctl --version\n"


def typed_commands(script: str) -> list[list[str]]:
    """The arguments of each `seatctl …` of a script or of a line of crontab."""
    found: list[list[str]] = []
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        inside = False
        for word in lexer:
            if word and set(word) <= set("();<>|&"):
                inside = False
            elif inside:
                found[-1].append(word)
            elif word == "seatctl":
                found.append([])
                inside = True
    return found


def parse(arguments: list[str]) -> None:
    """Parse a command line as the program does. Raises if the program would refuse it as wrong usage."""
    here = Context(arguments, {})
    ctx = root_group().make_context("seatctl", list(arguments), obj=here)
    while isinstance(ctx.command, Group):
        name, command, rest = ctx.command.resolve_command(ctx, [*ctx._protected_args, *ctx.args])
        assert command is not None
        ctx = command.make_context(name, rest, parent=ctx)


if __name__ == "__main__":
    print(installing())
