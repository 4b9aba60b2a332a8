"""`seatctl help [TOPIC]`: everything that does not belong to one command."""

from __future__ import annotations

from typing import Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, argument
from seatctl.errors import Code, refuse
from seatctl.output.emit import write_text

app = Commands()


@app.command("help")
def show_help(
    ctx: Context,
    topic: Annotated[list[str] | None, argument("[TOPIC]", "A topic or a command.")] = None,
) -> None:
    """Explain a topic or a command; without one, list the topics.

    Examples:
      seatctl help
      seatctl help exit-codes
      seatctl help seats assign
    """
    from seatctl.cli.framework import catalogue
    from seatctl.cli.help_topics import TOPICS, contents

    words = topic or []
    if not words:
        write_text(contents())
    elif len(words) == 1 and words[0] in TOPICS:
        write_text(TOPICS[words[0]].text())
    elif words[0] in catalogue.names():
        from seatctl.cli.framework.app import execute

        execute(Context([*words, "--help"], ctx.environment))
    else:
        from seatctl.rules.typed_values import did_you_mean

        known = [*TOPICS, *catalogue.names()]
        hint = did_you_mean(words[0], known, "to list the topics: seatctl help")
        raise refuse(Code.UNKNOWN_TOPIC, f"there is no help on {' '.join(words)!r}", hint=hint)
