"""Wrong usage: what Typer found, in our words, with the nearest name that exists. Loaded only then."""

from __future__ import annotations

from collections.abc import Sequence

from typer._click.exceptions import ClickException, NoSuchOption
from typer._click.exceptions import UsageError as ClickUsageError

from seatctl.cli import catalogue
from seatctl.errors import UsageError
from seatctl.rules.nearest import nearest


class UnknownCommand(UsageError):
    """No command of this name; the hint is the nearest one."""

    code = "unknown_command"


def usage_error(error: ClickException) -> UsageError:
    """Typer's finding as ours: one sentence and what to type."""
    ctx = error.ctx if isinstance(error, ClickUsageError) else None
    path = ctx.command_path if ctx else "seatctl"
    if isinstance(error, NoSuchOption):
        close = [f"did you mean {name}?" for name in (error.possibilities or ())[:1]]
        return UsageError(f"{path} has no option {error.option_name}", hint=(close or [f"{path} --help"])[0])
    message = " ".join(error.format_message().split()).rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint=f"{path} --help")


def missing_command(path: str, names: Sequence[str]) -> UsageError:
    """A noun without a verb."""
    return UsageError(f"{path} needs a command: {', '.join(names)}", hint=f"{path} --help")


def unknown_command(word: str, noun: str | None, names: Sequence[str]) -> UnknownCommand:
    """A word that is no command: the nearest of this group, or a verb of that name elsewhere."""
    where = f"seatctl {noun}" if noun else "seatctl"
    close = [f"{where} {name}" for name in nearest(word, names)]
    if not close:
        close = [f"seatctl {command}" for command in _verbs(word)]
    hint = f"did you mean: {' | '.join(close[:3])}" if close else f"{where} --help lists the commands"
    said = f"unknown command {word!r}" + (f" of {where}" if noun else "")
    return UnknownCommand(said, hint=hint, data={"command": word})


def _verbs(word: str) -> list[str]:
    """`assign` or `asign` alone: the commands whose verb is near it. Imports every noun for the hint."""
    from seatctl.cli.app import Noun, load

    commands: dict[str, list[str]] = {}
    for entry in catalogue.ENTRIES:
        loaded = load(entry) if entry.group else None
        if isinstance(loaded, Noun):
            for verb in loaded.infos:
                commands.setdefault(verb, []).append(f"{entry.name} {verb}")
    return [command for verb in nearest(word, commands) for command in commands[verb]]
