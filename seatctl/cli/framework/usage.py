"""Wrong usage: Typer's errors in our words, with the nearest existing name. Imported only then."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

from typer._click.core import Context as ClickContext
from typer._click.core import Parameter
from typer._click.exceptions import BadParameter, ClickException, NoSuchOption
from typer._click.exceptions import UsageError as ClickUsageError
from typer._click.types import FloatParamType, IntParamType, IntRange
from typer._types import TyperChoice

from seatctl.cli.framework import catalogue
from seatctl.errors import Code, SeatctlError, UsageError, refuse
from seatctl.rules.typed_values import nearest

_OPTIONS = ("version", "help")
"""Options of the program itself that people type as commands."""

_LIKE_A_SLIP = 0.75
"""`asign` is a typo of `assign`; `version` and `verify` are two words."""

_OTHER_WORDS = {
    "accept": ("approve",),
    "add": ("assign", "create", "grant", "buy"),
    "delete": ("remove", "revoke", "archive", "cancel"),
    "get": ("show",),
    "reject": ("deny",),
    "remove": ("revoke", "archive", "cancel"),
    "rename": ("edit",),
    "restore": ("reactivate",),
}
"""Other programs' names of a verb, and what it may be called here, the most likely first."""


def usage_error(error: ClickException, words: Sequence[str] = ()) -> UsageError:
    """Return Typer's error as ours: one sentence and what to type. `words` are the arguments."""
    ctx = error.ctx if isinstance(error, ClickUsageError) else None
    path = ctx.command_path if ctx else _path(words)
    if isinstance(error, NoSuchOption):
        return _unknown_option(error, ctx, path)
    if isinstance(error, BadParameter) and error.param is not None:
        bad_value = _bad_value(error.param, error.message, path)
        if bad_value is not None:
            return bad_value
    message = " ".join(error.format_message().split()).rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint=f"{path} --help")


def _path(words: Sequence[str]) -> str:
    """Return the command that the words begin with, for errors before Typer knew it."""
    named = list(takewhile(lambda word: not word.startswith("-"), words))[:2]
    entry = catalogue.names().get(named[0]) if named else None
    if entry is None:
        return "seatctl"
    return " ".join(("seatctl", entry.name, *(named[1:] if entry.group else ())))


def _unknown_option(error: NoSuchOption, ctx: ClickContext | None, path: str) -> UsageError:
    """Return the error for an unknown option; some commands take the subscription as an argument."""
    message = f"{path} has no option {error.option_name}"
    arguments = (
        {param.name for param in ctx.command.params if param.param_type_name == "argument"} if ctx else set()
    )
    if error.option_name in {"-s", "--subscription"} and "subscription" in arguments:
        return UsageError(message, hint=f"{path} SUBSCRIPTION, without an option")
    close = [f"did you mean {name}?" for name in (error.possibilities or ())[:1]]
    return UsageError(message, hint=(close or [f"{path} --help"])[0])


def _bad_value(param: Parameter, message: str, path: str) -> UsageError | None:
    """Return what the option or argument takes and what was given; None if the message says it well."""
    match = re.match(r"('.*'|\S+) is not ", message)
    if match is None:
        return None
    given, name = match[1].strip("'"), _name(param)
    takes = _expected(param, given)
    if takes is None:
        return None
    choices = [str(choice) for choice in param.type.choices] if isinstance(param.type, TyperChoice) else []
    from seatctl.rules.typed_values import did_you_mean

    return UsageError(
        f"{name} takes {takes}; not {given!r}", hint=did_you_mean(given, choices, f"{path} --help")
    )


def _name(param: Parameter) -> str:
    """Return an option as it is typed, an argument as the help calls it."""
    if param.param_type_name == "option":
        return max(param.opts, key=len)
    return (param.metavar or param.human_readable_name).strip("[]{}.")


def _expected(param: Parameter, given: str) -> str | None:
    """Return what a parameter takes, in words; None if Typer's message says it."""
    kind = param.type
    if isinstance(kind, TyperChoice):
        return ", ".join(str(choice) for choice in kind.choices)
    if isinstance(kind, IntRange):
        low, high = kind.min, kind.max
        if low is not None and high is not None:
            return f"a whole number from {low} to {high}"
        if low is not None:
            return f"a whole number of at least {low}"
        return f"a whole number up to {high}" if given.isdigit() else "a whole number"
    if isinstance(kind, IntParamType):
        return "a whole number"
    return "a number" if isinstance(kind, FloatParamType) else None


def missing_command(path: str, names: Sequence[str]) -> UsageError:
    """Return the error for a noun without a verb."""
    return UsageError(f"{path} needs a command: {', '.join(names)}", hint=f"{path} --help")


def unknown_command(
    word: str, noun: str | None, names: Sequence[str], verbs: Callable[[], Mapping[str, Sequence[str]]]
) -> SeatctlError:
    """Return the error for an unknown command, with suggestions: a typo, another program's word, a verb.

    `verbs` returns the commands of each verb; calling it imports every noun. `users restore` must not suggest
    `users remove`, which does the opposite, nor `plans remove` suggest `users remove`.
    """
    prefix = f"seatctl {noun}" if noun else "seatctl"
    close = [f"seatctl --{word}"] if word in _OPTIONS and noun is None else []
    meant = [name for name in _OTHER_WORDS.get(word, ()) if name in names][:1] if noun else []
    close += [
        f"{prefix} {name}" for name in meant or nearest(word, names, likeness=_LIKE_A_SLIP) if not close
    ]
    close += [f"seatctl {command}" for command in (() if noun else _near_verbs(word, verbs())) if not close]
    hint = f"did you mean: {' | '.join(close[:3])}" if close else f"to list the commands: {prefix} --help"
    message = f"unknown command {word!r}" + (f" of {prefix}" if noun else "")
    return refuse(Code.UNKNOWN_COMMAND, message, hint=hint, data={"command": word})


def _near_verbs(word: str, verbs: Mapping[str, Sequence[str]]) -> list[str]:
    return [command for verb in nearest(word, verbs, likeness=_LIKE_A_SLIP) for command in verbs[verb]]
